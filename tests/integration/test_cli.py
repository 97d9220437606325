"""Every command of `lifeline` that needs no running system, against the real database and broker; how one ends, as a
process."""

import json
import re
from pathlib import Path

import pytest

from lifeline.embedded import Broker
from lifeline.storage.database import Connection, open_connection
from tests.acceptance.commands import lifeline as process
from tests.conftest import PASSWORDS
from tests.integration.in_process import lifeline

pytestmark = pytest.mark.usefixtures("clean_database")


@pytest.fixture
def place(clean_database: str, broker: Broker, tmp_path: Path) -> dict[str, str]:
    """Settings that point at the tests' services."""
    return {
        "LIFELINE_DATABASE_URL": clean_database,
        "LIFELINE_HOME": str(tmp_path / "home"),
        "LIFELINE_MQTT_HOST": broker.host,
        "LIFELINE_MQTT_PORT": str(broker.port),
        "LIFELINE_MQTT_USERNAME": "ingest",
        "LIFELINE_MQTT_PASSWORD": PASSWORDS["ingest"],
    }


@pytest.fixture
def town(tmp_path: Path) -> list[Path]:
    """Two junctions, the pipe between them, and two sensors."""
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [longitude, 31.8]},
            "properties": {"id": name, "network": "water", "kind": "junction"},
        }
        for name, longitude in (("J1", 117.2), ("J2", 117.21))
    ]
    features.append(
        {
            "type": "Feature",
            "geometry": {"type": "LineString", "coordinates": [[117.2, 31.8], [117.21, 31.8]]},
            "properties": {"id": "P1", "network": "water", "kind": "pipe", "from": "J1", "to": "J2"},
        }
    )
    assets, sensors = tmp_path / "assets.geojson", tmp_path / "sensors.csv"
    assets.write_text(json.dumps({"type": "FeatureCollection", "features": features}, indent=1))
    sensors.write_text("device,network,channel,asset\nd1,water,pressure,J1\nd1,water,flow,P1\n")
    return [assets, sensors]


def test_the_version_and_the_help_need_nothing() -> None:
    assert re.fullmatch(r"lifeline \S+\n", process("--version").stdout)
    assert "Usage: lifeline" in process("--help").stdout


def test_wrong_usage_is_status_two() -> None:
    assert process("fly").returncode == 2
    assert process("demo", "--seed", "-1").returncode == 2


@pytest.mark.parametrize("command", [["status"], ["keys", "list"]])
def test_without_a_database_one_line_says_how_to_get_one(command: list[str], tmp_path: Path) -> None:
    done = process(*command, LIFELINE_HOME=str(tmp_path / "none"))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("lifeline: no database: nothing runs on")
    assert "`lifeline up`" in done.stderr


def test_a_database_that_is_away_is_one_line(tmp_path: Path) -> None:
    away = "postgresql://nobody:secret@127.0.0.1:9/none"
    done = process("status", LIFELINE_DATABASE_URL=away, LIFELINE_HOME=str(tmp_path))
    assert done.returncode == 1
    assert "refused" in done.stderr
    assert "secret" not in done.stderr


def test_a_wrong_setting_is_named() -> None:
    done = process("status", LIFELINE_API_PORT="99999")
    assert done.returncode == 1
    assert "LIFELINE_API_PORT" in done.stderr


def test_check_prints_one_line_for_each_dependency(place: dict[str, str]) -> None:
    done = lifeline("check", **place)
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert [line.split()[1] for line in lines] == ["broker", "database", "edition", "migrations", "clock", "disk"]
    assert all(line.startswith("ok ") for line in lines)
    assert "Apache" in lines[2]


def test_check_goes_on_where_one_fails(place: dict[str, str]) -> None:
    done = lifeline("check", **place | {"LIFELINE_MQTT_PASSWORD": "wrong"})
    assert done.returncode == 1
    verdicts = [line.split()[0] for line in done.stdout.splitlines()]
    assert verdicts == ["FAIL", "ok", "ok", "ok", "ok", "ok"]
    assert "Not authorized" in done.stdout


def test_check_says_so_of_each_thing_that_hangs_on_a_database_that_is_away(place: dict[str, str]) -> None:
    done = lifeline("check", **place | {"LIFELINE_DATABASE_URL": "postgresql://127.0.0.1:9/none"})
    assert done.returncode == 1
    verdicts = [line.split()[0] for line in done.stdout.splitlines()]
    assert verdicts == ["ok", "FAIL", "FAIL", "FAIL", "FAIL", "ok"]


def test_migrate_tells_what_it_would_do_and_that_nothing_is_left(place: dict[str, str]) -> None:
    assert lifeline("migrate", "--dry-run", **place).stdout == "the schema is up to date\n"
    assert lifeline("migrate", **place).stdout == "the schema is up to date\n"


def test_migrate_gives_the_roles_their_passwords(place: dict[str, str], tmp_path: Path) -> None:
    for role in ("ingest", "alerts", "api", "planning"):
        (tmp_path / f"lifeline_{role}").write_text(f"word-{role}\n")
    assert lifeline("migrate", "--role-passwords", tmp_path, **place).returncode == 0
    owner = place["LIFELINE_DATABASE_URL"]
    ingest = re.sub(r"//[^@]*@", "//lifeline_ingest:word-ingest@", owner)
    with open_connection(ingest) as connection:
        assert connection.execute("SELECT count(*) FROM reading").fetchone() == (0,)
    (tmp_path / "lifeline_api").unlink()
    done = lifeline("migrate", "--role-passwords", tmp_path, **place)
    assert done.returncode == 1
    assert "lifeline_api" in done.stderr


def test_import_stores_both_files_and_again_changes_nothing(place: dict[str, str], town: list[Path]) -> None:
    first = lifeline("import", *town, **place)
    assert [line.split() for line in first.stdout.splitlines()] == [
        ["file", "new", "changed", "unchanged"],
        ["assets.geojson", "assets", "3", "0", "0"],
        ["sensors.csv", "sensors", "2", "0", "0"],
    ]
    again = lifeline("import", *reversed(town), **place)
    assert ["assets.geojson", "assets", "0", "0", "3"] in [line.split() for line in again.stdout.splitlines()]
    assert again.stdout.splitlines()[-1] == "nothing has changed"


def test_import_can_be_tried_dry(place: dict[str, str], town: list[Path], connection: Connection) -> None:
    done = lifeline("import", "--dry-run", *town, **place)
    assert ["assets.geojson", "assets", "3", "0", "0"] in [line.split() for line in done.stdout.splitlines()]
    assert "nothing was stored" in done.stdout
    assert connection.execute("SELECT count(*) FROM asset").fetchone() == (0,)


def test_import_lists_every_mistake_of_both_files_and_stores_nothing(
    place: dict[str, str], town: list[Path], connection: Connection
) -> None:
    assets, sensors = town
    assets.write_text(assets.read_text().replace('"kind": "pipe"', '"kind": "rope"'))
    sensors.write_text("device,network,channel,asset\nd 1,water,pressure,J1\nd1,water,mood,P1\n")
    lines = assets.read_text().splitlines()
    pipe = str([number for number, line in enumerate(lines, 1) if line == "  {"][2])
    done = lifeline("import", *town, **place)
    assert done.returncode == 1
    assert re.findall(r"line (\d+)", done.stderr) == [pipe, "2", "3"]
    assert connection.execute("SELECT count(*) FROM asset").fetchone() == (0,)


def test_import_is_all_or_nothing_over_both_files(
    place: dict[str, str], town: list[Path], connection: Connection
) -> None:
    town[1].write_text("device,network,channel,asset\nd1,water,pressure,J9\n")
    done = lifeline("import", *town, **place)
    assert done.returncode == 1
    assert "line 2: asset 'J9' is not in the database" in done.stderr
    assert connection.execute("SELECT count(*) FROM asset").fetchone() == (0,)


def test_import_refuses_a_file_that_it_does_not_know(place: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "x.xlsx").write_bytes(b"PK")
    done = lifeline("import", tmp_path / "x.xlsx", **place)
    assert done.returncode == 1
    assert ".xlsx is none of .geojson" in done.stderr


def heard(connection: Connection, device: str) -> None:
    connection.execute("INSERT INTO unknown_device VALUES ('water', %s, '{pressure}', now(), now(), 5)", [device])
    connection.commit()


def test_sensors_are_listed_adopted_and_shown(place: dict[str, str], town: list[Path], connection: Connection) -> None:
    lifeline("import", *town, **place)
    heard(connection, "d9")
    listed = lifeline("sensors", "list", **place).stdout
    assert "2 sensors" in listed
    assert "1 not in the inventory" in listed
    assert "lifeline sensors adopt d9" in lifeline("sensors", "show", "d9", **place).stdout
    assert lifeline("sensors", "adopt", "d9", **place).stdout == "adopted d9: pressure\n"
    shown = lifeline("sensors", "show", "d9", **place).stdout
    assert "lifeline/v1/water/d9/readings" in shown
    assert "3 sensors" in lifeline("sensors", "list", "--network", "water", **place).stdout
    assert "0 sensors" in lifeline("sensors", "list", "--network", "gas", **place).stdout


def test_a_device_that_nobody_heard_of_is_one_line(place: dict[str, str]) -> None:
    for command in ("adopt", "show"):
        done = lifeline("sensors", command, "d9", **place)
        assert done.returncode == 1
        assert "'d9'" in done.stderr
        assert done.stderr.count("\n") == 1


def test_silent_sensors_are_status_one(place: dict[str, str], town: list[Path], connection: Connection) -> None:
    assert lifeline("sensors", "silent", **place).returncode == 0
    lifeline("import", *town, **place)
    done = lifeline("sensors", "silent", **place)
    assert done.returncode == 1
    assert done.stdout.count("never") == 2
    connection.execute("INSERT INTO sensor_state SELECT sensor_id, now(), 1, 0, now() FROM sensor")
    connection.commit()
    assert lifeline("sensors", "silent", **place).stdout == "no sensor is silent\n"


def test_a_password_for_another_broker_comes_with_the_line_of_its_file(place: dict[str, str]) -> None:
    done = lifeline("sensors", "password", "d1", **place)
    assert re.search(r"^d1:\$7\$", done.stdout, re.MULTILINE)
    for wrong in ("ingest", "a/b"):
        assert lifeline("sensors", "password", wrong, **place).returncode == 1


def test_status_shows_books_that_agree_and_finds_those_that_do_not(
    place: dict[str, str], town: list[Path], connection: Connection
) -> None:
    lifeline("import", *town, **place)
    done = lifeline("status", **place)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "they agree with the tables: 0 readings" in done.stdout
    connection.execute("INSERT INTO reading SELECT sensor_id, now(), 1, 0 FROM sensor")
    connection.commit()
    done = lifeline("status", **place)
    assert done.returncode == 1
    assert "WRONG: reading holds 2 rows" in done.stdout


def test_status_finds_a_process_that_is_silent(place: dict[str, str], connection: Connection) -> None:
    connection.execute("INSERT INTO heartbeat VALUES ('ingest', 'a', now() - interval '2 min', '{}')")
    connection.execute("INSERT INTO heartbeat VALUES ('api', 'a', now(), '{}')")
    connection.commit()
    done = lifeline("status", **place)
    assert done.returncode == 1
    assert re.search(r"ingest\s+a\s+2 min ago\s+SILENT", done.stdout)
    connection.execute("INSERT INTO heartbeat VALUES ('ingest', 'b', now(), '{}')")
    connection.commit()
    assert lifeline("status", **place).returncode == 0  # another instance has taken over


def test_keys_are_shown_once_listed_and_revoked(place: dict[str, str]) -> None:
    key = lifeline("keys", "add", "room", "--role", "operator", "--days", "30", **place).stdout.strip()
    assert re.fullmatch(r"llk_\S{43}", key)
    listed = lifeline("keys", "list", **place).stdout
    assert re.search(r"room\s+operator\s+the whole city\s+\S+\s+never\s+valid", listed)
    assert key not in listed
    again = lifeline("keys", "add", "room", **place)
    assert again.returncode == 1
    assert again.stderr == "lifeline: there is a key 'room' already\n"
    assert lifeline("keys", "revoke", "room", **place).stdout == "revoked room\n"
    assert "revoked" in lifeline("keys", "list", **place).stdout
    assert lifeline("keys", "revoke", "nobody", **place).returncode == 1


def test_endpoints_are_added_with_a_secret_listed_and_switched(place: dict[str, str]) -> None:
    added = lifeline(
        "endpoints", "add", "crew", "https://example.org/hook", "--network", "gas", "--worst-of", "orange", **place
    )
    assert re.fullmatch(r"whsec_\S{44}\n", added.stdout)
    listed = lifeline("endpoints", "list", **place).stdout
    assert re.search(r"crew\s+https://example.org/hook\s+own\s+gas\s+to orange\s+0\s+0\s+0\s+enabled", listed)
    assert added.stdout.strip() not in listed
    assert lifeline("endpoints", "disable", "crew", **place).returncode == 0
    assert "disabled by an operator" in lifeline("endpoints", "list", **place).stdout
    assert lifeline("endpoints", "enable", "crew", **place).returncode == 0
    assert lifeline("endpoints", "enable", "nobody", **place).returncode == 1
    assert "already" in lifeline("endpoints", "add", "crew", "https://example.org/hook", **place).stderr


def test_a_private_address_is_added_with_a_word_about_it(place: dict[str, str]) -> None:
    done = lifeline("endpoints", "add", "here", "http://127.0.0.1:9/hook", **place)
    assert done.returncode == 0
    assert "LIFELINE_WEBHOOK_ALLOW" in done.stderr


def test_a_url_that_cannot_be_posted_to_is_refused(place: dict[str, str]) -> None:
    done = lifeline("endpoints", "add", "crew", "ftp://example.org/", **place)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1


def test_an_endpoint_for_an_unknown_network_is_refused(place: dict[str, str]) -> None:
    done = lifeline("endpoints", "add", "crew", "https://example.org/", "--network", "steam", **place)
    assert done.returncode == 1
    assert "steam" in done.stderr


def test_endpoints_have_formats_pacing_new_secrets_tests_and_replays(place: dict[str, str]) -> None:
    def endpoint(*arguments: str) -> str:
        done = lifeline("endpoints", *arguments, **place)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    secret = endpoint(
        "add", "crew", "https://example.org/", "--format", "cap", "--quiet", "22:00-06:30", "--repeat", "600"
    )
    assert endpoint("rotate", "crew") not in ("", secret)
    assert endpoint("test", "crew").startswith("msg_")
    assert "0 sent again" in endpoint("replay", "crew", "--failed")
    assert "stage 1" in endpoint("escalate", "crew", "--after", "300", "--level", "orange")
    assert "to orange" in endpoint("escalations")
    assert "crew" not in endpoint("escalations", "--drop", "1")
    endpoint("add", "chat", "wecombot://abcdefgh-1234", "--format", "chat", "--event", "none")
    listed = endpoint("list")
    assert "cap" in listed
    assert "abcdefgh" not in listed
    assert lifeline("endpoints", "add", "other", "https://example.org/", "--quiet", "at night", **place).returncode == 1
    assert lifeline("endpoints", "add", "other", "file:///etc/passwd", "--format", "chat", **place).returncode == 1


def test_maintenance_windows_are_opened_listed_and_ended(place: dict[str, str], town: list[Path]) -> None:
    assert lifeline("import", *map(str, town), **place).returncode == 0
    done = lifeline("maintenance", "add", "--asset", "P1", "--hours", "4", "--reason", "valve", **place)
    assert done.stdout.startswith("window 1 until"), done.stderr
    assert lifeline("maintenance", "add", "--network", "water", **place).stdout == "window 2 until it is ended\n"
    listed = lifeline("maintenance", "list", **place).stdout
    assert "valve" in listed
    assert "when ended" in listed
    assert lifeline("maintenance", "end", "2", **place).returncode == 0
    assert lifeline("maintenance", "end", "2", **place).returncode == 1
    assert lifeline("maintenance", "add", "--network", "telegraph", **place).returncode == 1


def test_performance_is_shown_also_where_nothing_happened(place: dict[str, str]) -> None:
    done = lifeline("performance", "--days", "7", "--operators", "2", **place)
    assert done.returncode == 0, done.stderr
    assert "annunciations" in done.stdout
