"""One tick: readings -> window -> detectors -> life cycle -> one transaction.

    storage.window   what came since the last tick
    detection        window and trend in memory -> detectors -> findings (subject, rule, level, evidence)
    reconciliation   findings against the open alerts: what to open, which step each of the others takes
    casebook         alerts of one event -> one incident, with its likely causes

Reading is one transaction and writing another: alerts, their history, incidents and messages stand together or not at
all. Who else changed an alert in between is seen by its version, and wins.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from alerts.casebook import Casebook
from alerts.causes import Cause, load_causes
from alerts.detection import Detection
from alerts.flapping import SPAN, FlapGuard, returning
from alerts.inventory import Inventory
from alerts.learning import read_parts
from alerts.overrides import applied
from alerts.reconciliation import reconcile
from alerts.rules import AnyRule
from alerts.trend import ROWS, STEP_S
from alerts.window import Window
from lifeline.catalogue import Catalogue
from lifeline.model import Alert, Subject, SubjectKind
from lifeline.storage import alerts as alert_storage
from lifeline.storage import baselines as baseline_storage
from lifeline.storage import maintenance, rulebook
from lifeline.storage import window as window_storage
from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.window import States

OVERLAP_S = 60.0
"""How much of a sensor's past is read again with what is new: readings may overtake each other by so much."""

AHEAD_S = 600.0
"""Clocks of devices may run fast by so much at the start: ingest takes nothing from further ahead."""

FILL_STEP_S = 300.0
"""The window is filled in stretches of this length, so that a start needs little more memory than a tick."""


@dataclass(frozen=True, slots=True)
class TickReport:
    """What a tick did."""

    findings: int
    raised: Sequence[Alert]
    changed: Sequence[Alert]
    sensors: int


class Watch:
    """Detection on the database. Losing it costs a start, never an alert."""

    def __init__(
        self, rules: Sequence[AnyRule], catalogue: Catalogue, window_s: float, causes: Sequence[Cause] | None = None
    ) -> None:
        self.detection = Detection(rules, catalogue, window_s)
        self._casebook = Casebook(load_causes() if causes is None else causes)
        self._fingerprint: tuple[str, ...] = ()
        self._learned: tuple[str, ...] = ()
        self._overrides: list[baseline_storage.Override] = []
        self._zones: dict[str, set[int]] = {}
        self._filled = False
        self._flaps = FlapGuard()

    @property
    def window(self) -> Window:
        """The last hour."""
        return self.detection.window

    @property
    def bytes(self) -> int:
        """Memory of what is remembered of readings."""
        return self.detection.window.bytes + self.detection.trend.bytes

    def tick(self, connection: Connection, now: datetime) -> TickReport:
        """Look at everything that came since the last tick, and write what follows from it in one transaction."""
        detection = self.detection
        with storage_errors(), connection.transaction():
            self._read_inventory(connection)
            states = window_storage.states(connection)
            quarter = self._read_readings(connection, states, now.timestamp())
            devices = window_storage.devices(connection)
            open_alerts = alert_storage.list_open(connection)
        findings, suppressed = detection.look(states, devices, open_alerts, now, quarter)
        at_rest = _at_rest(detection.inventory)
        with storage_errors(), connection.transaction():
            asked = {(finding.subject, finding.rule) for finding in findings}
            asked |= {(alert.subject, alert.rule) for alert in open_alerts}
            at_work = maintenance.covered(connection, list(asked), now)
            plan = reconcile(detection.rules, findings, open_alerts, suppressed, at_rest, at_work)
            returns = alert_storage.returns(connection, returning(plan.changes), now - SPAN)
            raised = alert_storage.raise_alerts(connection, plan.openings, now)  # of which nobody else knows: no turn
            alert_storage.take_turn(connection)
            changed = alert_storage.change_alerts(connection, self._flaps.hold(plan.changes, returns, now), now)
            self._casebook.update(connection, now)
        return TickReport(len(findings), raised, changed, len(detection.inventory.sensor_ids))

    def _read_inventory(self, connection: Connection) -> None:
        """Inventory, overrides and baselines, where they changed."""
        overrides = baseline_storage.overrides(connection)
        fingerprint = window_storage.fingerprint(connection)
        zones = rulebook.zone_sensors(connection, [one.target for one in overrides if one.scope == "zone"])
        if (fingerprint, overrides, zones) != (self._fingerprint, self._overrides, self._zones):
            sensors, devices = window_storage.sensors(connection), window_storage.devices(connection)
            assets = window_storage.assets(connection)
            self.detection.set_inventory(applied(sensors, assets, overrides, zones), devices, assets)
            self._fingerprint, self._overrides, self._zones = fingerprint, overrides, zones
        learned = baseline_storage.fingerprint(connection)
        if learned != self._learned:
            self.detection.set_knowledge(read_parts(connection))
            self._learned = learned

    def _read_readings(self, connection: Connection, states: States, now: float) -> bool:
        """Bring window and trend up to date; True when a quarter of an hour was closed."""
        window = self.detection.window
        if not self._filled:
            self._fill(connection, now)
            self._filled = quarter = True
        else:
            ids, since = window.behind(states.sensor_id, states.ts)
            since -= OVERLAP_S
            readings = window_storage.readings_of(connection, ids.tolist(), since.tolist(), window.floor(now))
            self.detection.take(readings, now)
            quarter = self.detection.close_quarters(now)
        if quarter:
            self.detection.jumps = baseline_storage.implausible(connection, now - STEP_S)
        window.mark_seen(states.sensor_id, states.ts)
        return quarter

    def _fill(self, connection: Connection, now: float) -> None:
        """Everything of the window, in stretches; and of the day before from the roll-ups."""
        low, end = self.detection.window.floor(now), now + AHEAD_S
        while low < end:
            high = min(low + FILL_STEP_S, end)
            self.detection.take(window_storage.readings_between(connection, low, high), now)
            low = high
        self.detection.close_quarters(now)
        newest = now // STEP_S * STEP_S
        for number in range(ROWS, 0, -4):
            begin = newest - number * STEP_S
            self.detection.trend.fill(*baseline_storage.quarters(connection, begin, begin + 4 * STEP_S))


def _at_rest(inventory: Inventory) -> set[Subject]:
    resting = inventory.sensor_ids[~inventory.in_service]
    return {Subject(SubjectKind.SENSOR, int(sensor_id)) for sensor_id in resting}
