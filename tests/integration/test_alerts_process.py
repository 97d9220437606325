"""The real process, ``python -m alerts``: start, stop, two at once, kill -9, and a database that goes away."""

import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from alerts.learning import due, outdated
from alerts.process import Process
from lifeline.embedded import Database
from lifeline.settings import Settings
from lifeline.storage import baselines
from lifeline.storage.database import Connection, open_connection
from lifeline.storage.migrations import migrate
from tests.api_process import until
from tests.integration.city import add_device, add_reading, add_sensor, count
from tests.integration.receiver import SECRET, Receiver
from tests.integration.test_baselines import add_pressure, add_quarters, learn
from tests.ports import free_port

ROOT = Path(__file__).parents[2]


class Instance:
    """One ``python -m alerts``."""

    def __init__(self, dsn: str, **settings: str) -> None:
        self.port = free_port()
        environment = {
            "PATH": os.environ["PATH"],
            "LIFELINE_DATABASE_URL": dsn,
            "LIFELINE_ALERTS_TICK_S": "0.3",
            "LIFELINE_ALERTS_METRICS_PORT": str(self.port),
            "LIFELINE_WEBHOOK_ALLOW": '["127.0.0.1"]',
            **settings,
        }
        # No pipe: nobody reads it while the process runs, and one that is full stops it.
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed once it is read, or gone with this object
        self.process = subprocess.Popen([sys.executable, "-m", "alerts"], cwd=ROOT, env=environment, stderr=self._log)

    def metrics(self) -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""

    def leads(self) -> bool:
        return "lifeline_alerts_leader 1.0" in self.metrics()

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Its exit code and what it logged."""
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> tuple[int, str]:
        """Its exit code and what it logged, once it has ended."""
        status = self.process.wait(timeout=120)
        with self._log as log:
            log.seek(0)
            return status, log.read().decode()


@pytest.fixture
def started() -> Iterator[list[Instance]]:
    instances: list[Instance] = []
    yield instances
    for instance in instances:
        if instance.process.poll() is None:
            instance.process.kill()
            instance.ended()


def add_endpoint(connection: Connection, url: str) -> None:
    connection.execute(
        "INSERT INTO endpoint (name, url, secret, created_at) VALUES ('field', %s, %s, now())", [url, SECRET]
    )
    connection.commit()


def breach(connection: Connection, sensor: int) -> None:
    add_reading(connection, sensor, datetime.now(UTC), 3.0)
    connection.commit()


@pytest.mark.usefixtures("clean_database")
def test_a_breach_reaches_the_field_and_sigterm_ends_it_cleanly(
    connection: Connection, database_dsn: str, started: list[Instance]
) -> None:
    device = add_device(connection, "rtu-1")
    with Receiver() as receiver:
        add_endpoint(connection, receiver.url)
        instance = Instance(database_dsn)
        started.append(instance)
        until(instance.leads)
        for attempt in range(1, 7):  # a machine that is busy elsewhere may be late once
            sensor = add_sensor(connection, device, f"methane.{attempt}")
            began = time.monotonic()
            breach(connection, sensor)
            until(lambda: len(receiver.accepted) == attempt, "the message")  # noqa: B023
            if time.monotonic() - began < 3:
                break
        else:
            pytest.fail("of six messages none came within three seconds")
        opened = f'lifeline_alerts_open{{kind="risk",level="red",network="gas"}} {attempt}.0'
        until(lambda: opened in instance.metrics())
        until(lambda: count(connection, "heartbeat WHERE process = 'alerts'") == 1)
        told = connection.execute("SELECT detail -> 'tick_s' FROM heartbeat WHERE process = 'alerts'").fetchall()
        assert told == [(0.3,)], "how often it looks"
        code, log = instance.end()
    assert code == 0
    assert '"raised"' in log
    assert "stopped" in log


@pytest.mark.usefixtures("clean_database")
def test_what_an_older_version_learned_is_learned_anew_at_the_first_chance_and_once(
    connection: Connection, database_dsn: str
) -> None:
    now = datetime.now(UTC)
    add_quarters(connection, add_pressure(connection, "a"), 8, end=now.replace(minute=0, second=0, microsecond=0))
    assert learn(connection, now) == 1
    connection.execute("UPDATE baseline SET content = 'of another form'")
    connection.commit()
    assert not due(baselines.standing(connection), now.timestamp())
    connection.commit()
    process = Process(Settings(database_url=SecretStr(database_dsn)), lambda: datetime.now(UTC), "here")
    try:
        process.tick()  # from here on it leads
        process.learn()
        assert not outdated(connection)
        first = baselines.standing(connection)
        connection.commit()
        process.learn()
        assert baselines.standing(connection) == first, "once"
    finally:
        process.stop()


@pytest.mark.usefixtures("clean_database")
def test_of_two_one_works_and_when_it_is_killed_the_other_goes_on_and_nothing_is_doubled_or_lost(
    connection: Connection, database_dsn: str, started: list[Instance]
) -> None:
    device = add_device(connection, "rtu-1")
    sensors = [add_sensor(connection, device, f"methane.{n}") for n in range(60)]
    with Receiver() as receiver:
        add_endpoint(connection, receiver.url)
        started += [Instance(database_dsn), Instance(database_dsn)]
        until(lambda: any(instance.leads() for instance in started))
        waiting = iter(sensors)
        for _ in range(4):
            for _ in range(12):
                breach(connection, next(waiting))
                time.sleep(0.02)
            assert sum(instance.leads() for instance in started) <= 1
            leader = next((instance for instance in started if instance.leads()), started[0])
            leader.end(signal.SIGKILL)
            started.remove(leader)
            started.append(Instance(database_dsn))
        for sensor in waiting:
            breach(connection, sensor)
        until(lambda: count(connection, "alert") == 60)
        connection.commit()
        until(lambda: count(connection, "delivery WHERE state = 'delivered'") == 60)
    assert count(connection, "alert_history") == count(connection, "outbox WHERE alert_id IS NOT NULL") == 60
    assert count(connection, "alert WHERE incident_id IS NULL") == 0
    assert count(connection, "incident") == count(connection, "incident_history WHERE action = 'opened'") == 60
    events = {incident for (incident,) in connection.execute("SELECT incident_id FROM incident")}
    assert {message["data"]["incident_id"] for message in receiver.accepted} == events
    assert len(receiver.ids) == len(events) == 60


@pytest.mark.usefixtures("clean_database")
def test_a_wrong_setting_or_rule_is_one_line_and_an_exit_code(
    database_dsn: str, started: list[Instance], tmp_path: Path
) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text("[[rule]]\nid = 'x'\ndetector = 'oracle'\n", encoding="utf-8")
    for settings in ({"LIFELINE_DATABASE_URL": ""}, {"LIFELINE_ALERTS_RULES": str(rules)}):
        instance = Instance(database_dsn, **settings)
        started.append(instance)
        status, log = instance.ended()
        assert status == 1
        assert log.count("\n") == 1
        assert log.startswith("alerts: ")


def test_while_the_database_is_away_it_waits_and_then_goes_on(
    service_home: Path, programs: Path, started: list[Instance]
) -> None:
    with Database(service_home, fsync=False) as database:
        migrate(database.dsn)
        instance = Instance(database.dsn)
        started.append(instance)
        until(instance.leads)
        database.kill()
        until(lambda: "lifeline_alerts_database_up 0.0" in instance.metrics())
        until(lambda: not instance.leads())  # a tick under way may say once more that it does
        database.start()
        with open_connection(database.dsn) as connection:
            sensor = add_sensor(connection, add_device(connection, "rtu-1"))
            breach(connection, sensor)
            until(lambda: count(connection, "alert") == 1)
        # The alert is committed a moment before the tick has ended and says so.
        until(lambda: "lifeline_alerts_database_up 1.0" in instance.metrics())
        code, log = instance.end()
    assert code == 0
    assert "tick failed" in log
    assert "Traceback" not in log
