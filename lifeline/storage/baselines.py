"""What is normal: history to learn from, the periods that must not teach, and baselines by version."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lifeline.model import JsonObject, Quality
from lifeline.storage.columns import array_columns, seconds
from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.queries import load

KEPT_VERSIONS = 5
"""Versions of each part that stay."""

RAIN = "rain"
"""The quantity of which a quarter's mean counts and not its last reading."""

_SQL = load("baselines")


class Quarters(NamedTuple):
    """The last reading of quarters of an hour as columns, in no order; ``bucket`` is the quarter's begin, epoch s."""

    sensor_id: NDArray[np.int32]
    bucket: NDArray[np.float64]
    last: NDArray[np.float64]


class Alarm(NamedTuple):
    """A period in which an alert of ``rule`` on a sensor was in alarm, epoch seconds."""

    sensor_id: int
    rule: str
    first: float
    last: float


@dataclass(frozen=True, slots=True)
class Learned:
    """One part's baseline to be stored; ``days`` and ``ready`` belong to ``sensor_ids``."""

    part: str
    version: str
    learned_at: float
    first: float
    last: float
    sensor_ids: Sequence[int]
    days: Sequence[float]
    ready: Sequence[bool]
    content: bytes


class Standing(NamedTuple):
    """When something was last learned (epoch seconds, None never), and how many sensors are ready, of how many."""

    learned_at: float | None
    ready: int
    sensors: int


class Override(NamedTuple):
    """A person's limits of a rule for one place; ``limits`` None switches it off there."""

    rule: str
    scope: str
    target: str
    limits: JsonObject | None


def history(connection: Connection, sensor_ids: Sequence[int], low: float, high: float) -> Quarters:
    """The quarters of some sensors in ``[low, high)``, epoch seconds."""
    return _quarters(connection, "history", {"sensors": list(sensor_ids), "low": low, "high": high})


def quarters(connection: Connection, low: float, high: float) -> Quarters:
    """The quarters of every sensor in ``[low, high)``, epoch seconds."""
    return _quarters(connection, "quarters", {"low": low, "high": high})


def _quarters(connection: Connection, statement: str, values: dict[str, object]) -> Quarters:
    sensor_id, bucket, last = array_columns(
        connection, _SQL[statement], values | {"averaged": RAIN}, ("i4", "i8", "f8")
    )
    return Quarters(sensor_id.astype(np.int32), seconds(bucket), last.astype(np.float64))


def alarms(connection: Connection, low: float, high: float) -> list[Alarm]:
    """The periods of ``[low, high)`` in which sensors were in alarm; one that lasts ends at ``high``."""
    with storage_errors():
        return [Alarm(*row) for row in connection.execute(_SQL["marked"], {"low": low, "high": high})]


def implausible(connection: Connection, low: float) -> dict[int, int]:
    """How many live readings since ``low`` (epoch seconds) were marked as implausible, by sensor."""
    values = {"low": low, "implausible": int(Quality.IMPLAUSIBLE), "backlog": int(Quality.BACKLOG)}
    with storage_errors():
        return dict(connection.execute(_SQL["implausible"], values).fetchall())


def save(connection: Connection, learned: Learned) -> None:
    """Store one part's baseline, and what it knows of each sensor, in one transaction."""
    values = {name: getattr(learned, name) for name in ("part", "version", "learned_at", "first", "last", "content")}
    ready = list(learned.ready)
    with storage_errors(), connection.transaction():
        connection.execute(_SQL["save"], values | {"sensors": len(ready), "ready": sum(ready)})
        of_sensors = {"sensor_ids": list(learned.sensor_ids), "days": list(learned.days), "readys": ready}
        connection.execute(_SQL["save_sensors"], {**values, **of_sensors})
        connection.execute(_SQL["forget"], {"kept": KEPT_VERSIONS})


def keep_parts(connection: Connection, parts: Sequence[str]) -> None:
    """Forget parts that the city does not have any more."""
    with storage_errors(), connection.transaction():
        connection.execute(_SQL["keep_parts"], {"parts": list(parts)})


def fingerprint(connection: Connection) -> tuple[str, ...]:
    """Differs from an earlier one when something was learned in between."""
    with storage_errors():
        return tuple(connection.execute(_SQL["fingerprint"]).fetchone() or ())


def newest(connection: Connection) -> dict[str, bytes]:
    """The content of each part's newest version."""
    with storage_errors():
        return {part: bytes(content) for part, content in connection.execute(_SQL["newest"])}


def standing(connection: Connection) -> Standing:
    """How far learning is."""
    with storage_errors():
        return Standing(*(connection.execute(_SQL["standing"]).fetchone() or (None, 0, 0)))


def overrides(connection: Connection) -> list[Override]:
    """A person's changes to rules, the widest scope first."""
    with storage_errors():
        return [Override(*row) for row in connection.execute(_SQL["overrides"])]
