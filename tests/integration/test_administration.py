"""Routes for those who keep Lifeline well: quarantine, silent sensors, storage, keys, and what is usual."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from lifeline.model import Role
from lifeline.storage import silence, usual
from lifeline.storage.database import Connection, connect
from tests.api_process import READERS, Api, running_api
from tests.integration.asking import assert_problem
from tests.integration.city import add_device, add_reading, add_sensor
from tests.integration.town import build, empty

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture(scope="module")
def api(database_dsn: str) -> Iterator[Api]:
    empty(database_dsn)
    with connect(database_dsn) as connection:
        build(connection)
    with running_api(database_dsn) as process:
        yield process


@pytest.fixture
def held(db: Connection) -> list[bytes]:
    """Seven messages in quarantine, the newest last; their payloads."""
    db.execute("TRUNCATE quarantine RESTART IDENTITY")
    payloads = [b'{"ts": 1}', b"\xff\xfe\x00", b"x" * 5000, b"{", b"[]", b"nan", b"{}"]
    for number, payload in enumerate(payloads):
        reason = "unparsable" if number < 4 else "out_of_range"
        db.execute(
            "INSERT INTO quarantine (received_at, topic, payload, reason, detail, digest)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            [NOW + timedelta(seconds=number), f"t/{number}", payload, reason, "why", hashlib.sha256(payload).digest()],
        )
    return payloads


def test_quarantine_is_told_by_reason(api: Api, held: list[bytes]) -> None:
    told = api.get("/api/v1/quarantine/reasons").json()
    assert [(each["reason"], each["count"]) for each in told["items"]] == [("unparsable", 4), ("out_of_range", 3)]
    assert len(held) == 7


def test_quarantine_comes_page_by_page_with_its_own_bytes(api: Api, held: list[bytes]) -> None:
    found, after = [], ""
    while True:
        page = api.get(f"/api/v1/quarantine?limit=3{after}").json()
        found += page["items"]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert [each["topic"] for each in found] == [f"t/{number}" for number in range(6, -1, -1)]
    shown = {each["topic"]: each for each in found}
    assert bytes.fromhex(shown["t/1"]["payload"]) == held[1]
    assert shown["t/1"]["text"] is None
    assert shown["t/0"]["text"] == held[0].decode()
    assert (shown["t/2"]["size"], len(shown["t/2"]["payload"])) == (5000, 2 * 4096)


def test_quarantine_is_filtered_by_reason(api: Api, held: list[bytes]) -> None:
    assert held
    assert len(api.get("/api/v1/quarantine?reason=out_of_range").json()["items"]) == 3
    assert_problem(api.get("/api/v1/quarantine?reason=bad"), 400)
    assert_problem(api.get("/api/v1/quarantine?after=zzz"), 400)


def test_a_sensor_is_silent_after_its_own_longest_silence_or_its_quantitys(db: Connection) -> None:
    quick = add_sensor(db, add_device(db, "quick"), limits='{"max_silence_s": 60}')
    slow = add_sensor(db, add_device(db, "slow"))
    never = add_sensor(db, add_device(db, "never"))
    retired = add_sensor(db, add_device(db, "retired"))
    db.execute("UPDATE sensor SET in_service = false WHERE sensor_id = %s", [retired])
    for sensor in (quick, slow):
        add_reading(db, sensor, NOW - timedelta(seconds=120), 1.0)
    found = {line.sensor_id for line in silence.silent(db, {"methane": 300.0}, NOW, after=min(quick, slow) - 1)}
    assert found == {quick, never}
    later = NOW + timedelta(seconds=300)
    found = {line.sensor_id for line in silence.silent(db, {"methane": 300.0}, later, after=min(quick, slow) - 1)}
    assert found == {quick, slow, never}


def test_silent_sensors_come_page_by_page(api: Api, db: Connection) -> None:
    for number in range(3):
        add_sensor(db, add_device(db, f"mute-{number}", network="water"), "pressure")
    first = api.get("/api/v1/silent?network=water&limit=2").json()
    second = api.get(f"/api/v1/silent?network=water&limit=2&after={first['next']}").json()
    devices = [each["device"] for each in first["items"] + second["items"]]
    assert devices == ["mute-0", "mute-1", "mute-2"]
    assert all(each["silent"] for each in first["items"])


def test_keys_are_listed_to_an_administrator_and_to_nobody_else(api: Api) -> None:
    for role in Role:
        answer = api.get("/api/v1/keys", role)
        assert answer.status_code == (200 if role is Role.ADMIN else 403), role
    told = api.get("/api/v1/keys", Role.ADMIN)
    assert {each["name"] for each in told.json()["items"]} >= {f"admin-{api.port}"}
    assert "llk_" not in told.text
    assert "digest" not in told.text


@pytest.mark.parametrize("role", READERS)
def test_a_key_learns_whose_it_is_and_what_it_may(role: Role, api: Api) -> None:
    assert api.get("/api/v1/me", role).json() == {
        "name": f"{role}-{api.port}", "role": role, "expires_at": None, "kind": "key", "csrf": None,
        "networks": None, "zones": None,
    }  # fmt: skip


def test_the_room_that_tables_take_adds_up(api: Api) -> None:
    told = api.get("/api/v1/system/storage").json()
    assert told["bytes"] == sum(told["tables"].values()) > 0
    assert "reading" in told["tables"]


def test_the_catalogue_says_where_the_clock_is_and_that_there_is_no_base_map(api: Api) -> None:
    told = api.get("/api/v1/catalogue").json()
    assert told["timezone"] == "Asia/Shanghai"
    assert told["base_map"] is None


def test_a_base_map_is_told_to_the_page_and_allowed_by_its_policy(database_dsn: str) -> None:
    tiles = "https://tiles.example.org/{z}/{x}/{y}.png"
    with running_api(database_dsn, LIFELINE_BASE_MAP=tiles, LIFELINE_BASE_MAP_ATTRIBUTION="© Survey") as process:
        answer = process.get("/api/v1/catalogue")
        assert answer.json()["base_map"] == {"tiles": tiles, "attribution": "© Survey"}
        assert "img-src 'self' https://tiles.example.org" in answer.headers["content-security-policy"]


def fill(db: Connection, sensor: int, days: int) -> None:
    """Hours of a day that has 10 at night and 20 by day, over the days that end a day ago."""
    for day in range(1, days + 1):
        for hour in range(24):
            bucket = (NOW - timedelta(days=1 + day)).replace(minute=0, second=0) + timedelta(hours=hour)
            local = (bucket.hour + 8) % 24
            value = 20.0 if 6 <= local < 22 else 10.0
            db.execute(
                "INSERT INTO reading_1h (sensor_id, bucket, n, minimum, maximum, mean, last)"
                " VALUES (%s, %s, 4, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                [sensor, bucket, value - 1, value + 1, value, value],
            )


def test_what_is_usual_is_told_by_the_hour_of_the_citys_day(api: Api, db: Connection) -> None:
    sensor = add_sensor(db, add_device(db, "usual"))
    fill(db, sensor, 7)
    told = api.get(f"/api/v1/sensors/{sensor}/usual").json()
    by_hour = {each["hour"]: each for each in told["hours"]}
    assert sorted(by_hour) == list(range(24))
    assert (by_hour[3]["low"], by_hour[3]["middle"], by_hour[3]["high"]) == (9, 10, 11)
    assert (by_hour[12]["low"], by_hour[12]["middle"], by_hour[12]["high"]) == (19, 20, 21)
    assert 6 <= told["days"] <= 8


def test_a_sensor_that_was_heard_on_two_days_has_no_usual(db: Connection) -> None:
    sensor = add_sensor(db, add_device(db, "young"))
    fill(db, sensor, 2)
    assert [each for each in usual.hours(db, sensor, "Asia/Shanghai", NOW) if each.n < usual.LEAST_DAYS] == []


def test_there_is_no_usual_of_a_sensor_that_is_not_there(api: Api) -> None:
    assert_problem(api.get("/api/v1/sensors/99999/usual"), 404)
