"""Runs ``simulators.history`` for the command: room first, bars while it works, rate and memory at the end."""

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from lifeline.catalogue import load_catalogue
from lifeline.errors import ConfigurationError, ConflictError, ServiceError, StorageError
from lifeline.settings import Settings
from lifeline.storage import health
from lifeline.storage.database import Connection
from lifeline.storage.ingest import connect_writer
from simulators.districts import LAYOUTS
from simulators.history import DAY_STEPS, History
from simulators.weather import DAY_S

YEAR_OF_5000 = 525_600_000
"""Readings of 5,000 sensors at 5 minutes in a year."""
READING_BYTES = 100
"""Of a reading with its keys on disk, on the Apache edition: 92 were measured (docs/explanation/performance.md)."""
ROLLED_BYTES = 16_000
"""Of the roll-ups of a sensor and day, which `alerts` makes when it runs (docs/explanation/limits.md)."""


def write_history(settings: Settings, seed: int, districts: int, days: int, now: datetime) -> Iterator[str]:
    """Write what is missing of the days before ``now``'s midnight; gives lines about what was done.

    Raises LifelineError; a run that was cut goes on where it stopped.
    """
    first = now.timestamp() // DAY_S * DAY_S - days * DAY_S
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
               TimeRemainingColumn())  # fmt: skip
    with connect_writer(settings.require_database()) as connection:
        history = History(connection, load_catalogue(settings.catalogue), seed, districts)
        connection.commit()
        begins = history.missing(first, days)
        if len(begins) < days:
            yield f"{days - len(begins)} of the {days} days are there already"
        if not begins:
            return
        yield room_for(connection, history.sensors, len(begins))
        with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
            engines = bars.add_task("engines, days", total=14 * min(LAYOUTS, districts))
            begun = time.monotonic()
            history.prepare(lambda: bars.advance(engines))
            ran = time.monotonic() - begun
            task, counts = bars.add_task("history, days", total=len(begins)), list[int]()
            begun = time.monotonic()
            with told_where_it_stopped(counts, len(begins)):
                for count in history.write(begins):
                    counts.append(count)
                    bars.advance(task)
    took, readings = max(time.monotonic() - begun, 1e-9), sum(counts)
    rate = readings / took
    yield f"{history.sensors:,} sensors, {len(begins)} days: {readings:,} readings in {took:.1f} s, {rate:,.0f}/s"
    yield f"the engines took {ran:.1f} s before that; most memory {memory_mb():.0f} MB"
    yield f"a year of 5,000 sensors at 5 minutes ({YEAR_OF_5000:,}) at this rate: {YEAR_OF_5000 / rate / 60:.0f} min"


def room_for(connection: Connection, sensors: int, days: int) -> str:
    """What the days will take on the database's disk. Raises ConfigurationError where there is no room for them."""
    free, log = health.room(connection)
    connection.commit()
    readings = sensors * DAY_STEPS * days
    needed = (readings * READING_BYTES + log) / 1e9
    told = f"{readings:,} readings need about {needed:.1f} GB of disk, the database's log included"
    if free is not None and needed > free / 1e9:
        raise ConfigurationError(
            f"{told}, and it has {free / 1e9:.1f} GB free: fewer --days or --districts, or a larger disk"
        )
    has = "which is not on this machine: see to it there" if free is None else f"which has {free / 1e9:.1f} GB free"
    rolled = sensors * days * ROLLED_BYTES / 1e9
    return f"{told}, {has}; roll-ups take {rolled:.1f} GB more, made when `alerts` runs"


@contextmanager
def told_where_it_stopped(counts: list[int], wanted: int) -> Iterator[None]:
    """An interruption, or what the database says, as a ServiceError that tells how many days of those are there."""
    try:
        yield
    except (KeyboardInterrupt, StorageError, ConflictError) as cut:
        why = "interrupted" if isinstance(cut, KeyboardInterrupt) else str(cut).partition("\n")[0]
        raise ServiceError(
            f"{why}: {len(counts)} of {wanted} days are written, each whole; the same command goes on with the rest"
        ) from cut


def memory_mb() -> float:
    """Most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
