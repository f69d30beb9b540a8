"""The faults, one entry each; a new one is a function and a line in its file's list."""

from collections.abc import Mapping

from chaos.faults import (
    broker,
    clocks,
    cluster,
    databases,
    door,
    doubles,
    links,
    outages,
    points,
    poison,
    postgresql,
    processes,
    store,
)
from chaos.faults.fault import Fault, Missed

_MODULES = (
    processes,
    broker,
    cluster,
    store,
    databases,
    links,
    doubles,
    outages,
    clocks,
    door,
    points,
    poison,
    postgresql,
)
FAULTS: Mapping[str, Fault] = {fault.name: fault for module in _MODULES for fault in module.FAULTS}

__all__ = ["FAULTS", "Fault", "Missed"]
