"""What happened in an area within a span: alerts, breaks, rain, ponding, night flow. From the quarter-hour roll-ups."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lifeline.errors import NotFoundError
from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.queries import load

Floats = NDArray[np.float64]

_SQL = load("effect")


class Span(NamedTuple):
    """From ``start`` until before ``end``."""

    start: datetime
    end: datetime

    @property
    def days(self) -> float:
        return (self.end - self.start).total_seconds() / 86_400


class Quarters(NamedTuple):
    """Quarter-hours that rain was told of: begins in seconds since 1970, mm/h, and minutes of ponding of a sensor."""

    start_s: Floats
    rain_mm_h: Floats
    ponding_min: Floats


def check_zone(connection: Connection, zone: str | None) -> None:
    """Raises NotFoundError for a zone that there is not."""
    with storage_errors():
        if zone is not None and connection.execute(_SQL["zone_exists"], {"zone": zone}).fetchone() is None:
            raise NotFoundError(f"there is no zone {zone!r}")


def alerts_by_rule(connection: Connection, zone: str | None, span: Span) -> dict[str, int]:
    """Risk alerts raised in the area, by rule."""
    with storage_errors():
        return dict(connection.execute(_SQL["alerts"], {"zone": zone, **span._asdict()}).fetchall())


def breaks(connection: Connection, zone: str | None, span: Span) -> int:
    """Breaks on record in the area."""
    with storage_errors():
        row = connection.execute(_SQL["breaks"], {"zone": zone, **span._asdict()}).fetchone()
    return int(row[0]) if row else 0


def rain_and_ponding(
    connection: Connection, zone: str | None, roads: Sequence[str], deep_m: float, span: Span
) -> Quarters:
    """Rain (of the area's gauges, else the city's) and ponding of ``deep_m`` or more, a mean over the sensors."""
    with storage_errors():
        gauges = _sensors(connection, "rain", zone, ()) or _sensors(connection, "rain", None, ())
        ponds = _sensors(connection, "ponding_depth", zone, roads)
        rain = _rows(connection, "mean_by_quarter", {"sensors": gauges, **span._asdict()}, 2)
        values = {"sensors": ponds, "deep": deep_m, **span._asdict()}
        ponded = _rows(connection, "ponded_by_quarter", values, 3)
    share = np.zeros(len(rain))
    place = np.searchsorted(rain[:, 0], ponded[:, 0])
    known = (
        (place < len(rain)) & (rain[np.minimum(place, len(rain) - 1), 0] == ponded[:, 0]) if len(rain) else place < 0
    )
    share[place[known]] = ponded[known, 1] / ponded[known, 2]
    return Quarters(rain[:, 0], rain[:, 1], share * 15.0)


def night_flow(
    connection: Connection, zone: str | None, zone_name: str, span: Span
) -> tuple[NDArray[np.int64], Floats]:
    """Night (number of its local date) and flow into the area, for each quarter between two and four o'clock.

    By the meters of the zone's balance; where it has none, by the flow sensors in it.
    """
    with storage_errors():
        meters = connection.execute(_SQL["balance"], {"zone": zone}).fetchall() if zone else []
        meters = meters or [(sensor, 1) for sensor in _sensors(connection, "flow", zone, ())]
        if not meters:
            return np.empty(0, dtype=np.int64), np.empty(0)
        sensors, directions = (list(column) for column in zip(*meters, strict=True))
        values = {"sensors": sensors, "directions": directions, "zone_name": zone_name, **span._asdict()}
        found = _rows(connection, "night_balance", values, 2)
    return found[:, 0].astype(np.int64), found[:, 1]


def _sensors(connection: Connection, quantity: str, zone: str | None, roads: Sequence[str]) -> list[int]:
    values = {"quantity": quantity, "zone": zone, "roads": list(roads)}
    return [sensor for (sensor,) in connection.execute(_SQL["sensors"], values)]


def _rows(connection: Connection, name: str, values: dict[str, object], columns: int) -> Floats:
    return np.array(connection.execute(_SQL[name], values).fetchall(), dtype=np.float64).reshape(-1, columns)
