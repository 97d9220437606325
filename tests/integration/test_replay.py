"""A recording played through the front door: real broker, real ingest, and in the database what was played."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from lifeline.embedded import Broker
from simulators.commands import app
from tests.conftest import PASSWORDS
from tests.ingest_process import books, environment, ingest_process, wait_for

FILL = (
    "INSERT INTO reading (sensor_id, ts, value, quality) SELECT sensor_id, '2026-11-01T00:00:00.000123Z'::timestamptz"
    " + n * interval '7.1 seconds', n / 512.0, n % 2 FROM sensor, generate_series(0, 999) n"
)
SELECT = (
    "SELECT d.external_id || '/' || channel, ts, value FROM reading JOIN sensor USING (sensor_id) JOIN device d"
    " USING (device_id) ORDER BY 1, 2"
)
Rows = list[tuple[object, ...]]


def rows(dsn: str) -> Rows:
    with psycopg.connect(dsn) as connection:
        return connection.execute(SELECT).fetchall()


def prepare(dsn: str) -> None:
    """device-1 and device-2, whose passwords the broker knows, and device-3, whose it does not."""
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "INSERT INTO device (external_id, network) SELECT 'device-' || i, 'gas' FROM generate_series(1, 3) i"
        )
        connection.execute(
            "INSERT INTO sensor (device_id, channel, quantity) SELECT device_id, c, c FROM device,"
            " unnest(ARRAY['methane', 'level']) c"
        )


@pytest.fixture
def source(clean_database: str) -> str:
    """A database with a past of 6,000 readings."""
    prepare(clean_database)
    with psycopg.connect(clean_database) as connection:
        connection.execute(FILL)
    return clean_database


def replay(dsn: str, broker: Broker, *arguments: object, passwords: Path | None = None) -> str:
    """Run the simulators' command; its output."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LIFELINE_")}
    own = {
        "LIFELINE_DATABASE_URL": dsn, "LIFELINE_MQTT_HOST": broker.host, "LIFELINE_MQTT_PORT": str(broker.port),
        "LIFELINE_MQTT_USERNAME": "simulator", "LIFELINE_MQTT_PASSWORD": PASSWORDS["simulator"],
    }  # fmt: skip
    given = ["replay", *map(str, arguments), *([] if passwords is None else ["--passwords", str(passwords)])]
    done = CliRunner().invoke(app, given, env={**dict.fromkeys(os.environ.keys() - kept.keys()), **own})
    return done.output


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """The command takes them; the tests' own come back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("source")
def test_a_period_of_the_database_is_stored_again_row_for_row(
    clean_database: str, broker: Broker, tmp_path: Path
) -> None:
    before = rows(clean_database)
    assert len(before) == 6000
    span = ("--from", "2026-11-01", "--to", "2026-11-02", "--speed", 0)
    dry = replay(clean_database, broker, *span, "--dry-run")
    assert "6,000 readings would be played; nothing was" in dry
    secrets = tmp_path / "mqtt"
    secrets.mkdir()
    (secrets / "device-1").write_text(PASSWORDS["device-1"])
    env = environment(clean_database, broker, PASSWORDS["ingest"])
    with ingest_process(env, tmp_path / "ingest.log"):
        told = replay(clean_database, broker, *span, passwords=secrets)
        assert "played    6,000 readings" in told, told
        wait_for(lambda: books(clean_database)["received"] == 6000, "the readings that are there already")
        assert books(clean_database)["duplicate"] == 6000  # the very same sensor and time
        with psycopg.connect(clean_database) as connection:
            connection.execute("CREATE TEMP TABLE t AS SELECT 1")
            connection.execute("DELETE FROM reading WHERE sensor_id IN (SELECT sensor_id FROM sensor LIMIT 3)")
        told = replay(clean_database, broker, *span, "--device", "device-[12]", passwords=secrets)
        assert "played" in told
        csv = tmp_path / "past.csv"
        csv.write_text("ts,sensor,value\n" + "".join(f"{ts},{name},{value}\n" for name, ts, value in before))
        told = replay(clean_database, broker, "--csv", csv, "--speed", 0)
        assert "played    6,000 readings" in told, told
        wait_for(lambda: books(clean_database)["readings"] == 6000, "what was taken away")
    assert rows(clean_database) == before


@pytest.mark.usefixtures("source")
def test_played_to_now_readings_are_live_and_never_lie_among_those_of_living_devices(
    clean_database: str, broker: Broker, tmp_path: Path
) -> None:
    csv = tmp_path / "minute.csv"
    lines = [f"2026-11-01T00:{n // 60:02}:{n % 60:02}Z,{n / 64}" for n in range(0, 120, 2)]
    csv.write_text("ts,device-3/methane\n" + "\n".join(lines) + "\n")
    with psycopg.connect(clean_database) as connection:
        connection.execute("TRUNCATE reading")
    env = environment(clean_database, broker, PASSWORDS["ingest"])
    with ingest_process(env, tmp_path / "ingest.log"):
        told = replay(clean_database, broker, "--csv", csv, "--speed", 120, "--shift-to-now")
        assert "played    60 readings" in told, told
        wait_for(lambda: books(clean_database)["stored"] == 60, "the readings")
        refused = replay(clean_database, broker, "--csv", csv, "--speed", 120, "--shift-to-now")
        assert "1 of the sensors speak themselves (device-3/methane)" in refused
    with psycopg.connect(clean_database) as connection:
        found = connection.execute(
            "SELECT count(*), bool_and(quality & 1 = 0), max(now() - ts) < interval '30 seconds',"
            " extract(epoch FROM max(ts) - min(ts))::float8, array_agg(value ORDER BY ts) FROM reading"
        ).fetchone()
    assert found is not None
    assert found[:3] == (60, True, True)
    assert found[3] == pytest.approx(118 / 120, abs=1e-3)
    assert found[4] == [n / 64 for n in range(0, 120, 2)]


def test_what_cannot_be_played_is_said_in_a_line(clean_database: str, broker: Broker, tmp_path: Path) -> None:
    prepare(clean_database)
    for arguments, told in (
        ((), "say which past"),
        (("--from", "yesterday"), "'yesterday' is no time"),
        (("--from", "2026-11-02", "--to", "2026-11-01"), "--to must be later"),
        (("--from", "2026-11-02", "--device", "nobody*"), r"the inventory has no device nobody*"),
    ):
        assert told in replay(clean_database, broker, *arguments)
