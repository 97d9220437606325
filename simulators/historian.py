"""Runs ``simulators.history`` for the command: bars while it works, rate and memory at the end."""

import resource
import time
from collections.abc import Iterator
from datetime import datetime

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from lifeline.catalogue import load_catalogue
from lifeline.settings import Settings
from lifeline.storage.ingest import connect_writer
from simulators.districts import LAYOUTS
from simulators.history import History
from simulators.weather import DAY_S

YEAR_OF_5000 = 525_600_000
"""Readings of 5,000 sensors at 5 minutes in a year."""


def write_history(settings: Settings, seed: int, districts: int, days: int, now: datetime) -> Iterator[str]:
    """Write the days before ``now``'s midnight; gives lines about what was done. Raises LifelineError."""
    first = now.timestamp() // DAY_S * DAY_S - days * DAY_S
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
               TimeRemainingColumn())  # fmt: skip
    with connect_writer(settings.require_database()) as connection:
        history = History(connection, load_catalogue(settings.catalogue), seed, districts)
        connection.commit()
        with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
            engines = bars.add_task("engines, days", total=14 * min(LAYOUTS, districts))
            begun = time.monotonic()
            history.prepare(lambda: bars.advance(engines))
            ran = time.monotonic() - begun
            task, readings = bars.add_task("history, days", total=days), 0
            begun = time.monotonic()
            for count in history.write(first, days):
                readings += count
                bars.advance(task)
    took = max(time.monotonic() - begun, 1e-9)
    rate = readings / took
    yield f"{history.sensors:,} sensors, {days} days: {readings:,} readings in {took:.1f} s, {rate:,.0f}/s"
    yield f"the engines took {ran:.1f} s before that; most memory {_memory_mb():.0f} MB"
    yield f"a year of 5,000 sensors at 5 minutes ({YEAR_OF_5000:,}) at this rate: {YEAR_OF_5000 / rate / 60:.0f} min"


def _memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
