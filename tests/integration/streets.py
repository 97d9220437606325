"""Three streets of chambers with sensors in them, and what becomes of their alerts without a tick."""

from datetime import timedelta
from typing import Any

from alerts.casebook import Casebook
from alerts.causes import load_causes
from lifeline.inventory import Entry
from lifeline.lifecycle import Event, step
from lifeline.model import Alert, AlertKind, Asset, AssetKind, Finding, Level, Sensor, Subject, SubjectKind
from lifeline.storage import alerts, incidents, inventory
from lifeline.storage.database import Connection
from lifeline.storage.incidents import IncidentFilter, IncidentLine
from tests.integration.city import NOON

WEST, SOUTH = 117.27, 31.86
EAST_M, NORTH_M = 1 / 94_500, 1 / 111_195
CHANNELS = {"gas": ["methane"], "drainage": ["methane", "level"], "water": ["pressure"]}


def at(x: float, y: float) -> list[float]:
    return [WEST + x * EAST_M, SOUTH + y * NORTH_M]


def chambers(network: str, count: int, y: float, apart_m: float = 100) -> list[Asset]:
    """A street of chambers with pipes between them."""
    letter = network[0].upper()
    nodes = [
        Asset(
            f"{letter}-C{n}",
            network,
            AssetKind.CHAMBER,
            {"type": "Point", "coordinates": at(apart_m * n, y)},
            depth_m=3,
        )
        for n in range(count)
    ]
    pipes = [
        Asset(f"{letter}-P{n}", network, AssetKind.PIPE,
              {"type": "LineString", "coordinates": [at(apart_m * n, y), at(apart_m * (n + 1), y)]},
              from_asset=f"{letter}-C{n}", to_asset=f"{letter}-C{n + 1}")
        for n in range(count - 1)
    ]  # fmt: skip
    return nodes + pipes


class City:
    """A gas pipe, a drain ten metres beside it and a water main a kilometre away, with a sensor in each chamber."""

    def __init__(self, connection: Connection) -> None:
        self.connection, self.now = connection, NOON
        self.casebook = Casebook(load_causes())
        assets = [*chambers("gas", 8, 0), *chambers("drainage", 8, 10), *chambers("water", 8, 1000, 400)]
        inventory.store_assets(connection, [Entry(n, each) for n, each in enumerate(assets, 1)], NOON)
        sensors = [
            Sensor(f"rtu-{asset.external_id}", asset.network, channel, asset.external_id)
            for asset in assets
            if asset.kind is AssetKind.CHAMBER
            for channel in CHANNELS[asset.network]
        ]
        sensors.append(Sensor("rain-1", "drainage", "rain", None, "", *at(300, 300)))
        inventory.store_sensors(connection, [Entry(n, each) for n, each in enumerate(sensors, 1)])
        rows = connection.execute(
            "SELECT d.external_id, s.channel, s.sensor_id FROM sensor s JOIN device d USING (device_id)"
        )
        self.sensors = {(device.removeprefix("rtu-"), channel): sensor for device, channel, sensor in rows}
        connection.commit()

    def raise_alert(
        self, asset: str, rule: str, level: Level = Level.YELLOW, kind: AlertKind = AlertKind.RISK, minutes: float = 0
    ) -> Alert:
        """An alert, without a tick."""
        sensor = self.sensors[
            asset, {"methane": "methane", "pressure": "pressure", "level": "level"}[rule.split(".")[0]]
        ]
        evidence = {
            "title": {"en": rule, "zh": rule},
            "advice": {"en": "Go", "zh": "去"},
            "quantity": rule.split(".")[0],
        }
        seen = self.now + timedelta(minutes=minutes)
        finding = Finding(Subject(SubjectKind.SENSOR, sensor), rule, level, seen, seen, evidence)
        (alert,) = alerts.raise_alerts(self.connection, [alerts.Opening(finding, "v1", kind)], self.now)
        return alert

    def close(self, alert: Alert) -> None:
        """The alert is acknowledged and returns."""
        for event in (Event.ACKNOWLEDGE, Event.RETURN):
            now = alerts.get(self.connection, alert.alert_id)
            taken = step(now.state, alerts.is_active(now), event)
            assert taken is not None
            alerts.change_alerts(self.connection, [alerts.Change(now, taken, now.level, None)], self.now)

    def tick(self, casebook: Casebook | None = None) -> int:
        self.now += timedelta(seconds=5)
        changed = (casebook or self.casebook).update(self.connection, self.now)
        self.connection.commit()
        return changed

    def open(self) -> list[IncidentLine]:
        return incidents.list_incidents(
            self.connection, IncidentFilter(open=True), worst_first=False, after=None, limit=100
        )

    def only(self) -> IncidentLine:
        (incident,) = self.open()
        return incident

    def actions(self, incident_id: int) -> list[str]:
        return [entry.action for entry in incidents.history(self.connection, incident_id)]

    def messages(self) -> list[dict[str, Any]]:
        rows = self.connection.execute("SELECT body FROM outbox WHERE incident_id IS NOT NULL ORDER BY outbox_id")
        return [body for (body,) in rows]
