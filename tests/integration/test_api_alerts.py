"""Alerts and the incidents that they belong to, as clients of the API see them."""

from datetime import UTC, datetime, timedelta

import pytest

from alerts.casebook import Casebook
from alerts.causes import load_causes
from lifeline.model import AlertKind, Level, Role
from lifeline.storage import alerts
from lifeline.storage.database import Connection
from tests.api_process import Api
from tests.integration.asking import assert_problem
from tests.integration.town import open_alert

pytestmark = pytest.mark.usefixtures("town")


def group(connection: Connection, now: datetime | None = None) -> None:
    with connection.transaction():
        Casebook(load_causes()).update(connection, now or datetime.now(UTC))


def test_an_incident_tells_its_alerts_its_causes_and_its_history(
    api: Api, town: dict[str, int], db: Connection
) -> None:
    red = open_alert(db, town["gas"], Level.RED)
    blue = open_alert(db, town["gas"], Level.BLUE, rule="methane.rise")
    group(db)
    (listed,) = api.get("/api/v1/incidents").json()["items"]
    whole = api.get(f"/api/v1/incidents/{listed['id']}").json()
    assert listed == {name: value for name, value in whole.items() if name not in ("members", "history")}
    assert (whole["state"], whole["level"], whole["cause"], whole["networks"]) == ("open", "red", "gas_leak", ["gas"])
    assert (whole["alerts"], whole["open_alerts"], whole["lead_alert"]) == (2, 2, red.alert_id)
    assert whole["alert_ids"] == [each["id"] for each in whole["members"]] == [red.alert_id, blue.alert_id]
    assert (whole["asset"], whole["asset_name"], whole["longitude"]) == ("G-C0", "0 号井 Chamber 0", 117.2)
    assert whole["title"]["zh"] == "燃气泄漏"
    assert 0 < whole["causes"][0]["share"] <= 1
    assert whole["causes"][0]["for"][0]["why"]["en"]
    (opened,) = whole["history"]
    assert (opened["action"], opened["from_level"], opened["to_level"]) == ("opened", None, "red")
    assert opened["alerts"] == [red.alert_id, blue.alert_id]


@pytest.fixture
def five(town: dict[str, int], db: Connection) -> list[int]:
    """Incidents an hour apart, by id: yellow, red, yellow, blue, red; the third is closed."""
    now = datetime.now(UTC) - timedelta(days=1)
    levels = [Level.YELLOW, Level.RED, Level.YELLOW, Level.BLUE, Level.RED]
    found = []
    for number, level in enumerate(levels):
        network = "water" if number == 3 else "gas"
        at = now + timedelta(hours=9 * number)
        found.append(open_alert(db, town[network], level, rule=f"zeta.{number}", now=at).alert_id)
        group(db, at)
    db.execute(
        "UPDATE alert SET state = 'NORM', closed_at = %s, returned_at = %s WHERE alert_id = %s", [now, now, found[2]]
    )
    group(db)
    rows = db.execute("SELECT incident_id FROM incident ORDER BY incident_id").fetchall()
    assert len(rows) == 5
    return [incident for (incident,) in rows]


def pages(api: Api, query: str) -> list[int]:
    seen, after = [], ""
    while after is not None:
        page = api.get(f"/api/v1/incidents?limit=2&{query}{after}").json()
        seen += [each["id"] for each in page["items"]]
        after = f"&after={page['next']}" if page["next"] else None
    return seen


def test_incidents_come_worst_first_or_newest_first_page_by_page(api: Api, five: list[int]) -> None:
    one, two, three, four, last = five
    assert pages(api, "order=newest") == [last, four, three, two, one]
    assert pages(api, "order=worst") == [last, two, three, one, four]


def test_incidents_are_filtered(api: Api, five: list[int]) -> None:
    one, two, three, four, last = five
    for query, expected in {
        "state=open": {one, two, four, last},
        "state=closed": {three},
        "level=red": {two, last},
        "level=red&level=blue": {two, four, last},
        "network=water": {four},
        "network=drainage": set(),
    }.items():
        assert set(pages(api, query)) == expected, query


def test_incidents_are_found_by_their_likeliest_cause(api: Api, town: dict[str, int], db: Connection) -> None:
    open_alert(db, town["gas"])
    group(db)
    assert len(pages(api, "cause=gas_leak")) == 1
    assert pages(api, "cause=storm") == []


def test_what_is_not_there_and_what_is_not_known_is_refused(api: Api) -> None:
    assert_problem(api.get("/api/v1/incidents/4711"), 404)
    assert_problem(api.get("/api/v1/incidents?staet=open"), 400)
    assert_problem(api.get("/api/v1/incidents?after=nonsense"), 400)
    assert_problem(api.get("/api/v1/incidents?state=NORM"), 400)
    assert_problem(api.get("/api/v1/incidents/1", role=None), 401)
    assert api.get("/api/v1/incidents", Role.VIEWER).json() == {"items": [], "next": None}


def test_an_acknowledged_alert_stays_in_its_incident_until_it_returns(
    api: Api, town: dict[str, int], db: Connection
) -> None:
    alert = open_alert(db, town["gas"])
    group(db)
    assert api.call("POST", f"/api/v1/alerts/{alert.alert_id}/acknowledge", Role.FIELD).status_code == 200
    group(db)
    (incident,) = api.get("/api/v1/incidents?state=open").json()["items"]
    assert (incident["open_alerts"], incident["version"], incident["unattended_since"]) == (1, 2, None)
    assert incident["acknowledged_by"] == alerts.get(db, alert.alert_id).acknowledged_by
    assert alerts.get(db, alert.alert_id).state == "ACKED"


# ----- alerts


def test_alerts_come_worst_first_or_newest_first_page_by_page(api: Api, town: dict[str, int], db: Connection) -> None:
    now = datetime.now(UTC)
    wanted = [(Level.YELLOW, 1), (Level.RED, 5), (Level.YELLOW, 3), (Level.BLUE, 0), (Level.RED, 2)]
    for number, (level, minutes) in enumerate(wanted):
        open_alert(db, town["gas"], level, rule=f"r{number}", now=now - timedelta(minutes=minutes))
    order = {"worst": ["r4", "r1", "r0", "r2", "r3"], "newest": ["r3", "r0", "r4", "r2", "r1"]}
    for name, rules in order.items():
        seen, after = [], ""
        while after is not None:
            page = api.get(f"/api/v1/alerts?order={name}&limit=2{after}").json()
            seen += [each["rule"] for each in page["items"]]
            after = f"&after={page['next']}" if page["next"] else None
        assert seen == rules


def test_alerts_are_filtered(api: Api, town: dict[str, int], db: Connection) -> None:
    red = open_alert(db, town["gas"], Level.RED)
    blue = open_alert(db, town["water"], Level.BLUE, rule="silence", kind=AlertKind.MAINTENANCE)
    api.call("POST", f"/api/v1/alerts/{blue.alert_id}/acknowledge", Role.FIELD)
    for query, expected in {
        "state=open": {red.alert_id, blue.alert_id},
        "state=closed": set(),
        "state=ACKED": {blue.alert_id},
        "state=UNACK&state=ACKED": {red.alert_id, blue.alert_id},
        "level=red": {red.alert_id},
        "level=red&level=blue": {red.alert_id, blue.alert_id},
        "network=water": {blue.alert_id},
        "kind=risk": {red.alert_id},
        "asset=G-C0": {red.alert_id},
        f"sensor={town['water']}": {blue.alert_id},
    }.items():
        found = api.get(f"/api/v1/alerts?{query}").json()["items"]
        assert {each["id"] for each in found} == expected, query


def test_acknowledge_reaches_the_database_with_name_and_note(api: Api, town: dict[str, int], db: Connection) -> None:
    alert = open_alert(db, town["gas"])
    answer = api.call(
        "POST", f"/api/v1/alerts/{alert.alert_id}/acknowledge", Role.OPERATOR, json={"note": "队伍已出发", "version": 1}
    )
    assert [each["action"] for each in answer.json()["history"]] == ["raised", "acknowledged"]
    row = db.execute(
        "SELECT a.state, a.acknowledged_by, h.note, o.event_type FROM alert a JOIN alert_history h USING (alert_id)"
        " JOIN outbox o USING (alert_id) WHERE h.action = 'acknowledged' AND o.event_type = 'alert.acknowledged'"
    ).fetchone()
    assert row == ("ACKED", f"operator-{api.port}", "队伍已出发", "alert.acknowledged")


def test_a_second_or_outdated_acknowledgement_conflicts(api: Api, town: dict[str, int], db: Connection) -> None:
    path = f"/api/v1/alerts/{open_alert(db, town['gas']).alert_id}/acknowledge"
    assert_problem(api.call("POST", path, Role.FIELD, json={"version": 7}), 409)
    assert api.call("POST", path, Role.FIELD).status_code == 200
    assert_problem(api.call("POST", path, Role.FIELD), 409)
    assert_problem(api.call("POST", "/api/v1/alerts/999999/acknowledge", Role.FIELD), 404)
