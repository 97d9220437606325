"""Rows of benchmark figures, each with what it was held against."""

import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. ``ratio`` is measured / compared with; ``limit`` says what had to hold, ``ok`` whether it did.

    ``ok`` None: printed for information, held against nothing.
    """

    what: str
    measured: float
    unit: str
    compared_with: str = ""
    ratio: float | None = None
    limit: str = ""
    ok: bool | None = None


def machine() -> str:
    """Cores, processor, memory, Python: figures mean nothing without."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {model}, {memory:.0f} GB, Python {platform.python_version()}"


def figure(value: float) -> str:
    """Three figures that count: more would be noise."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def print_rows(title: str, rows: Iterable[Row]) -> bool:
    """Prints a table in Markdown; False when a limit was missed."""
    print(f"\n## {title}\n\n{machine()}; load average {os.getloadavg()[0]:.1f} at the end\n")
    print("| what | measured | unit | compared with | ratio | limit | ok |")
    print("|---|---|---|---|---|---|---|")
    good = True
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        ok = {None: "", True: "yes", False: "**no**"}[row.ok]
        good = good and row.ok is not False
        cells = (row.what, figure(row.measured), row.unit, row.compared_with, ratio, row.limit, ok)
        print(f"| {' | '.join(cells)} |", flush=True)
    return good
