"""One tick: readings -> window -> detectors -> life cycle -> one transaction."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from alerts.casebook import Casebook
from alerts.causes import load_causes
from alerts.detectors import rate, silence, threshold
from alerts.flapping import SPAN, FlapGuard, returning
from alerts.inventory import Inventory, build_inventory
from alerts.reconciliation import Key, reconcile
from alerts.rules import Rate, Silence, Threshold
from alerts.window import Window
from lifeline.catalogue import Catalogue
from lifeline.model import Alert, Finding, Level, Subject, SubjectKind
from lifeline.storage import alerts as alert_storage
from lifeline.storage import maintenance
from lifeline.storage import window as window_storage
from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.window import DeviceRow, States

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
    """The detectors' memory: rules, inventory, window. Losing it costs a start, never an alert."""

    def __init__(self, rules: Sequence[Threshold | Rate | Silence], catalogue: Catalogue, window_s: float) -> None:
        self.rules: dict[str, Threshold | Rate | Silence] = {rule.id: rule for rule in rules}
        self.catalogue = catalogue
        self.window = Window(np.empty(0, np.int32), window_s)
        self._casebook = Casebook(load_causes())
        self._inventory: Inventory | None = None
        self._fingerprint: tuple[str, ...] = ()
        self._filled = False
        self._flaps = FlapGuard()

    def tick(self, connection: Connection, now: datetime) -> TickReport:
        """Look at everything that came since the last tick, and write what follows from it in one transaction."""
        with storage_errors(), connection.transaction():
            inventory = self._read_inventory(connection)
            states = window_storage.states(connection)
            self._read_readings(connection, states, now.timestamp())
            devices = window_storage.devices(connection)
            open_alerts = alert_storage.list_open(connection)
        findings, suppressed = self._detect(inventory, states, devices, open_alerts, now)
        with storage_errors(), connection.transaction():
            asked = {(finding.subject, finding.rule) for finding in findings}
            asked |= {(alert.subject, alert.rule) for alert in open_alerts}
            at_work = maintenance.covered(connection, list(asked), now)
            plan = reconcile(self.rules, findings, open_alerts, suppressed, _at_rest(inventory), at_work)
            returns = alert_storage.returns(connection, returning(plan.changes), now - SPAN)
            raised = alert_storage.raise_alerts(connection, plan.openings, now)
            changed = alert_storage.change_alerts(connection, self._flaps.hold(plan.changes, returns, now), now)
            self._casebook.update(connection, now)
        return TickReport(len(findings), raised, changed, len(inventory.sensor_ids))

    def _read_inventory(self, connection: Connection) -> Inventory:
        fingerprint = window_storage.fingerprint(connection)
        if self._inventory is None or fingerprint != self._fingerprint:
            sensors, devices = window_storage.sensors(connection), window_storage.devices(connection)
            self._inventory = build_inventory(sensors, devices, self.catalogue)
            self.window = self.window.carried_over(self._inventory.sensor_ids)
            self._fingerprint = fingerprint
        return self._inventory

    def _read_readings(self, connection: Connection, states: States, now: float) -> None:
        """Bring the window up to date: everything at the start, then the sensors of which something came."""
        if not self._filled:
            low, end = self.window.floor(now), now + AHEAD_S
            while low < end:
                high = min(low + FILL_STEP_S, end)
                self._merge(window_storage.readings_between(connection, low, high), now)
                low = high
            self._filled = True
        else:
            ids, since = self.window.behind(states.sensor_id, states.ts)
            since -= OVERLAP_S
            readings = window_storage.readings_of(connection, ids.tolist(), since.tolist(), self.window.floor(now))
            self._merge(readings, now)
        self.window.mark_seen(states.sensor_id, states.ts)

    def _merge(self, readings: window_storage.Readings, now: float) -> None:
        self.window.merge(readings.sensor_id, readings.ts, readings.value, now)

    def _detect(
        self,
        inventory: Inventory,
        states: States,
        devices: Sequence[DeviceRow],
        open_alerts: Iterable[Alert],
        now: datetime,
    ) -> tuple[list[Finding], set[Key]]:
        held: dict[str, dict[int, Level]] = {rule: {} for rule in self.rules}
        for alert in open_alerts:
            if alert.rule in held and alert_storage.is_active(alert):
                held[alert.rule][alert.subject.id] = alert.level
        ears = silence.listen(inventory, states, devices, now.timestamp())
        findings: list[Finding] = []
        suppressed: set[Key] = set()
        for rule in self.rules.values():
            if isinstance(rule, Silence):
                findings += silence.detect(rule, ears[rule.subject], held[rule.id], now)
                kind = SubjectKind.SENSOR if rule.subject == "sensor" else SubjectKind.DEVICE
                suppressed |= {(Subject(kind, one), rule.id) for one in silence.suppressed(ears[rule.subject])}
            else:
                detect = threshold.detect if isinstance(rule, Threshold) else rate.detect
                findings += detect(rule, self.window, inventory, self.catalogue, held[rule.id], now)  # type: ignore[arg-type]
        return findings, suppressed


def _at_rest(inventory: Inventory) -> set[Subject]:
    resting = inventory.sensor_ids[~inventory.in_service]
    return {Subject(SubjectKind.SENSOR, int(sensor_id)) for sensor_id in resting}
