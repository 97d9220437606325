"""`lifeline backtest` as it is run: over stored history with its truth, and over a CSV file by a mapping."""

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from lifeline.storage.database import Connection
from tests.integration.city import NOON, add_asset, add_device, add_sensor

pytestmark = pytest.mark.usefixtures("clean_database")
ROOT = Path(__file__).parents[2]


def backtest(dsn: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from lifeline.cli import main; main()", "backtest", *map(str, arguments)]
    environment = {**os.environ, "LIFELINE_DATABASE_URL": dsn, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, check=False)


@pytest.fixture
def chamber(clean_database: str, connection: Connection) -> int:
    """A chamber with a day of calm methane each minute, and ten minutes of a leak at noon."""
    sensor = add_sensor(connection, add_device(connection, "rtu-1"), asset=add_asset(connection, "K-7"))
    connection.execute(
        """INSERT INTO reading (sensor_id, ts, value, quality)
        SELECT %(sensor)s, at,
            CASE WHEN at > %(noon)s AND at <= %(noon)s + interval '10 minutes' THEN 1.5 ELSE 0.05 END, 1
        FROM generate_series(
            %(noon)s - interval '12 hours', %(noon)s + interval '12 hours', interval '1 minute') AS at""",
        {"sensor": sensor, "noon": NOON},
    )
    connection.commit()
    return sensor


def write_truth(path: Path, *, kind: str = "gas_leak", hour: int = 0) -> Path:
    begin = NOON + timedelta(hours=hour)
    record = {"id": "t-1", "kind": kind, "longitude": 117.27, "latitude": 31.86, "visible_from": begin.isoformat()}
    record |= {"from": begin.isoformat(), "to": (begin + timedelta(minutes=10)).isoformat()}
    path.write_text(json.dumps({**record, "visible_from": None}) + "\n" + json.dumps(record) + "\n")
    return path


@pytest.mark.usefixtures("chamber")
def test_an_event_of_the_stored_past_is_found_with_its_delay(database_dsn: str, tmp_path: Path) -> None:
    begin, end = NOON - timedelta(hours=6), NOON + timedelta(hours=6)
    picture, truth = tmp_path / "day.svg", write_truth(tmp_path / "truth.jsonl")
    done = backtest(
        database_dsn,
        "--from",
        begin.isoformat(),
        "--to",
        end.isoformat(),
        "--truth",
        truth,
        "--plot",
        picture,
        "--step",
        60,
    )
    assert done.returncode == 0, done.stderr
    assert "| gas_leak | 1 | 1 | 1 | 60 s | 60 s | `methane.level` 1 |" in done.stdout
    assert "False risk alerts: 0 in" in done.stdout
    assert "methane.level" in picture.read_text()


@pytest.mark.usefixtures("chamber")
def test_an_alert_that_no_event_explains_is_false_and_an_event_without_alert_missed(
    database_dsn: str, tmp_path: Path
) -> None:
    begin, end = NOON - timedelta(hours=6), NOON + timedelta(hours=6)
    truth = write_truth(tmp_path / "truth.jsonl", kind="burst", hour=2)
    done = backtest(database_dsn, "--from", begin.isoformat(), "--to", end.isoformat(), "--truth", truth)
    assert "| burst | 1 | 1 | 0 | - | - | - |" in done.stdout
    assert "False risk alerts: 1 in" in done.stdout


@pytest.mark.usefixtures("chamber")
def test_nothing_is_written_and_other_rules_can_be_tried(
    database_dsn: str, connection: Connection, tmp_path: Path
) -> None:
    strict = (ROOT / "alerts" / "rules.toml").read_text().replace("red = 50 } # %LEL", "red = 25 } # %LEL")
    rules = tmp_path / "rules.toml"
    rules.write_text(strict)
    begin, end = NOON - timedelta(hours=1), NOON + timedelta(hours=1)
    for given, worst in (([], "orange"), (["--rules", rules], "red")):
        done = backtest(database_dsn, "--from", begin.isoformat(), "--to", end.isoformat(), *given)
        assert f"| `methane.level` | 1 | {worst} |" in done.stdout
    assert connection.execute("SELECT count(*) FROM alert").fetchone() == (0,)


@pytest.mark.parametrize("arguments", [["--from", "soon"], ["--truth", "nowhere.jsonl", "--from", "2026-11-21"], []])
def test_what_is_wrong_is_said_in_a_line(database_dsn: str, arguments: list[str]) -> None:
    done = backtest(database_dsn, *arguments)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert done.stderr


def test_a_csv_file_is_judged_by_its_mapping(database_dsn: str, tmp_path: Path) -> None:
    rows = [f"{minute},{(minute * 7919) % 100 / 100 + (9 if 700 <= minute < 740 else 0):.2f},{int(700 <= minute < 740)}"
            for minute in range(1000)]  # fmt: skip
    (tmp_path / "a.csv").write_text("t,level,bad\n" + "\n".join(rows) + "\n")
    mapping = tmp_path / "mapping.toml"
    mapping.write_text(
        'learn_rows = 500\n[time]\ncolumn = "t"\nformat = "epoch"\n[label]\ncolumn = "bad"\n'
        '[files]\njudge = ["a.csv"]\n'
    )
    done = backtest(database_dsn, "--csv", mapping)
    assert "1 of 1 events, 0 false episodes" in done.stdout, done.stderr
