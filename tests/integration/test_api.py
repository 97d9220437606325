"""The API as its clients see it: a real process on a real database."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from lifeline.model import Role
from lifeline.storage import keys
from lifeline.storage.database import Connection
from tests.api_process import PLAIN, Api, until
from tests.integration.asking import assert_problem
from tests.integration.city import add_reading
from tests.integration.town import assets, open_alert

pytestmark = pytest.mark.usefixtures("town")


# ---------------------------------------------------------------------------------------------------------- access


@pytest.mark.parametrize("role", list(Role))
def test_only_field_and_higher_roles_acknowledge(role: Role, api: Api, town: dict[str, int], db: Connection) -> None:
    alert = open_alert(db, town["gas"])
    answer = api.call("POST", f"/api/v1/alerts/{alert.alert_id}/acknowledge", role)
    if role in (Role.INTAKE, Role.VIEWER):
        assert_problem(answer, 403)
    else:
        assert answer.status_code == 200
        assert answer.json()["state"] == "ACKED"


def test_health_is_open_and_says_nothing_but_ok(api: Api) -> None:
    assert api.get("/health", role=None).json() == {"status": "ok"}


def test_revoked_and_expired_keys_are_refused(api: Api, db: Connection) -> None:
    now = datetime.now(UTC)
    expired = keys.create(db, "expired", Role.ADMIN, now - timedelta(days=2), now - timedelta(days=1))
    revoked = keys.create(db, "revoked", Role.ADMIN, now)
    keys.revoke(db, "revoked", now)
    for text in (expired, revoked, "llk_nothing", "Basic x", "llk_" + "x" * 500):
        answer = httpx.get(f"{api.url}/api/v1/assets", headers={"Authorization": f"Bearer {text}"}, verify=PLAIN)
        assert_problem(answer, 401)


def test_a_key_revoked_while_in_use_stops_working_within_seconds(api: Api, db: Connection) -> None:
    text = keys.create(db, "short", Role.VIEWER, datetime.now(UTC))
    headers = {"Authorization": f"Bearer {text}"}
    assert httpx.get(f"{api.url}/api/v1/catalogue", headers=headers, verify=PLAIN).status_code == 200
    keys.revoke(db, "short", datetime.now(UTC))
    until(
        lambda: httpx.get(f"{api.url}/api/v1/catalogue", headers=headers, verify=PLAIN).status_code == 401,
        "the refusal",
        7,
    )


def test_use_of_a_key_is_noted(api: Api, db: Connection) -> None:
    assert api.get("/api/v1/catalogue").status_code == 200
    (seen,) = db.execute("SELECT last_used_at FROM api_key WHERE role = 'viewer'").fetchone() or (None,)
    assert seen is not None


# -------------------------------------------------------------------------------------------------------- inventory


def test_assets_come_page_by_page_each_once(api: Api) -> None:
    seen, after = [], ""
    while True:
        page = api.get(f"/api/v1/assets?limit=4{after}").json()
        seen += [each["id"] for each in page["items"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert sorted(seen) == sorted(each.external_id for each in assets())


def test_assets_are_filtered_by_network_kind_and_box(api: Api) -> None:
    found = api.get("/api/v1/assets?network=water&kind=pipe").json()["items"]
    assert {each["id"] for each in found} == {"W-P0", "W-P1"}
    found = api.get("/api/v1/assets?bbox=117.199,31.799,117.201,31.801").json()["items"]
    assert {each["id"] for each in found} == {"G-C0", "G-P0"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("g-c1", {"G-C1"}),
        ("water ST", {"W-P0", "W-P1"}),
        ("1 号井", {"G-C1", "W-C1", "D-C1"}),
        ("rtu-water", {"W-C0"}),
        ("%", set()),
        ("no such place", set()),
    ],
)
def test_assets_are_found_by_a_part_of_their_id_name_or_device(api: Api, words: str, expected: set[str]) -> None:
    found = api.get("/api/v1/assets", params={"find": words}).json()["items"]
    assert {each["id"] for each in found} == expected


def test_an_asset_tells_its_sensors_with_their_newest_reading(api: Api, town: dict[str, int]) -> None:
    (sensor,) = api.get("/api/v1/assets/G-C0").json()["sensors"]
    assert sensor["id"] == town["gas"]
    assert sensor["unit"] == "%VOL"
    assert sensor["newest"]["value"] == 0.5
    assert sensor["silent"] is False


def test_sensors_are_found_by_box_and_asset(api: Api, town: dict[str, int]) -> None:
    for query in (
        "bbox=117.19,31.795,117.21,31.805",
        "asset=G-C0",
        "network=gas",
        "quantity=methane",
        "device=rtu-gas",
    ):
        found = api.get(f"/api/v1/sensors?{query}").json()["items"]
        assert [each["id"] for each in found] == [town["gas"]], query


def test_devices_say_how_they_are(api: Api) -> None:
    found = api.get("/api/v1/devices?network=drainage").json()["items"]
    assert [(each["id"], each["status"]) for each in found] == [("rtu-drainage", "unknown")]


def test_what_is_not_there_is_404(api: Api) -> None:
    for path in (
        "assets/none",
        "sensors/999999",
        "alerts/999999",
        "risk/assets/none",
        "nothing",
        "sensors/999999/readings",
    ):
        assert_problem(api.get(f"/api/v1/{path}"), 404)


# --------------------------------------------------------------------------------------------------------- readings


def test_readings_are_raw_for_a_day_and_rolled_up_for_longer(api: Api, town: dict[str, int], db: Connection) -> None:
    now = datetime.now(UTC)
    for minute in range(1, 120):
        add_reading(db, town["gas"], now - timedelta(minutes=minute), float(minute))
    raw = api.get(f"/api/v1/sensors/{town['gas']}/readings").json()
    assert raw["resolution"] == "raw"
    assert len(raw["ts"]) == 120
    assert raw["ts"] == sorted(raw["ts"])
    since = (now - timedelta(days=10)).isoformat().replace("+00:00", "Z")
    rolled = api.get(f"/api/v1/sensors/{town['gas']}/readings?from={since}").json()
    assert rolled["resolution"] == "15m"
    assert sum(rolled["n"]) == 120
    assert rolled["last"][-1] == 0.5


def test_a_limit_keeps_the_newest_readings_and_says_so(api: Api, town: dict[str, int], db: Connection) -> None:
    now = datetime.now(UTC)
    for minute in range(1, 20):
        add_reading(db, town["gas"], now - timedelta(minutes=minute), float(minute))
    found = api.get(f"/api/v1/sensors/{town['gas']}/readings?limit=3&resolution=raw").json()
    assert found["truncated"] is True
    assert found["last"] == [2.0, 1.0, 0.5]


def test_quality_marks_are_told(api: Api, town: dict[str, int], db: Connection) -> None:
    add_reading(db, town["gas"], datetime.now(UTC) + timedelta(milliseconds=1), 1.0, quality=3)
    found = api.get(f"/api/v1/sensors/{town['gas']}/readings").json()
    assert found["quality"][-1] == ["backlog", "implausible"]


# ------------------------------------------------------------------------------------------------------------ system


def test_the_system_tells_processes_counts_and_edition(api: Api) -> None:
    until(lambda: api.get("/api/v1/system").json()["processes"], "the heartbeat")
    told = api.get("/api/v1/system").json()
    assert [(each["process"], each["alive"]) for each in told["processes"]] == [("api", True)]
    assert told["counts"]["sensors"] == 3
    assert told["edition"] in ("apache", "timescale")
    assert told["lag_s"] < 60


def test_the_catalogue_names_levels_networks_and_quantities(api: Api) -> None:
    told = api.get("/api/v1/catalogue").json()
    assert [(each["numeral"], each["zh"]) for each in told["levels"]] == [
        ("I", "特别重大"),
        ("II", "重大"),
        ("III", "较大"),
        ("IV", "一般"),
    ]
    assert {each["key"] for each in told["networks"]} == {"gas", "water", "drainage"}


def test_metrics_count_by_route_and_never_by_path(api: Api) -> None:
    api.get("/api/v1/assets/G-P0")
    api.get("/wp-admin.php")
    text = api.get("/metrics").text
    assert 'lifeline_api_requests_total{method="GET",route="/api/v1/assets/{id}",status="200"}' in text
    assert "wp-admin" not in text
