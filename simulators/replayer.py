"""Runs ``simulators.replay`` for the command: what is asked for, what stands against it, bars, and what came of it."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from lifeline.errors import ConfigurationError, ServiceError
from lifeline.settings import Settings
from lifeline.storage import window
from lifeline.storage.database import Connection, connect
from simulators.recorded import Files, Past, Recorded, inventory
from simulators.replay import Pace, Player, Voices

LIVE_S = 900.0
"""A sensor that spoke so long ago speaks still."""
NAMED = 5


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be played, when, and how. ``csv`` None: the database from ``first`` on. Times in epoch seconds."""

    csv: Path | None
    first: float | None
    last: float | None
    devices: tuple[str, ...]
    speed: float
    shift: bool
    over_live: bool = False
    dry_run: bool = False


def replay_recorded(
    settings: Settings, wish: Wish, passwords: Path | None, now: datetime, stop: threading.Event
) -> Iterator[str]:
    """Play until the end or ``stop``, and give lines about what was done. Raises ConfigurationError, and ServiceError
    where the broker did not take everything."""
    with connect(settings.require_database(), application="lifeline replay") as connection:
        recorded = _recorded(connection, wish, now.timestamp())
        speaking = _speaking(connection, recorded, now.timestamp()) if wish.shift else []
        connection.rollback()
        pace = Pace(recorded.first, recorded.last, now.timestamp(), wish.speed, wish.shift)
        yield from _told(recorded, pace, speaking)
        if wish.dry_run:
            yield f"{_count(recorded):,} readings would be played; nothing was"
            return
        if speaking and not wish.over_live:
            raise ConfigurationError(
                f"{len(speaking)} of the sensors speak themselves ({', '.join(speaking[:NAMED])}): what is played now "
                "would lie among their own readings and raise alerts. --over-live plays all the same"
            )
        yield from _played(settings, recorded, wish, passwords, stop)


def _recorded(connection: Connection, wish: Wish, now: float) -> Recorded:
    known = inventory(connection, wish.devices)
    if wish.csv is not None:
        return Files(wish.csv, known, wish.first, wish.last)
    if wish.first is None:
        raise ConfigurationError("say which past: --from (and --to) of the database, or --csv with a file")
    last = now if wish.last is None else wish.last
    if last <= wish.first:
        raise ConfigurationError("--to must be later than --from")
    return Past(connection, known, wish.first, last)


def _speaking(connection: Connection, recorded: Recorded, now: float) -> list[str]:
    """Sensors of the recording whose own readings still come."""
    names = {f"{sensor.device}/{sensor.channel}" for sensor in recorded.sensors}
    states = window.states(connection)
    fresh = set(states.sensor_id[states.ts > now - LIVE_S].tolist())
    return [row.name for row in window.sensors(connection) if row.sensor_id in fresh and row.name in names]


def _told(recorded: Recorded, pace: Pace, speaking: list[str]) -> Iterator[str]:
    span = " to ".join(
        f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}" for at in (recorded.first, recorded.last)
    )
    yield f"recorded  {len(recorded.sensors):,} sensors, {span}"
    if recorded.left_out:
        more = " ..." if len(recorded.left_out) > NAMED else ""
        named = ", ".join(recorded.left_out[:NAMED])
        yield f"left out  {len(recorded.left_out)} that name no sensor of the inventory: {named}{more}"
    stamps = "the moment of playing" if pace.live else "shifted to end now" if pace.shift else "their own times"
    backlog = "" if pace.live else ", marked as backlog: they raise no live alert"
    yield f"readings  bear {stamps}{backlog}"
    yield (
        f"takes     {pace.lasts_s:,.0f} s at {pace.speed:g} x" if pace.speed else "takes     as long as the broker does"
    )
    if speaking:
        yield f"careful   {len(speaking)} of the sensors speak themselves now"


def _count(recorded: Recorded) -> int:
    with _bar(recorded) as tell:
        total = 0
        for block in recorded.blocks():
            total += len(block.times)
            if len(block.times):
                tell(float(block.times[-1]))
    return total


def _played(
    settings: Settings, recorded: Recorded, wish: Wish, passwords: Path | None, stop: threading.Event
) -> Iterator[str]:
    settings.require_broker()
    voices = Voices(settings, passwords, recorded.sensors)
    pace = Pace(recorded.first, recorded.last, time.time(), wish.speed, wish.shift)
    player = Player(recorded, voices, pace, stop)
    begun, whole = time.monotonic(), True
    voices.start(stop)
    try:
        with _bar(recorded) as tell:
            player.play(tell)
    finally:
        whole = voices.end()
    took = max(time.monotonic() - begun, 1e-9)
    yield (
        f"played    {player.readings:,} readings in {player.messages:,} messages, {took:.1f} s, "
        f"{player.readings / took:,.0f} readings/s"
    )
    if not whole:
        raise ServiceError("the broker did not take everything in time; play the same again: what is there stays once")
    if stop.is_set():
        yield "stopped   before the end"


@contextmanager
def _bar(recorded: Recorded) -> Iterator[Callable[[float], None]]:
    """A bar over the recording's time, moved by calling what is given; nothing where there is no terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(),
               TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task("recording", total=max(recorded.last - recorded.first, 1e-9))
        yield lambda reached: bars.update(task, completed=reached - recorded.first)
