"""``python -m tests.benchmarks [name ...] [--long]``: runs ``main`` of each module of this folder that has one."""

import importlib
import pkgutil
import sys

from tests import benchmarks


def main(arguments: list[str]) -> int:
    """1 when a limit was missed."""
    names = [name for name in arguments if not name.startswith("-")]
    known = sorted(module.name for module in pkgutil.iter_modules(benchmarks.__path__))
    unknown = set(names) - set(known)
    if unknown:
        print(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    good = True
    for name in names or known:
        module = importlib.import_module(f"tests.benchmarks.{name}")
        if name != "__main__" and hasattr(module, "main"):
            good = module.main() is not False and good
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
