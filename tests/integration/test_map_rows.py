"""The rows that the map is made of: which alerts count and how long, what lies in the city, what lies in a zone."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from api import ground, riskmap
from api.explanation import explain, told_chains
from api.riskmap import RiskMap
from lifeline import geo
from lifeline.catalogue import shipped_catalogue
from lifeline.lifecycle import Event
from lifeline.model import Alert, AlertKind, Level, Zone, ZoneKind, ZoneStatus
from lifeline.risk.scheme import shipped_scheme
from lifeline.storage import alerts, response, shelving
from lifeline.storage import riskmap as rows
from lifeline.storage import zones as zone_storage
from lifeline.storage.database import Connection, connect
from lifeline.storage.riskmap import OpenAlert
from tests.integration.town import SOUTH, WEST, build, open_alert

pytestmark = pytest.mark.usefixtures("clean_database")
NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)
SINCE_S = 4 * 3600.0


@pytest.fixture
def db(database_dsn: str) -> Iterator[Connection]:
    with connect(database_dsn) as connection:
        yield connection


@pytest.fixture
def town(db: Connection) -> dict[str, int]:
    """Sensor ids by network."""
    return build(db, NOW)


def counting(db: Connection, now: datetime = NOW) -> dict[int, OpenAlert]:
    return {each.alert_id: each for each in rows.risk_alerts(db, now, SINCE_S)}


def draw(db: Connection, now: datetime = NOW) -> RiskMap:
    found = ground.load(db, shipped_catalogue(), shipped_scheme())
    return riskmap.build(found, *riskmap.read(db, found, now), now)


def after(db: Connection, alert: Alert, *events: Event, at: datetime = NOW) -> Alert:
    for event in events:
        alert = alerts.operate(db, alert.alert_id, event, "somebody", at)
    return alert


# ------------------------------------------------------------------------------------------------- which alerts count


def test_an_open_alert_counts_with_its_place_and_quantity(db: Connection, town: dict[str, int]) -> None:
    found = counting(db)
    assert found == {}
    alert = open_alert(db, town["gas"], Level.ORANGE, now=NOW)
    (told,) = counting(db).values()
    assert (told.alert_id, told.rule, told.level) == (alert.alert_id, "methane.level", Level.ORANGE)
    assert (told.returned_at, told.open, told.quantity, told.incident_id) == (None, True, "methane", 0)
    assert told.asset_id == alert.asset_id


def test_a_maintenance_alert_does_not_count(db: Connection, town: dict[str, int]) -> None:
    open_alert(db, town["gas"], kind=AlertKind.MAINTENANCE, now=NOW)
    assert counting(db) == {}


@pytest.mark.parametrize("event", [Event.SUPPRESS, Event.OUT_OF_SERVICE])
def test_what_is_muted_by_design_does_not_count(event: Event, db: Connection, town: dict[str, int]) -> None:
    after(db, open_alert(db, town["gas"], now=NOW), event)
    assert counting(db) == {}


def test_what_lies_on_the_shelf_counts(db: Connection, town: dict[str, int]) -> None:
    alert = open_alert(db, town["gas"], now=NOW)
    shelving.shelve(db, alert.alert_id, "somebody", NOW)
    assert set(counting(db)) == {alert.alert_id}


def test_one_that_returned_and_waits_for_somebody_is_open_and_knows_since_when(
    db: Connection, town: dict[str, int]
) -> None:
    after(db, open_alert(db, town["gas"], now=NOW - HOUR), Event.RETURN, at=NOW - HOUR)
    (told,) = counting(db).values()
    assert told.open
    assert told.returned_at == pytest.approx((NOW - HOUR).timestamp())


def test_one_that_closed_counts_until_it_is_forgotten(db: Connection, town: dict[str, int]) -> None:
    alert = open_alert(db, town["gas"], now=NOW)
    after(db, alert, Event.ACKNOWLEDGE, Event.RETURN)
    (told,) = counting(db).values()
    assert (told.open, told.returned_at) == (False, pytest.approx(NOW.timestamp()))
    assert set(counting(db, NOW + 3.9 * HOUR)) == {alert.alert_id}
    assert counting(db, NOW + 4.1 * HOUR) == {}


def test_one_that_was_nothing_is_forgotten_at_once(db: Connection, town: dict[str, int]) -> None:
    alert = open_alert(db, town["gas"], now=NOW)
    after(db, alert, Event.ACKNOWLEDGE, Event.RETURN)
    response.feed_back(db, alert.alert_id, "crew", NOW, genuine=False)
    assert counting(db) == {}
    response.feed_back(db, alert.alert_id, "crew", NOW, genuine=True, note="it was one after all")
    assert set(counting(db)) == {alert.alert_id}


def test_the_worst_alert_comes_first(db: Connection, town: dict[str, int]) -> None:
    for number, level in enumerate((Level.BLUE, Level.RED, Level.YELLOW)):
        open_alert(db, town["water"], level, rule=f"rule.{number}", now=NOW)
    assert [each.level for each in counting(db).values()] == [Level.RED, Level.YELLOW, Level.BLUE]


# ------------------------------------------------------------------------------------------------- what they do there


def test_an_alert_raises_its_asset_fades_after_it_closed_and_is_gone(db: Connection, town: dict[str, int]) -> None:
    standing = explain(draw(db), "G-C0")["score"]
    alert = open_alert(db, town["gas"], now=NOW)
    raised = explain(draw(db), "G-C0")
    assert raised["level"] == "red"
    after(db, alert, Event.ACKNOWLEDGE, Event.RETURN)
    scores = [explain(draw(db, NOW + hours * HOUR), "G-C0")["score"] for hours in (0, 1, 2, 5)]
    assert raised["score"] >= scores[0] > scores[1] > scores[2] > scores[3] == standing


def test_a_leak_beside_a_drain_is_told_as_a_chain_that_ends_in_an_explosion(
    db: Connection, town: dict[str, int]
) -> None:
    db.execute(
        "UPDATE asset SET geometry = (SELECT geometry FROM asset WHERE external_id = 'G-C0') WHERE external_id = 'D-C2'"
    )
    open_alert(db, town["gas"], now=NOW)
    drawn = draw(db)
    told = told_chains(drawn, drawn.chains)
    assert any(each["effect"]["id"] == "explosion" and each["links"] for each in told)
    chamber = explain(drawn, "D-C2")
    assert [part["part"] for part in chamber["parts"] if part["part"] in ("live", "joined", "coupling")] == ["coupling"]
    assert chamber["chains"][0]["source"] == "G-C0"
    assert sum(part["points"] for part in chamber["parts"]) == pytest.approx(chamber["score"])


def test_alerts_of_one_incident_are_read_with_it(db: Connection, town: dict[str, int]) -> None:
    found = [open_alert(db, town[network], Level.YELLOW, rule="r", now=NOW) for network in ("gas", "water")]
    alone = {name: explain(draw(db), name)["score"] for name in ("G-C0", "W-C0")}
    row = db.execute(
        "INSERT INTO incident (level, worst_level, networks, causes, lead_alert, response_alert, first_seen,"
        " opened_at, updated_at)"
        " VALUES (3, 3, '{gas,water}', '[]', %(lead)s, %(lead)s, %(now)s, %(now)s, %(now)s)"
        " RETURNING incident_id",
        {"lead": found[0].alert_id, "now": NOW},
    ).fetchone()
    assert row is not None
    db.execute("UPDATE alert SET incident_id = %s", [row[0]])
    together = draw(db)
    for name, score in alone.items():
        told = explain(together, name)
        assert told["score"] >= score
        assert {each.incident_id for each in together.alerts} == {row[0]}
        assert told["likelihood"] > 0


# ----------------------------------------------------------------------------------------------------- what lies there


def test_what_is_out_of_service_is_not_on_the_map(db: Connection, town: dict[str, int]) -> None:
    before = draw(db)
    db.execute("UPDATE asset SET in_service = false WHERE external_id IN ('G-P1', 'G-C2')")
    drawn = draw(db)
    assert "G-P1" not in drawn.ground.asset_at
    assert drawn.counts()["segments"].keys() == before.counts()["segments"].keys()
    assert sum(drawn.counts()["segments"].values()) == sum(before.counts()["segments"].values()) - 1
    assert len(drawn.ground.names) == len(before.ground.names) - 2
    shares = rows.asset_cells(db, 9)
    assert {each.asset_id for each in shares} == set(drawn.ground.ids.tolist())


def test_a_map_is_drawn_of_a_database_without_a_city(db: Connection) -> None:
    drawn = draw(db)
    assert drawn.data_as_of is None
    assert sum(drawn.counts()["cells_9"].values()) == 0


def test_the_newest_reading_of_each_sensor_is_read(db: Connection, town: dict[str, int]) -> None:
    found = rows.newest(db)
    assert found.sensor_id.tolist() == sorted(town.values())
    assert found.ts.tolist() == pytest.approx([NOW.timestamp()] * 3)
    assert draw(db).data_as_of == pytest.approx(NOW.timestamp())


def test_only_active_zones_are_ranked_and_only_what_is_in_service_lies_in_them(
    db: Connection, town: dict[str, int]
) -> None:
    west, east, south, north = WEST - 0.005, WEST + 0.025, SOUTH - 0.005, SOUTH + 0.005
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    square = geo.area({"type": "Polygon", "coordinates": [ring]})
    wanted = [
        Zone("D-1", ZoneKind.DISTRICT, square),
        Zone("D-2", ZoneKind.DISTRICT, square, status=ZoneStatus.SUGGESTED),
    ]
    zone_storage.store_zones(db, wanted, NOW)
    (zone,) = rows.zones(db)
    assert (zone.external_id, zone.network) == ("D-1", "")
    names = dict(zip(draw(db).ground.ids.tolist(), draw(db).ground.names, strict=True))
    assert {names[each.asset_id] for each in rows.zone_assets(db)} == {"G-C0", "G-P0", "G-C1", "G-P1", "G-C2"}
    db.execute("UPDATE asset SET in_service = false WHERE external_id = 'G-P1'")
    assert len(rows.zone_assets(db)) == 4
