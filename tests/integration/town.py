"""A town of three streets for tests of the API: pipes and chambers of three networks, sensors, readings."""

from datetime import UTC, datetime, timedelta

from lifeline.catalogue import shipped_catalogue
from lifeline.inventory import Entry
from lifeline.model import Alert, AlertKind, Asset, AssetKind, Finding, Level, Sensor, Subject, SubjectKind
from lifeline.storage import alerts, health, inventory
from lifeline.storage.database import Connection
from tests.emptying import empty as empty  # with the town, for who builds it
from tests.integration.city import add_reading

WEST, SOUTH, STEP = 117.20, 31.80, 0.01
NETWORKS = ("gas", "water", "drainage")
CHANNEL = {"gas": "methane", "water": "pressure", "drainage": "level"}


def position(column: int, row: int) -> list[float]:
    """Corners of the streets, about a kilometre apart: each in a cell of its own."""
    return [WEST + STEP * column, SOUTH + STEP * row]


def assets() -> list[Asset]:
    """For each network a street: chambers C0, C1, C2 in a row and pipes P0, P1 between them; P1 is old and large."""
    found = []
    for row, network in enumerate(NETWORKS):
        name = network[0].upper()
        for column in range(3):
            point = {"type": "Point", "coordinates": position(column, row)}
            found.append(
                Asset(f"{name}-C{column}", network, AssetKind.CHAMBER, point, name=f"{column} 号井 Chamber {column}")
            )
        for column in range(2):
            line = {"type": "LineString", "coordinates": [position(column, row), position(column + 1, row)]}
            old = column == 1
            found.append(
                Asset(
                    f"{name}-P{column}",
                    network,
                    AssetKind.PIPE,
                    line,
                    name=f"{network} street",
                    from_asset=f"{name}-C{column}",
                    to_asset=f"{name}-C{column + 1}",
                    material="cast_iron" if old else "pe",
                    diameter_mm=600 if old else 110,
                    install_year=1965 if old else 2020,
                    customers=5000 if old else 10,
                    critical=old,
                )
            )
    return found


def sensors() -> list[Sensor]:
    """One sensor a network, at C0."""
    return [Sensor(f"rtu-{network}", network, CHANNEL[network], f"{network[0].upper()}-C0") for network in NETWORKS]


def build(connection: Connection, now: datetime | None = None) -> dict[str, int]:
    """Store the town with a reading of each sensor at ``now``; sensor ids by network."""
    now = now or datetime.now(UTC)
    inventory.store_assets(connection, [Entry(n, a) for n, a in enumerate(assets(), 1)], now)
    inventory.store_sensors(connection, [Entry(n, s) for n, s in enumerate(sensors(), 1)])
    rows = connection.execute("SELECT d.network, s.sensor_id FROM sensor s JOIN device d USING (device_id)").fetchall()
    ids = {str(network): int(sensor) for network, sensor in rows}
    for sensor in ids.values():
        add_reading(connection, sensor, now, 0.5, received_at=now)
    connection.commit()
    assert set(CHANNEL.values()) <= shipped_catalogue().quantities.keys()
    return ids


def watched(connection: Connection, at: datetime | None = None, tick_s: float = 5) -> None:
    """Detection, which looks every so many seconds, has looked at this moment; without one for as long as a test may
    take."""
    at = at or datetime.now(UTC) + timedelta(hours=1)
    health.beat(connection, "alerts", "watch", at, {"leader": True, "ticked_at": at.isoformat(), "tick_s": tick_s})
    connection.execute("""SELECT pg_notify('lifeline_changed', '{"what": "reading"}')""")
    connection.commit()


def build_alarmed(connection: Connection) -> None:
    """The town with an open alert of gas (1) and one of water (2)."""
    ids = build(connection)
    for network in ("gas", "water"):
        open_alert(connection, ids[network])


def open_alert(
    connection: Connection,
    sensor: int,
    level: Level = Level.RED,
    *,
    rule: str = "methane.level",
    kind: AlertKind = AlertKind.RISK,
    now: datetime | None = None,
) -> Alert:
    """An alert on a sensor, committed, with its notice."""
    now = now or datetime.now(UTC)
    evidence = {"title": {"en": "Methane", "zh": "甲烷"}, "quantity": "methane", "value": 3.0, "limit": 2.5}
    finding = Finding(Subject(SubjectKind.SENSOR, sensor), rule, level, now, now - timedelta(minutes=1), evidence)
    (alert,) = alerts.raise_alerts(connection, [alerts.Opening(finding, "1", kind)], now)
    connection.commit()
    return alert
