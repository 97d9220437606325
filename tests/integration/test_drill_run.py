"""What runs a drill: addresses of its own for each process, a broker with its own rules, what a kill leaves behind."""

import json
import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from lifeline import wire
from lifeline.cli.children import environment
from lifeline.cli.drilldesk import PROCESS, Desk
from lifeline.cli.drillrun import Exercise, home_of_drill, runner_of, sweep
from lifeline.cli.exercise import ExerciseSystem
from lifeline.cli.home import Home
from lifeline.cli.system import System
from lifeline.cli.twin import devices_of, make_twin, playable, simulators
from lifeline.drills.plan import Plan, Team
from lifeline.embedded.acl import acl
from lifeline.errors import ConfigurationError, NotFoundError
from lifeline.settings import Settings
from lifeline.storage import drills, health, sandbox
from lifeline.storage.database import Connection, connect, open_connection
from lifeline.storage.drills import DrillState
from lifeline.storage.sandbox import Sandbox
from tests.api_process import until
from tests.integration.test_embedded_broker import client, listening, publish
from tests.ports import listeners

pytestmark = pytest.mark.usefixtures("clean_database")
PLAN = Plan("burst", (Team("值班 Duty"),), lasts_s=60)
LOGINS = {name: f"postgresql://own_{name}:word@db:5433/city_exercise_7" for name in ("ingest", "alerts", "api")}
PLACE = Sandbox("city_exercise_7", "postgresql://owner:hush@db:5433/city_exercise_7", LOGINS)


@pytest.fixture
def db(clean_database: str) -> Iterator[Connection]:
    connection = open_connection(clean_database, autocommit=True)
    yield connection
    connection.close()


@pytest.fixture
def home(service_home: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    for name in [name for name in os.environ if name.startswith("LIFELINE_") and name != "LIFELINE_CACHE"]:
        monkeypatch.delenv(name)
    made = Home(service_home)
    made.make()
    return made


@pytest.fixture
def system(home: Home) -> Iterator[ExerciseSystem]:
    own = home_of_drill(home, 7)
    own.make()
    made = ExerciseSystem(
        own, Settings(database_url="postgresql://owner:hush@db:5433/city", link_secret="real"), 7, PLACE
    )
    yield made
    made.stop()


# ------------------------------------------------------------------------------------- what each process is told


def test_no_process_of_a_drill_is_told_the_address_of_the_real_database(system: ExerciseSystem) -> None:
    for process, login in LOGINS.items():
        path = Path(system._connection(process)["LIFELINE_DATABASE_URL_FILE"])
        assert path.read_text() == login
        assert path.stat().st_mode & 0o077 == 0
        given = conninfo_to_dict(path.read_text())
        assert given["dbname"] == "city_exercise_7"
    assert conninfo_to_dict(system.dsn)["dbname"] == "city_exercise_7"


def test_every_process_of_a_drill_is_marked_as_an_exercise(
    system: ExerciseSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIFELINE_INGEST_TOPICS", '["lifeline/v1/gas/+/readings"]')
    monkeypatch.setenv("LIFELINE_MESSAGE_STATUS", "Actual")
    monkeypatch.setenv("LIFELINE_DATABASE_URL", "postgresql://owner:hush@db:5433/city")
    given = environment(system._marks)
    assert given["LIFELINE_MESSAGE_STATUS"] == "Exercise"
    assert given["LIFELINE_TOPIC_ROOT"] == "lifeline-exercise/7/v1"
    assert json.loads(given["LIFELINE_INGEST_TOPICS"]) == ["lifeline-exercise/7/v1/+/+/readings"]
    assert given["LIFELINE_PAGE_TITLE"].startswith("演练 EXERCISE 7")
    assert "hush" not in json.dumps(given)
    assert {given[f"LIFELINE_{name}_METRICS_PORT"] for name in ("INGEST", "ALERTS", "PLANNING")} == {"0"}


def test_a_link_of_a_drill_is_signed_with_a_secret_of_its_own(system: ExerciseSystem) -> None:
    secret = Path(system._links()["LIFELINE_LINK_SECRET_FILE"]).read_text()
    assert secret != "real"
    assert len(secret) > 20


def test_the_rules_of_a_drills_broker_know_no_other_topic_than_the_drills() -> None:
    rules = acl(wire.exercise_root(7))
    assert "lifeline/v1" not in rules
    lines = [line for line in rules.splitlines() if line.startswith(("topic", "pattern"))]
    assert len(lines) == len([line for line in acl().splitlines() if line.startswith(("topic", "pattern"))])
    assert all("lifeline-exercise/7/v1" in line for line in lines)
    assert wire.ROOT in acl()


@pytest.mark.usefixtures("programs")
def test_a_drills_own_broker_takes_and_gives_the_drills_topics_alone(system: ExerciseSystem) -> None:
    system.start_services()
    broker = system.broker
    assert broker is not None
    users = system.home.mqtt_users()
    assert users.keys() == {"ingest", "simulator"}
    readings = wire.readings_topic("gas", "rtu-1", wire.exercise_root(7))
    with (
        listening(broker, "ingest", "#", users["ingest"]) as heard,
        client(broker, "simulator", users["simulator"]) as simulator,
    ):
        assert publish(simulator, readings, b"one") == "Success"
        assert heard.get(timeout=60).topic == readings
        for other in ("lifeline/v1/gas/rtu-1/readings", "lifeline-exercise/8/v1/gas/rtu-1/readings"):
            assert publish(simulator, other) == "Not authorized"
        with client(broker, "ingest", users["ingest"]) as ingest:
            assert publish(ingest, readings) == "Not authorized"
        assert heard.empty()
    port = broker.port
    sockets = listeners(port)
    assert sockets
    system.stop()
    until(lambda: not sockets & listeners(port), "ports that are closed")


# ------------------------------------------------------------------------------------------------------ the twin


def test_the_twin_is_the_simulators_town_with_all_its_devices(tmp_path: Path) -> None:
    twin = make_twin(tmp_path / "town", 1)
    assert [file.name for file in twin.files] == ["assets.geojson", "sensors.csv"]
    assert len(twin.devices) > 20
    assert sorted(set(twin.devices)) == list(twin.devices)
    assert devices_of(twin.files[1]) == twin.devices
    found = playable()
    assert {"burst", "storm", "demo"} <= found.keys()
    assert "爆管" in found["burst"]
    with pytest.raises(ConfigurationError, match="no scenario 'nothing'"):
        simulators("check", "nothing")


def test_a_file_of_sensors_names_gateways_once_and_empty_cells_never(tmp_path: Path) -> None:
    file = tmp_path / "sensors.csv"
    file.write_text("device,network,channel,asset,gateway\nb,gas,methane,A,gw\na,gas,methane,A,gw\na,gas,h2s,A,\n")
    assert devices_of(file) == ("a", "b", "gw")


# ----------------------------------------------------------------------------------- what a killed runner leaves


def begun(db: Connection, runner: str, ago: timedelta) -> int:
    """A drill that somebody took a while ago."""
    at = datetime.now(UTC) - ago
    number = drills.plan(db, PLAN.to_json(), "ann", at, at)
    assert drills.take(db, number, runner, at)
    return number


def test_what_a_killed_runner_left_is_removed_at_the_next_start(
    db: Connection, clean_database: str, home: Home
) -> None:
    number = begun(db, runner_of(home), timedelta(seconds=30))
    place = sandbox.create(clean_database, number)
    left = home_of_drill(home, number)
    left.make()
    left.secret("mqtt/ingest")
    assert sweep(home, clean_database) == number
    found = drills.get(db, number)
    assert found.state is DrillState.FAILED
    assert "killed" in found.message
    assert not left.path.exists()
    row = db.execute("SELECT count(*) FROM pg_database WHERE datname = %s", [place.name]).fetchone()
    assert row == (0,)
    roles = db.execute("SELECT count(*) FROM pg_roles WHERE rolname LIKE %s", [f"{place.name}%"]).fetchone()
    assert roles == (0,)
    assert sweep(home, clean_database) is None


def test_a_drill_that_is_being_run_is_left_alone(db: Connection, clean_database: str, home: Home) -> None:
    number = begun(db, runner_of(home), timedelta(seconds=30))
    with home_of_drill(home, number).claimed():
        assert sweep(home, clean_database) is None
        assert home_of_drill(home, number).path.exists()
    assert drills.get(db, number).state is DrillState.RUNNING


@pytest.mark.parametrize(("silent_s", "dead"), [(30, False), (90, True)])
def test_a_runner_of_another_machine_is_dead_when_it_is_silent(
    db: Connection, clean_database: str, home: Home, silent_s: float, dead: bool
) -> None:
    number = begun(db, "elsewhere:/srv", timedelta(seconds=silent_s))
    assert sweep(home, clean_database) == (number if dead else None)
    assert (drills.get(db, number).state is DrillState.FAILED) == dead


def test_a_drill_that_cannot_begin_has_failed_and_leaves_nothing(
    db: Connection, clean_database: str, home: Home
) -> None:
    plan = Plan("burst", (Team("值班 Duty", endpoint="nobody"),), lasts_s=60)
    with pytest.raises(NotFoundError, match="nobody"):
        Exercise(home, Settings(database_url=clean_database), clean_database).begin(plan, "ann")
    (found,) = drills.list_drills(db)
    assert (found.state, found.began_at is not None) == (DrillState.FAILED, True)
    assert "nobody" in found.message
    assert not home_of_drill(home, found.drill_id).path.exists()
    assert db.execute("SELECT count(*) FROM pg_database WHERE datname LIKE '%exercise%'").fetchone() == (0,)
    assert [event.action for event in drills.events(db, found.drill_id)] == ["planned", "began", "failed"]


# ------------------------------------------------------------------------------------------------------ the desk


def test_the_desk_takes_what_is_due_once_and_says_that_it_is_there(
    db: Connection, clean_database: str, home: Home
) -> None:
    system = System(home, Settings(database_url=clean_database))
    desk = Desk(system)
    now = datetime.now(UTC)
    number = drills.plan(db, PLAN.to_json(), "ann", now, now)
    with connect(clean_database) as connection:
        for _ in range(3):
            desk._look(connection, now)
    assert desk._due.get(timeout=1) == number
    assert desk._due.empty()


def test_the_desk_tells_which_scenarios_there_are_and_beats(db: Connection, clean_database: str, home: Home) -> None:
    gone = "elsewhere:1"  # killed before its end
    health.beat(db, PROCESS, gone, datetime.now(UTC) - timedelta(days=1), {})
    desk = Desk(System(home, Settings(database_url=clean_database)))
    desk.start()
    try:
        deadline = datetime.now(UTC) + timedelta(seconds=60)
        while not (beats := [beat for beat in health.heartbeats(db) if beat.instance != gone]):
            assert datetime.now(UTC) < deadline
            desk._ending.wait(0.1)
    finally:
        desk.close()
        desk.join(30)
    assert beats[0].process == PROCESS
    assert beats[0].instance.startswith(socket.gethostname())
    assert health.heartbeats(db) == [], "what has ended is not dead, and what died before it is forgotten"
    assert "burst" in drills.scenarios(db)


def test_a_desk_without_a_database_waits_and_ends_when_it_is_told(home: Home) -> None:
    desk = Desk(System(home, Settings(database_url="postgresql://nobody@127.0.0.1:1/none")))
    desk.start()
    desk._ending.wait(0.5)
    assert desk.is_alive()
    desk.close()
    desk.join(30)
    assert not desk.is_alive()
