"""The storage under the operations: many at once, windows by place, who hears what, endpoints, the delivery log."""

from datetime import timedelta
from typing import Any

import pytest

from lifeline.errors import ConfigurationError, ConflictError, NotFoundError
from lifeline.lifecycle import Event
from lifeline.model import Alert, AlertKind, AlertState, Finding, Level, Subject, SubjectKind
from lifeline.storage import alerts, endpoints, incidents, maintenance, outbox, rulebook, shelving
from lifeline.storage.database import Connection
from tests.integration.city import NOON, add_asset, add_device, add_sensor, count

pytestmark = pytest.mark.usefixtures("clean_database")

RULE = "methane.level"


class Quarter:
    """Two chambers with a sensor each on a device each; the first lies in zone Z, the second's sensor in zone Y."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.devices = [add_device(connection, f"rtu-{number}") for number in (1, 2)]
        self.assets = [add_asset(connection, f"K-{number}") for number in (1, 2)]
        self.sensors = [
            add_sensor(connection, device, asset=asset) for device, asset in zip(self.devices, self.assets, strict=True)
        ]
        for name in ("Z", "Y"):
            connection.execute(
                """INSERT INTO zone (external_id, kind, geometry, west, south, east, north)
                VALUES (%s, 'district', '{"type": "Polygon", "coordinates": []}', 0, 0, 1, 1)""",
                [name],
            )
        connection.execute(
            "INSERT INTO zone_asset SELECT zone_id, %s, 1 FROM zone WHERE external_id = 'Z'",
            [self.assets[0]],
        )
        connection.execute(
            "INSERT INTO zone_sensor SELECT zone_id, %s FROM zone WHERE external_id = 'Y'",
            [self.sensors[1]],
        )
        connection.commit()

    def raise_alert(self, number: int, level: Level = Level.YELLOW, rule: str = RULE) -> Alert:
        subject = Subject(SubjectKind.SENSOR, self.sensors[number])
        finding = Finding(subject, rule, level, NOON, NOON, {"title": {"en": "Gas", "zh": "气"}})
        (alert,) = alerts.raise_alerts(
            self.connection,
            [alerts.Opening(finding, "v1", AlertKind.RISK)],
            NOON,
        )
        return alert

    def told(self, name: str) -> list[int]:
        """Alerts of which an endpoint was told."""
        outbox.fan_out(self.connection, NOON)
        rows = self.connection.execute(
            """SELECT o.alert_id FROM delivery d JOIN outbox o USING (outbox_id) JOIN endpoint e USING (endpoint_id)
            WHERE e.name = %s ORDER BY o.outbox_id""",
            [name],
        )
        return [row[0] for row in rows]


@pytest.fixture
def quarter(connection: Connection) -> Quarter:
    return Quarter(connection)


# ------------------------------------------------------------------------------------------------------- many at once


def test_many_are_operated_at_once_and_each_that_is_not_says_why(quarter: Quarter) -> None:
    first, second = quarter.raise_alert(0), quarter.raise_alert(1)
    alerts.acknowledge(quarter.connection, second.alert_id, "wang", NOON)
    moved, refused = alerts.operate_many(
        quarter.connection,
        [first.alert_id, second.alert_id, 999],
        Event.ACKNOWLEDGE,
        "li",
        NOON,
        "seen",
    )
    assert [alert.alert_id for alert in moved] == [first.alert_id]
    assert set(refused) == {second.alert_id, 999}
    assert refused[999] == "there is no alert 999"
    entry = alerts.history(quarter.connection, first.alert_id)[-1]
    assert (entry.actor, entry.note, entry.action) == ("li", "seen", "acknowledged")


def test_many_are_shelved_with_their_time_and_come_back_by_themselves(quarter: Quarter) -> None:
    ids = [quarter.raise_alert(number).alert_id for number in (0, 1)]
    until = NOON + timedelta(hours=1)
    shelved, refused = shelving.shelve_many(quarter.connection, [*ids, 999], "li", NOON, until=until)
    assert [alert.alert_id for alert in shelved] == ids
    assert list(refused) == [999]
    assert shelving.release(quarter.connection, until - timedelta(seconds=1)) == []
    back = shelving.release(quarter.connection, until)
    assert [alert.state for alert in back] == [AlertState.UNACK, AlertState.UNACK]


def test_many_are_not_shelved_for_ever(quarter: Quarter) -> None:
    alert = quarter.raise_alert(0)
    for hours in (-1, 0, 24 * 8):
        with pytest.raises(ConflictError, match="seven days"):
            shelving.shelve_many(
                quarter.connection,
                [alert.alert_id],
                "li",
                NOON,
                until=NOON + timedelta(hours=hours),
            )
    assert alerts.get(quarter.connection, alert.alert_id).state is AlertState.UNACK


def test_many_are_taken_from_the_shelf(quarter: Quarter) -> None:
    first, second = quarter.raise_alert(0), quarter.raise_alert(1)
    shelving.shelve(quarter.connection, first.alert_id, "li", NOON)
    back, refused = shelving.unshelve_many(
        quarter.connection,
        [first.alert_id, second.alert_id],
        "li",
        NOON,
        "known",
    )
    assert [alert.alert_id for alert in back] == [first.alert_id]
    assert list(refused) == [second.alert_id]
    assert count(quarter.connection, "alert WHERE shelved_until IS NOT NULL") == 0


def test_which_alerts_there_are_is_asked_at_once(quarter: Quarter) -> None:
    alert = quarter.raise_alert(0)
    assert alerts.known(quarter.connection, [999, alert.alert_id, alert.alert_id]) == [alert.alert_id]
    assert alerts.known(quarter.connection, []) == []


# ------------------------------------------------------------------------------------------------------------ windows


@pytest.mark.parametrize(
    ("about", "covered"),
    [
        ({"zone": "Z"}, {0}),
        ({"zone": "Y"}, {1}),
        ({"sensor": 0}, {0}),
        ({"device": 1}, {1}),
        ({"asset_id": 0}, {0}),
        ({"asset": "K-2"}, {1}),
        ({"network": "gas"}, {0, 1}),
        ({"rule": RULE}, {0, 1}),
        ({"rule": "methane.rise"}, set()),
        ({"zone": "Z", "rule": RULE}, {0}),
        ({"zone": "Z", "rule": "methane.rise"}, set()),
        ({"zone": "Z", "sensor": 1}, set()),
        ({"zone": "Z", "network": "water"}, set()),
        ({"network": "water"}, set()),
    ],
)
def test_a_window_covers_what_all_of_its_words_mean(quarter: Quarter, about: dict[str, Any], covered: set[int]) -> None:
    words = dict(about)
    if "sensor" in words:
        words["sensor_id"] = quarter.sensors[words.pop("sensor")]
    if "device" in words:
        words["device_id"] = quarter.devices[words.pop("device")]
    if "asset_id" in words:
        words["asset_id"] = quarter.assets[words["asset_id"]]
    maintenance.open_window(
        quarter.connection,
        "li",
        NOON,
        begins_at=NOON,
        ends_at=None,
        **words,
    )
    asked = [(Subject(SubjectKind.SENSOR, sensor), RULE) for sensor in quarter.sensors]
    found = maintenance.covered(quarter.connection, asked, NOON)
    assert {asked.index(each) for each in found} == covered


@pytest.mark.parametrize(("zone", "number"), [("Z", 0), ("Y", 1)])
def test_a_window_on_a_zone_covers_the_devices_whose_sensors_are_there(
    quarter: Quarter, zone: str, number: int
) -> None:
    maintenance.open_window(
        quarter.connection,
        "li",
        NOON,
        begins_at=NOON,
        ends_at=None,
        zone=zone,
    )
    asked = [(Subject(SubjectKind.DEVICE, device), "silence.device") for device in quarter.devices]
    assert maintenance.covered(quarter.connection, asked, NOON) == {asked[number]}


def test_a_window_is_read_changed_and_over(quarter: Quarter) -> None:
    later = NOON + timedelta(hours=2)
    number = maintenance.open_window(
        quarter.connection,
        "li",
        NOON,
        begins_at=NOON,
        ends_at=later,
        zone="Z",
        device_id=quarter.devices[0],
        reason="valve",
    )
    window = maintenance.get(quarter.connection, number)
    assert (window.zone, window.device, window.ends_at, window.reason) == ("Z", "rtu-1", later, "valve")
    maintenance.change_window(quarter.connection, number, "li", NOON, ends_at=None, reason="rain")
    window = maintenance.get(quarter.connection, number)
    assert (window.ends_at, window.reason) == (None, "rain")
    for ends_at in (NOON, NOON - timedelta(hours=1)):
        with pytest.raises(ConflictError):
            maintenance.change_window(quarter.connection, number, "li", NOON, ends_at=ends_at, reason="")
    maintenance.end_window(quarter.connection, number, "wang", later)
    assert maintenance.get(quarter.connection, number).ended_by == "wang"
    with pytest.raises(ConflictError, match="is over"):
        maintenance.change_window(
            quarter.connection,
            number,
            "li",
            later,
            ends_at=later + timedelta(hours=1),
            reason="",
        )
    with pytest.raises(NotFoundError):
        maintenance.get(quarter.connection, 999)


# ------------------------------------------------------------------------------------------------------ who hears what


@pytest.mark.parametrize(
    ("options", "heard"),
    [
        ({}, {0, 1}),
        ({"zones": ["Z"]}, {0}),
        ({"zones": ["Y"]}, {1}),
        ({"zones": ["Y", "Z"]}, {0, 1}),
        ({"zones": ["X"]}, set()),
        ({"zones": ["Z"], "networks": ["water"]}, set()),
        ({"worst_level": Level.ORANGE}, {1}),
        ({"zones": ["Z"], "worst_level": Level.ORANGE}, set()),
        ({"kinds": [AlertKind.MAINTENANCE]}, set()),
        ({"events": ["alert.raised"]}, {0, 1}),
        ({"events": ["alert.cleared"]}, set()),
        ({"events": []}, set()),
    ],
)
def test_an_endpoint_hears_of_what_all_of_its_filters_let_through(
    quarter: Quarter, options: dict[str, Any], heard: set[int]
) -> None:
    endpoints.add(quarter.connection, "one", "https://one.example/", NOON, scope="alert", **options)
    found = [quarter.raise_alert(0), quarter.raise_alert(1, Level.ORANGE)]
    ids = [alert.alert_id for alert in found]
    assert {ids.index(alert_id) for alert_id in quarter.told("one")} == heard


@pytest.mark.parametrize(
    ("scope", "events", "event_type", "by_incident", "has_incident", "hears"),
    [
        ("incident", None, "incident.opened", True, True, True),
        ("incident", None, "alert.raised", False, True, False),
        ("incident", None, "alert.raised", False, False, True),
        ("incident", None, "response.overdue", True, True, True),
        ("incident", None, "response.overdue", False, True, False),
        ("incident", ["alert.raised"], "alert.raised", False, True, True),
        ("incident", ["alert.raised"], "incident.opened", True, True, False),
        ("alert", None, "incident.opened", True, True, False),
        ("alert", None, "alert.raised", False, True, True),
        ("alert", None, "alert.raised", False, False, True),
        ("alert", ["incident.opened"], "incident.opened", True, True, True),
        ("alert", ["incident.opened"], "alert.raised", False, True, False),
        ("alert", [], "alert.raised", False, False, False),
    ],
)
def test_the_scope_decides_where_events_say_nothing(
    quarter: Quarter,
    scope: str,
    events: list[str] | None,
    event_type: str,
    by_incident: bool,
    has_incident: bool,
    hears: bool,
) -> None:
    endpoints.add(
        quarter.connection,
        "one",
        "https://one.example/",
        NOON,
        scope=scope,
        events=events,
    )
    row = quarter.connection.execute(
        "SELECT hears(e, %s, %s, %s) FROM endpoint e",
        [event_type, by_incident, has_incident],
    ).fetchone()
    assert row == (hears,)


# ----------------------------------------------------------------------------------------------------------- endpoints


def test_an_endpoint_is_changed_but_for_its_name_and_secret(quarter: Quarter) -> None:
    secret = endpoints.add(quarter.connection, "one", "https://one.example/", NOON)
    endpoints.change(
        quarter.connection,
        "one",
        "https://two.example/",
        networks=["gas"],
        zones=["Z"],
        events=["alert.raised"],
        scope="alert",
        worst_level=Level.RED,
        format="cap",
        links=False,
        pacing=endpoints.Pacing(repeat_s=90),
    )
    found = endpoints.get(quarter.connection, "one")
    assert (found.url, found.networks, found.zones) == ("https://two.example/", ("gas",), ("Z",))
    assert (found.events, found.scope, found.worst_level) == (("alert.raised",), "alert", Level.RED)
    assert (found.format, found.links, found.pacing.repeat_s) == ("cap", False, 90)
    row = quarter.connection.execute("SELECT secret FROM endpoint").fetchone()
    assert row == (secret,)


@pytest.mark.parametrize(
    "wrong",
    [
        {"format": "chat"},
        {"format": "morse"},
        {"scope": "galaxy"},
        {"pacing": endpoints.Pacing(repeat_s=5)},
        {"pacing": endpoints.Pacing(quiet_zone="Mars/Olympus")},
        {"pacing": endpoints.Pacing(group_wait_s=-1)},
    ],
)
def test_a_change_that_makes_no_sense_leaves_the_endpoint_as_it_was(quarter: Quarter, wrong: dict[str, Any]) -> None:
    endpoints.add(quarter.connection, "one", "https://one.example/", NOON)
    before = endpoints.get(quarter.connection, "one")
    with pytest.raises(ConfigurationError):
        endpoints.change(quarter.connection, "one", "https://two.example/", **wrong)
    with pytest.raises(ConfigurationError):
        endpoints.change(quarter.connection, "one", "gopher://two.example/")
    assert endpoints.get(quarter.connection, "one") == before


def test_an_endpoint_that_is_not_there_is_not_changed(quarter: Quarter) -> None:
    with pytest.raises(NotFoundError):
        endpoints.change(quarter.connection, "none", "https://two.example/")
    with pytest.raises(NotFoundError):
        endpoints.get(quarter.connection, "none")


def test_the_api_replaces_a_secret_that_it_cannot_read(quarter: Quarter) -> None:
    old = endpoints.add(quarter.connection, "one", "https://one.example/", NOON)
    quarter.connection.execute("SET ROLE lifeline_api")
    new = endpoints.rotate(quarter.connection, "one", NOON, timedelta(hours=1))
    with pytest.raises(NotFoundError):
        endpoints.rotate(quarter.connection, "none", NOON, timedelta(hours=1))
    quarter.connection.execute("RESET ROLE")
    rows = quarter.connection.execute(
        "SELECT e.secret, s.secret FROM endpoint e JOIN endpoint_secret s USING (endpoint_id)"
    )
    assert rows.fetchall() == [(new, old)]
    newest = endpoints.rotate(quarter.connection, "one", NOON + timedelta(hours=2), timedelta(hours=1))
    rows = quarter.connection.execute(
        "SELECT e.secret, s.secret FROM endpoint e JOIN endpoint_secret s USING (endpoint_id)"
    )
    assert rows.fetchall() == [(newest, new)], "what is over is forgotten"


# ---------------------------------------------------------------------------------------------------- the delivery log


def test_the_delivery_log_is_filtered_and_read_page_by_page(quarter: Quarter) -> None:
    for name in ("one", "two"):
        endpoints.add(quarter.connection, name, f"https://{name}.example/", NOON, scope="alert")
    found = [quarter.raise_alert(number) for number in (0, 1)]
    outbox.fan_out(quarter.connection, NOON)
    whole = outbox.deliveries(quarter.connection)
    assert len(whole) == 4
    assert [line.delivery_id for line in whole] == sorted((line.delivery_id for line in whole), reverse=True)
    assert len(outbox.deliveries(quarter.connection, endpoint="one")) == 2
    assert len(outbox.deliveries(quarter.connection, alert_id=found[0].alert_id)) == 2
    assert outbox.deliveries(quarter.connection, incident_id=1) == []
    assert outbox.deliveries(quarter.connection, state=outbox.DeliveryState.FAILED) == []
    rest = outbox.deliveries(quarter.connection, before_id=whole[1].delivery_id, limit=1)
    assert rest == whole[2:3]


def test_of_many_attempts_the_newest_ten_are_shown(quarter: Quarter) -> None:
    endpoints.add(quarter.connection, "one", "https://one.example/", NOON, scope="alert")
    quarter.raise_alert(0)
    outbox.fan_out(quarter.connection, NOON)
    (line,) = outbox.deliveries(quarter.connection)
    for number in range(12):
        outbox.record(
            quarter.connection,
            line.delivery_id,
            NOON + timedelta(seconds=number),
            state=outbox.DeliveryState.PENDING,
            status_code=500 + number,
            error="no",
            duration_ms=number,
            next_attempt_at=NOON,
        )
    (line,) = outbox.deliveries(quarter.connection)
    assert [tried.status_code for tried in line.log] == list(range(511, 501, -1))
    assert line.log[0].at == NOON + timedelta(seconds=11)


# --------------------------------------------------------------------------------------------------- zones and counts


def test_the_sensors_of_a_zone_are_those_in_it_and_those_at_its_assets(quarter: Quarter) -> None:
    assert rulebook.zone_sensors(quarter.connection, ["Z", "Y", "X"]) == {
        "Z": {quarter.sensors[0]},
        "Y": {quarter.sensors[1]},
    }
    assert rulebook.zone_sensors(quarter.connection, []) == {}


def test_an_alert_without_an_incident_says_so_and_open_incidents_are_counted(quarter: Quarter) -> None:
    alert = quarter.raise_alert(0)
    assert incidents.of_alert(quarter.connection, alert.alert_id) is None
    assert incidents.of_alert(quarter.connection, 999) is None
    assert incidents.open_by_level(quarter.connection) == {}
    assert incidents.open_alert_ids(quarter.connection, 1) == []
