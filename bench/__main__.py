"""``make bench``: ratios measured in one run, on this machine; ``ARGS="tokens"`` for some."""

import argparse

from bench import door, fairness, limits, tokens

_ALL = {"door": door.measure, "fairness": fairness.measure, "limits": limits.measure, "tokens": tokens.measure}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(_ALL)}; all without")
    names = parser.parse_args().names or list(_ALL)
    if unknown := set(names) - set(_ALL):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}")
    for name in names:
        print(f"\n{name}\n{'-' * len(name)}")
        _ALL[name]()


if __name__ == "__main__":
    main()
