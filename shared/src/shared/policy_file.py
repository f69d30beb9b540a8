"""The policy as a file, with the packs of rules that it names."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from shared.policy import Policy, TenantPolicy
from shared.yaml_lines import LinedYaml

SHIPPED_PACKS = Path("config/packs")
_PACK_NAME = re.compile(r"[a-z0-9_]{1,64}")


def load_policy(path: Path | str) -> Policy:
    """Read and check the file and the packs it names; keys it lacks keep their shipped values.

    The nearer rule wins: an organisation's own keys, its pack's, the defaults' own, the defaults' pack's.

    Raises ConfigurationError with one line that names the file, the line and the key.
    """
    file = Path(path)
    source = LinedYaml(file)
    packs = _Packs(file.parent / "packs", source)
    whole = source.mapping()
    defaults = packs.under(source.mapping("defaults"), "defaults")
    tenants = {
        name: _merged(defaults, packs.under(source.mapping("tenants", name), "tenants", name))
        for name in source.mapping("tenants")
    }
    try:
        return Policy.model_validate(whole | {"defaults": defaults, "tenants": tenants})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = first["loc"]
        places = [place, ("defaults", *place[2:])] if place[:1] == ("tenants",) else [place]
        raise source.error(_said(first["type"], first["msg"]), *places) from None


class _Packs:
    """The sets of rules that a policy can name: those beside it, and those that are shipped."""

    def __init__(self, folder: Path, policy: LinedYaml) -> None:
        self._folders = (folder, SHIPPED_PACKS)
        self._policy = policy
        self._read: dict[str, dict[str, Any]] = {}

    def under(self, own: dict[str, Any], *place: str) -> dict[str, Any]:
        """The rules of the pack that ``own`` names with ``own`` over them."""
        rules = dict(own)
        name = rules.pop("pack", None)
        return rules if name is None else _merged(self._rules(name, *place, "pack"), rules)

    def _rules(self, name: object, *place: str) -> dict[str, Any]:
        file = None
        if isinstance(name, str) and _PACK_NAME.fullmatch(name):
            file = next((file for folder in self._folders if (file := folder / f"{name}.yaml").is_file()), None)
        if file is None:
            shipped = sorted({pack.stem for folder in self._folders for pack in folder.glob("*.yaml")})
            raise self._policy.error(f"no such pack; there are: {', '.join(shipped) or 'none'}", place)
        if file.stem not in self._read:
            self._read[file.stem] = _checked(LinedYaml(file))
        return self._read[file.stem]


def _checked(pack: LinedYaml) -> dict[str, Any]:
    try:
        TenantPolicy.model_validate(pack.mapping())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise pack.error(_said(first["type"], first["msg"]), first["loc"]) from None
    return pack.mapping()


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = _merged(under, value) if isinstance(under, Mapping) and isinstance(value, Mapping) else value
    return merged


def _said(kind: str, message: str) -> str:
    plain = {"extra_forbidden": "unknown key", "model_type": "must be a mapping of keys to values"}
    return plain.get(kind, message.removeprefix("Value error, "))
