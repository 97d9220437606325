"""``python -m tests.benchmarks``: runs ``main`` of each module here that has one, or of those that are named."""

import argparse
import importlib
import sys
from pathlib import Path

EXAMPLES = """examples:
  make bench                         all of them, some hours
  make bench ARGS="ingest tick"      two of them
  make bench ARGS="history --long"   a year of readings
  make bench ARGS=page               the page; LIFELINE_BENCH_PAGE_S=20 for a look
"""


def known() -> list[str]:
    """Modules of this folder that measure something."""
    return sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py") if "\ndef main(" in path.read_text())


def parser() -> argparse.ArgumentParser:
    """The command line; the benchmarks that know ``--long`` and ``--hour`` look for them by themselves."""
    made = argparse.ArgumentParser(
        "python -m tests.benchmarks",
        description="Measures speed and memory beside a peer or a limit. Status 1: a limit was missed.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("names", nargs="*", metavar="name", choices=[[], *known()], help=", ".join(known()))
    made.add_argument("--long", action="store_true", help="history: a year; ingest: memory; plan: 100,000 pipes")
    made.add_argument("--hour", action="store_true", help="page: an hour of live updates")
    return made


def main(arguments: list[str]) -> int:
    """1 when a limit was missed."""
    good = True
    for name in parser().parse_args(arguments).names or known():
        good = importlib.import_module(f"tests.benchmarks.{name}").main() is not False and good
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
