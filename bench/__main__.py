"""``make bench``: ratios measured in one run, on this machine; ``ARGS="tokens"`` for some."""

import argparse
from time import perf_counter

from bench import door, events, fairness, ledger, limits, tokens
from bench.tables import load_line

_ALL = {
    "door": door.measure,
    "events": events.measure,
    "fairness": fairness.measure,
    "ledger": ledger.measure,
    "limits": limits.measure,
    "tokens": tokens.measure,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(_ALL)}; all without")
    names = parser.parse_args().names or list(_ALL)
    if unknown := set(names) - set(_ALL):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(_ALL)}")
    for name in names:
        print(f"\n{name} ({load_line()} before)\n{'-' * len(name)}", flush=True)
        began = perf_counter()
        _ALL[name]()
        print(f"\n{perf_counter() - began:.0f} s; {load_line()} after", flush=True)


if __name__ == "__main__":
    main()
