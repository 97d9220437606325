"""Pages of the city's inventory and alerts: each row once, filters that hold, places that fall back."""

from datetime import timedelta

import pytest

from lifeline.errors import NotFoundError
from lifeline.geo import Box
from lifeline.lifecycle import Event
from lifeline.model import AlertKind, AlertState, AssetKind, Level
from lifeline.storage import alerts as alert_storage
from lifeline.storage import directory
from lifeline.storage.database import Connection
from lifeline.storage.directory import AlertFilter, Behind, Counts
from tests.integration.city import NOON, add_asset, add_device, add_reading, add_sensor, set_status
from tests.integration.town import build, open_alert

pytestmark = pytest.mark.usefixtures("clean_database")


def test_keyset_pages_hold_each_asset_once_also_where_one_is_added_in_between(connection: Connection) -> None:
    names = [f"A-{number}" for number in range(7)]
    for name in names:
        add_asset(connection, name)
    seen, after = [], 0
    while page := directory.assets(connection, after=after, limit=3):
        seen += [each.external_id for each in page]
        after = page[-1].asset_id
        if len(seen) == 3:
            add_asset(connection, "late")
    assert seen == [*names, "late"]


def test_an_asset_names_its_ends_and_has_no_score_before_it_was_computed(connection: Connection) -> None:
    build(connection)
    pipe = directory.asset(connection, "G-P0")
    assert (pipe.from_asset, pipe.to_asset, pipe.kind) == ("G-C0", "G-C1", AssetKind.PIPE)
    assert pipe.score is not None
    connection.execute("DELETE FROM asset_risk")
    assert directory.asset(connection, "G-P0").score is None


@pytest.mark.parametrize("name", ["", "none", "g-p0", "G-P0 ", "G-P%", "G_P0"])
def test_an_asset_is_found_by_its_very_name_only(connection: Connection, name: str) -> None:
    build(connection)
    with pytest.raises(NotFoundError, match="no asset"):
        directory.asset(connection, name)


@pytest.mark.parametrize(
    ("box", "found"),
    [
        (Box(117.195, 31.795, 117.196, 31.796), set()),
        (Box(117.2, 31.8, 117.2, 31.8), {"G-C0", "G-P0"}),
        (Box(117.203, 31.799, 117.207, 31.801), {"G-P0"}),
        (Box(-180, -90, 180, 90), {"G-C0", "G-C1", "G-C2", "G-P0", "G-P1"}),
    ],
    ids=["beside", "a point", "within a pipe's own box", "the world"],
)
def test_a_box_finds_what_it_touches(connection: Connection, box: Box, found: set[str]) -> None:
    build(connection)
    assert {each.external_id for each in directory.assets(connection, network="gas", box=box)} == found


def test_a_sensor_stands_where_it_is_said_to_else_at_its_asset_else_at_its_device(connection: Connection) -> None:
    device = add_device(connection, "rtu")
    connection.execute("UPDATE device SET longitude = 1, latitude = 2")
    own = add_sensor(connection, device, "methane.a", asset=add_asset(connection, "C-1"))
    connection.execute("UPDATE sensor SET longitude = 5, latitude = 6 WHERE sensor_id = %s", [own])
    at_asset = add_sensor(connection, device, "methane.b", asset=add_asset(connection, "C-2"))
    at_device = add_sensor(connection, device, "methane.c")
    places = {each.sensor_id: (each.longitude, each.latitude) for each in directory.sensors(connection)}
    assert places == {own: (5.0, 6.0), at_asset: (117.27, 31.86), at_device: (1.0, 2.0)}
    box = Box(0.5, 1.5, 1.5, 2.5)
    assert [each.sensor_id for each in directory.sensors(connection, box=box)] == [at_device]


def test_a_sensor_without_any_place_is_listed_and_in_no_box(connection: Connection) -> None:
    sensor = add_sensor(connection, add_device(connection, "rtu"))
    assert [each.sensor_id for each in directory.sensors(connection)] == [sensor]
    assert directory.sensors(connection, box=Box(-180, -90, 180, 90)) == []


def test_a_sensor_that_never_spoke_has_no_newest_reading_and_one_that_did_has_the_newest(
    connection: Connection,
) -> None:
    device = add_device(connection, "rtu")
    silent, speaking = add_sensor(connection, device, "methane"), add_sensor(connection, device, "pressure")
    for minutes, value in ((5, 1.0), (1, 3.0), (3, 2.0)):
        add_reading(connection, speaking, NOON - timedelta(minutes=minutes), value)
    assert directory.sensor(connection, silent).ts is None
    newest = directory.sensor(connection, speaking)
    assert (newest.ts, newest.value) == (NOON - timedelta(minutes=1), 3.0)
    with pytest.raises(NotFoundError, match="no sensor 999"):
        directory.sensor(connection, 999)


def test_a_device_says_its_gateway_and_its_status_and_is_unknown_before_it_spoke(connection: Connection) -> None:
    gateway = add_device(connection, "gw-1")
    add_device(connection, "rtu-1", gateway=gateway)
    set_status(connection, gateway, "online", NOON)
    first, second = directory.devices(connection)
    assert (first.external_id, first.gateway, first.status, first.status_at) == ("gw-1", None, "online", NOON)
    assert (second.external_id, second.gateway, second.status, second.missed) == ("rtu-1", "gw-1", "unknown", 0)
    assert directory.devices(connection, after=first.device_id, limit=1) == [second]
    assert directory.devices(connection, network="water") == []


def test_alerts_of_one_moment_come_page_by_page_each_once(connection: Connection) -> None:
    """A storm raises hundreds in one transaction: level and moment alone would not tell them apart."""
    ids = build(connection)
    raised = [open_alert(connection, ids["gas"], rule=f"r{number}", now=NOON).alert_id for number in range(7)]
    for worst_first in (True, False):
        seen: list[int] = []
        after = None
        while page := directory.alerts(connection, AlertFilter(), worst_first=worst_first, after=after, limit=2):
            seen += [each.alert_id for each in page]
            after = Behind(page[-1].level, page[-1].raised_at, page[-1].alert_id)
        assert seen == sorted(raised, reverse=True)


def test_every_filter_of_alerts_narrows_and_all_together_are_and(connection: Connection) -> None:
    ids = build(connection)
    gas = open_alert(connection, ids["gas"], Level.RED, now=NOON)
    water = open_alert(connection, ids["water"], Level.BLUE, rule="s", kind=AlertKind.MAINTENANCE, now=NOON)
    alert_storage.operate(connection, water.alert_id, Event.ACKNOWLEDGE, "me", NOON)

    def found(wanted: AlertFilter) -> set[int]:
        rows = directory.alerts(connection, wanted, worst_first=True, after=None, limit=10)
        return {each.alert_id for each in rows}

    assert found(AlertFilter()) == {gas.alert_id, water.alert_id}
    assert found(AlertFilter(open=False)) == set()
    assert found(AlertFilter(states=[AlertState.ACKED])) == {water.alert_id}
    assert found(AlertFilter(levels=[Level.RED, Level.ORANGE])) == {gas.alert_id}
    assert found(AlertFilter(network="gas", kind=AlertKind.RISK, asset="G-C0", sensor_id=ids["gas"])) == {gas.alert_id}
    assert found(AlertFilter(network="gas", kind=AlertKind.MAINTENANCE)) == set()


def test_an_alert_tells_the_names_that_a_person_knows(connection: Connection) -> None:
    ids = build(connection)
    told = directory.alert(connection, open_alert(connection, ids["gas"], now=NOON).alert_id)
    assert (told.asset, told.asset_kind, told.device, told.quantity) == ("G-C0", "chamber", "rtu-gas", "methane")
    assert (told.longitude, told.latitude) == pytest.approx((117.2, 31.8))
    with pytest.raises(NotFoundError, match="no alert 999"):
        directory.alert(connection, 999)


def test_counts_of_an_empty_city_are_zero_and_its_moments_are_unknown(connection: Connection) -> None:
    assert directory.counts(connection) == Counts(0, 0, 0, 0, None, None, 0, 0, 0)


def test_counts_tell_what_is_in_service_and_what_was_heard(connection: Connection) -> None:
    ids = build(connection, NOON)
    connection.execute("UPDATE sensor SET in_service = false WHERE sensor_id = %s", [ids["gas"]])
    told = directory.counts(connection)
    assert (told.assets, told.devices, told.sensors, told.sensors_heard) == (15, 3, 2, 3)
    assert told.newest_reading == told.newest_arrival == NOON
