"""What the commands print: results to standard output, everything else to standard error."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

# A file or a pipe has no width, and a table must not be folded to that of a typewriter.
WIDE = 250
out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else WIDE)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def say(message: str) -> None:
    """A line of result; never taken for markup."""
    out.print(message, markup=False)


def note(message: str) -> None:
    """A line about what is being done."""
    err.print(message, markup=False)


def table(*columns: str) -> Table:
    """An empty table that also reads well in a log."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


@contextmanager
def fractions() -> Iterator[Callable[[str, float], None]]:
    """Shows steps that say how far they are, 0 to 1: a bar on a terminal, else one line a step."""
    if not err.is_terminal:
        yield _plain_fractions()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, transient=True) as bars:
        task: TaskID | None = None

        def show(what: str, done: float) -> None:
            nonlocal task
            if task is None:
                task = bars.add_task(what, total=1.0)
            bars.update(task, description=what, completed=done)

        yield show


def _plain_fractions() -> Callable[[str, float], None]:
    said: set[str] = set()

    def show(what: str, done: float) -> None:  # noqa: ARG001 - a log wants the step and not each per cent
        if what not in said:
            said.add(what)
            note(f"  {what}")

    return show


@contextmanager
def count_of(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Shows how many of ``total`` are done; nothing where there is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bars:
        task = bars.add_task(what, total=total)
        yield lambda more: bars.advance(task, more)


def fail(message: str) -> None:
    """The one line (or list) that says what went wrong. Plain, so that it can be searched for."""
    print(f"lifeline: {message}", file=sys.stderr)  # noqa: T201
