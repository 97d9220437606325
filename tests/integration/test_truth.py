"""The truth in the database, and `lifeline score` over it."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from lifeline.cli import app
from lifeline.model import AlertKind, JsonObject, Level
from lifeline.scoring import Raised, belongs
from lifeline.settings import load_settings
from lifeline.storage import truth
from lifeline.storage.database import Connection
from lifeline.storage.roles import ROLES
from simulators.scenario import load_scenario
from simulators.service import Service

pytestmark = pytest.mark.usefixtures("clean_database")
NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)


def record(name: str = "demo-1-1", began: datetime = NOW, **more: object) -> JsonObject:
    return {
        "id": name, "state": "began", "kind": "gas_leak", "nature": "physical", "network": "gas", "asset": "G-P-1",
        "devices": [], "sensor": None, "name": "", "longitude": 117.2, "latitude": 31.8, "from": began.isoformat(),
        "to": (began + timedelta(minutes=5)).isoformat(), "visible_from": None, "visible_at": None, "caused_by": None,
        "harmless": False, "parameters": {"hole_mm": 5.0}, "scenario": "demo", "seed": 1, **more,
    }  # fmt: skip


@pytest.fixture
def stored(connection: Connection) -> Iterator[Connection]:
    yield connection
    connection.rollback()


def events(connection: Connection) -> list[tuple[str, float | None]]:
    found = truth.between(connection, NOW - timedelta(days=1), NOW + timedelta(days=1))
    return [(event.id, event.visible) for event in found]


def test_an_event_is_kept_once_and_tells_more_of_itself_later(stored: Connection) -> None:
    seen = NOW + timedelta(seconds=20)
    truth.write(stored, [record()], NOW)
    truth.write(stored, [record(state="visible", visible_from=seen.isoformat(), visible_at="gas-1/methane")], NOW)
    truth.write(stored, [record(state="ended")], NOW)
    assert events(stored) == [("demo-1-1", seen.timestamp())]


def test_a_dead_gateway_is_one_of_the_devices_that_fall_silent_so_that_the_alert_on_it_belongs_to_it(
    stored: Connection,
) -> None:
    dead = {"kind": "gateway_dead", "nature": "device", "gateway": "gw-1"}
    truth.write(stored, [record(**dead, devices=["rtu-1", "rtu-2"]), record("demo-1-2", devices=["rtu-3"])], NOW)
    found = truth.between(stored, NOW - timedelta(days=1), NOW + timedelta(days=1))
    assert [event.devices for event in found] == [("gw-1", "rtu-1", "rtu-2"), ("rtu-3",)]
    told = Raised(1, "silence.gateway", AlertKind.MAINTENANCE, "gas", NOW.timestamp() + 30, Level.ORANGE, device="gw-1")
    assert [belongs(event, told) for event in found] == [True, False]


def test_records_of_one_event_in_one_write_are_one_row_and_the_last_counts(stored: Connection) -> None:
    seen = NOW + timedelta(seconds=20)
    truth.write(stored, [record(), record(visible_from=seen.isoformat()), record("demo-1-2")], NOW)
    assert events(stored) == [("demo-1-1", seen.timestamp()), ("demo-1-2", None)]
    truth.write(stored, [], NOW)
    assert len(events(stored)) == 2


def test_the_same_scenario_played_again_is_another_event(stored: Connection) -> None:
    truth.write(stored, [record(), record(began=NOW + timedelta(hours=2))], NOW)
    assert len(events(stored)) == 2


def test_truth_of_before_there_was_a_nature_is_physical(stored: Connection) -> None:
    old = {key: value for key, value in record().items() if key not in ("nature", "harmless", "devices", "sensor")}
    truth.write(stored, [old], NOW)
    (event,) = truth.between(stored, NOW, NOW + timedelta(hours=1))
    assert (event.nature, event.harmless, event.devices, event.sensor) == ("physical", False, (), None)


def test_only_events_of_the_time_are_given(stored: Connection) -> None:
    truth.write(stored, [record(f"e{hour}", NOW + timedelta(hours=hour)) for hour in range(5)], NOW)
    found = truth.between(stored, NOW + timedelta(hours=1), NOW + timedelta(hours=3))
    assert [event.id for event in found] == ["e1", "e2"]


def test_no_process_can_change_the_truth(database_dsn: str) -> None:
    with psycopg.connect(database_dsn) as connection:
        for role in ROLES.values():
            for right in ("INSERT", "UPDATE", "DELETE"):
                row = connection.execute("SELECT has_table_privilege(%s, 'truth', %s)", (role, right)).fetchone()
                assert row == (False,), (role, right)


def alert(connection: Connection, rule: str, at: datetime, level: int = 2) -> None:
    connection.execute(
        "INSERT INTO alert (subject_kind, subject_id, rule, rule_version, kind, network, level, state, longitude, "
        "latitude, evidence, first_seen, raised_at, updated_at) VALUES ('asset', %s, %s, '1', 'risk', 'gas', %s, "
        "'UNACK', 117.2, 31.8, jsonb_build_object('quantity', 'methane'), %s, %s, %s)",
        (abs(hash(rule)) % 1000, rule, level, at, at, at),
    )


def run(dsn: str, *arguments: str) -> tuple[int, str]:
    found = CliRunner().invoke(app, ["score", *arguments], env={"LIFELINE_DATABASE_URL": dsn, "COLUMNS": "250"})
    return found.exit_code, found.output


def test_score_tells_what_was_found_and_what_was_false(clean_database: str, tmp_path: Path) -> None:
    began = datetime.now(UTC) - timedelta(minutes=30)
    file, picture = tmp_path / "truth.jsonl", tmp_path / "score.svg"
    lines = [record("demo-1-1", began, visible_from=(began + timedelta(seconds=10)).isoformat()),
             record("demo-1-2", began, kind="burst", network="water", visible_from=began.isoformat())]  # fmt: skip
    file.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    with psycopg.connect(clean_database) as connection:
        alert(connection, "methane.level", began + timedelta(seconds=40))
        alert(connection, "methane.rise", began - timedelta(minutes=10))
    home = str(tmp_path / "home")
    status, text = run(clean_database, "--truth", str(file), "--each", "--plot", str(picture), "--home", home)
    assert status == 0, text
    assert "gas_leak" in text
    assert "30 s" in text
    assert "methane.level 1" in text
    assert "false risk alerts 误报 1" in text
    assert "methane.rise orange" in text
    assert "MISSED" in picture.read_text(encoding="utf-8")
    for by in ("scenario", "seed", "detector"):
        status, text = run(clean_database, "--by", by, "--home", home)
        assert status == 0, text
    assert "(nobody)" in text


def test_score_without_any_event_says_what_to_do(clean_database: str, tmp_path: Path) -> None:
    status, text = run(clean_database, "--home", str(tmp_path / "home"))
    assert status == 1
    assert "lifeline demo" in text


def test_the_simulators_write_the_truth_to_the_database_that_they_are_given(
    clean_database: str, tmp_path: Path
) -> None:
    settings = load_settings(mqtt_host="127.0.0.1", mqtt_port=1, database_url=clean_database)
    service = Service(settings, 1, load_scenario("quiet"), None)
    service._recorder(None)(record())
    with psycopg.connect(clean_database) as connection:
        assert connection.execute("SELECT event_id, seed FROM truth").fetchall() == [("demo-1-1", 1)]


def test_a_database_that_is_away_costs_no_event(tmp_path: Path) -> None:
    file = tmp_path / "truth.jsonl"
    settings = load_settings(mqtt_host="127.0.0.1", mqtt_port=1, database_url="postgresql://nobody@127.0.0.1:1/none")
    service = Service(settings, 1, load_scenario("quiet"), file)
    with file.open("a", encoding="utf-8") as opened:
        service._recorder(opened)(record())
    assert json.loads(file.read_text())["id"] == "demo-1-1"
