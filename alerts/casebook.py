"""Keeps the incidents in step with the alerts: reads, has them grouped, and writes, in the tick's own transaction."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec
import numpy as np

from alerts.causes import LARGEST_BESIDE_M, Cause, Member, Neighbour, Ranking, wanted_beside
from alerts.incidents import plan
from alerts.pipework import Pipework
from alerts.proximity import Floats, distance_to, plane
from lifeline.geo import cells_around
from lifeline.model import Level
from lifeline.storage import incidents as storage
from lifeline.storage.alerts import take_turn
from lifeline.storage.database import Connection
from lifeline.storage.incidents import AssetBeside, MemberRow

RAIN_SPAN_S = 3 * 3600.0
WET_MM = 2.0
"""An alert is wet where so much fell in the three hours before the moment in which it began was over (default)."""
LATE_S = 60.0
"""A gauge's last reading of a moment is here by then (default)."""
GAUGE_M = 5000.0
"""A gauge speaks for so far around it; beyond, nobody knows whether it rained (default)."""
MOMENT_S = 300.0
"""Rain is asked for at even moments, so that alerts of one storm ask together, and again until the moment is over: the
first manholes fill up within minutes of a cloudburst, before any hour has had its 2 mm."""
RESOLUTION = 10
"""Hexagons of 66 m edge and more than LARGEST_BESIDE_M from edge to edge: seven hold all that is beside a place."""


class Casebook:
    """Remembers what does not change, the networks and what stands beside each alert: losing it costs a look."""

    def __init__(self, causes: Sequence[Cause]) -> None:
        self._causes = causes
        # Whose surroundings to look at must be known before these are.
        self._beside = [
            (msgspec.structs.replace(match, beside=None, wet=None, origin=""), beside)
            for match, beside in wanted_beside(causes)
        ]
        self._fingerprint: str | None = None
        self._topology = Pipework(np.empty((2, 0), np.int64))
        self._gauges: list[tuple[int, float, float]] = []
        self._known: dict[int, tuple[bool | None, tuple[Neighbour, ...]]] = {}
        self._ranking = Ranking(causes)
        self._settled: object = None

    def update(self, connection: Connection, now: datetime) -> int:
        """Open, change, merge and close incidents as the open alerts ask for; how many did. Call in a transaction.

        Where neither alerts nor incidents have changed since nothing was to be done, nothing is done.
        """
        take_turn(connection)
        rows = storage.members(connection)
        incidents = storage.open_incidents(connection)
        seen = ([(row.alert_id, row.version, row.incident_id) for row in rows], [each.version for each in incidents])
        if seen == self._settled:
            return 0
        self._settled = None
        self._read_networks(connection)
        self._look_around(connection, rows, now.timestamp())
        standing = {each.incident_id for each in incidents}
        members = [self._member(row, standing) for row in rows]
        made = plan(members, incidents, self._causes, self._topology, self._ranking)
        self._ranking.forget()
        if not made.openings and not made.changes and not self._may_yet_be_wet(rows, now.timestamp()):
            self._settled = seen
        return storage.write(connection, made.openings, made.changes, now)

    def _read_networks(self, connection: Connection) -> None:
        fingerprint = storage.fingerprint(connection)
        if fingerprint != self._fingerprint:
            self._topology = Pipework(storage.joints(connection), storage.latitude(connection))
            self._known.clear()
            self._ranking.forget(everything=True)
            self._fingerprint = fingerprint
        self._gauges = storage.gauges(connection)

    def _may_yet_be_wet(self, rows: Iterable[MemberRow], now: float) -> list[MemberRow]:
        """Alerts whose moment is not over, and that were dry so far."""
        return [row for row in rows if self._known[row.alert_id][0] is False and now <= _moment(row) + LATE_S]

    def _look_around(self, connection: Connection, rows: Sequence[MemberRow], now: float) -> None:
        """What the new alerts need to know of their surroundings: rain before, and assets of other networks beside."""
        known = self._known
        self._known = {row.alert_id: known[row.alert_id] for row in rows if row.alert_id in known}
        new = [row for row in rows if row.alert_id not in known]
        again = self._may_yet_be_wet([row for row in rows if row.alert_id in known], now)
        for alert_id, is_wet in (self._wet(connection, again) if again else {}).items():
            self._known[alert_id] = is_wet, self._known[alert_id][1]
        if new:
            wet = self._wet(connection, new)
            beside = self._neighbours(connection, new)
            for row in new:
                self._known[row.alert_id] = wet.get(row.alert_id), tuple(sorted(beside.get(row.alert_id, ())))

    def _wet(self, connection: Connection, rows: Sequence[MemberRow]) -> dict[int, bool]:
        """Whether it had rained at the nearest gauge; nothing for alerts that have none near."""
        asked: dict[int, tuple[int, float]] = {}
        east, north = self._plane([(east, north) for _, east, north in self._gauges])
        for row in rows:
            if row.longitude is not None and row.latitude is not None and self._gauges:
                x, y = self._plane([(row.longitude, row.latitude)])
                away = np.hypot(east - x, north - y)
                nearest = int(np.argmin(away))
                if away[nearest] <= GAUGE_M:
                    asked[row.alert_id] = self._gauges[nearest][0], _moment(row)
        fallen = storage.rain(connection, sorted(set(asked.values())), RAIN_SPAN_S) if asked else {}
        return {alert: fallen[what] >= WET_MM for alert, what in asked.items() if what in fallen}

    def _plane(self, places: Sequence[tuple[float, float]]) -> tuple[Floats, Floats]:
        at = np.array(places, float).reshape(-1, 2)
        return plane(at[:, 0], at[:, 1], self._topology.latitude)

    def _neighbours(self, connection: Connection, rows: Sequence[MemberRow]) -> dict[int, list[Neighbour]]:
        """The nearest asset of each network and kind that a cause asks for, of each alert that it asks it of."""
        wanted: list[tuple[int, float, float, set[tuple[str, str]], list[str]]] = []
        for row in rows:
            if row.longitude is not None and row.latitude is not None and (kinds := self._asks(row)):
                cells = cells_around(row.longitude, row.latitude, RESOLUTION)
                wanted.append((row.alert_id, row.longitude, row.latitude, kinds, cells))
        asked = {(cell, *kind) for *_, kinds, cells in wanted for kind in kinds for cell in cells}
        found: dict[tuple[str, str, str], list[AssetBeside]] = {}
        for asset in storage.beside(connection, sorted(asked), RESOLUTION):
            found.setdefault((asset.cell, asset.network, asset.kind), []).append(asset)
        result: dict[int, list[Neighbour]] = {}
        for alert_id, longitude, latitude, kinds, cells in wanted:
            for kind in kinds:
                around = [asset for cell in cells for asset in found.get((cell, *kind), ())]
                nearest = _nearest(around, longitude, latitude)
                if nearest is not None:
                    result.setdefault(alert_id, []).append(nearest)
        return result

    def _asks(self, row: MemberRow) -> set[tuple[str, str]]:
        """Networks and kinds of what some cause wants to know to be beside this alert."""
        member = _bare(row)
        return {(beside.network, str(beside.kind)) for match, beside in self._beside if match.holds(member)}

    def _member(self, row: MemberRow, standing: set[int]) -> Member:
        wet, neighbours = self._known[row.alert_id]
        incident_id = row.incident_id if row.incident_id in standing else 0
        return _bare(row, incident_id, wet, neighbours)


def _moment(row: MemberRow) -> float:
    """The end of the moment in which an alert began, in epoch seconds."""
    return (row.first_seen // MOMENT_S + 1) * MOMENT_S


def _nearest(around: Iterable[AssetBeside], longitude: float, latitude: float) -> Neighbour | None:
    """The nearest of these, if it is near."""
    near = [
        Neighbour(asset.network, asset.kind, asset.external_id, asset.name, away)
        for asset in around
        if (away := round(distance_to(asset.geometry, longitude, latitude), 1)) <= LARGEST_BESIDE_M
    ]
    return min(near, key=lambda each: (each.distance_m, each.asset), default=None)


def _bare(
    row: MemberRow,
    incident_id: int = 0,
    wet: bool | None = None,
    neighbours: Sequence[Neighbour] = (),
) -> Member:
    return Member(
        row.alert_id,
        row.rule,
        row.network,
        Level(row.level),
        row.first_seen,
        incident_id=incident_id,
        quantity=row.quantity,
        open=row.open,
        muted=row.muted,
        asset_id=row.asset_id,
        origin=row.origin,
        rules=tuple(row.rules),
        asset_kind=row.asset_kind,
        place=row.asset_name or row.place,
        longitude=row.longitude,
        latitude=row.latitude,
        wet=wet,
        neighbours=neighbours,
        active=row.active,
        silent=row.silent,
        acknowledged_at=row.acknowledged_at,
        acknowledged_by=row.acknowledged_by,
    )
