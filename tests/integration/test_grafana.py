"""The dashboards of deploy/grafana: every statement runs as Grafana's own role on the real database."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from psycopg import sql
from psycopg.conninfo import make_conninfo

from lifeline.model import Level
from lifeline.storage import reports
from lifeline.storage.database import connect
from lifeline.storage.reports import Category, Report
from tests.integration.city import add_reading
from tests.integration.town import build, empty, open_alert

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "grafana"
DASHBOARDS = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (FOLDER / "dashboards").glob("*.json")
}
PANELS = [(name, panel) for name, board in sorted(DASHBOARDS.items()) for panel in board["panels"]]
NOW = datetime.now(UTC)
EMPTY = {
    "Open incidents, the worst first 未结事件", "Highest standing risk 固有风险最高的设施",
    "Quarantined by reason 隔离原因", "Sensors not heard for an hour 静默传感器", "Books by consumer 收支账",
}  # fmt: skip
"""Panels of what this town has not."""


@pytest.fixture(scope="module")
def grafana(database_dsn: str) -> Iterator[psycopg.Connection[Any]]:
    """A log-in of the role, as Grafana has it, on a town with readings, alerts and a report."""
    empty(database_dsn)
    with connect(database_dsn) as connection:
        ids = build(connection, NOW)
        for minutes in range(1, 60):
            add_reading(connection, ids["gas"], NOW - timedelta(minutes=minutes), minutes / 10)
        open_alert(connection, ids["gas"], now=NOW - timedelta(minutes=30))
        open_alert(connection, ids["water"], Level.BLUE, rule="water.pressure", now=NOW - timedelta(minutes=20))
        connection.execute("UPDATE alert SET acknowledged_at = raised_at + interval '90 s' WHERE alert_id = 2")
        connection.execute(
            "INSERT INTO reading_15m SELECT %s, date_bin('15 min', ts, '2000-01-01'), 1, value, value, value, value"
            " FROM reading WHERE sensor_id = %s ON CONFLICT DO NOTHING",
            [ids["gas"], ids["gas"]],
        )
        connection.execute("INSERT INTO heartbeat VALUES ('api', 'one', now())")
        reports.keep(connection, Report(Category.GAS_SMELL, "味", 117.2, 31.8, NOW), "hotline", NOW)
        connection.execute("ALTER ROLE lifeline_grafana LOGIN PASSWORD 'of-this-test'")
        assert ids["gas"] == 1
    login = make_conninfo(database_dsn, user="lifeline_grafana", password="of-this-test", options="-c TimeZone=UTC")
    with psycopg.connect(login, autocommit=True) as reader:
        yield reader
    with connect(database_dsn) as connection:
        connection.execute("ALTER ROLE lifeline_grafana NOLOGIN PASSWORD NULL")


def spelled(statement: str, span: timedelta = timedelta(hours=6)) -> bytes:
    """A statement as Grafana sends it: macros and variables in full."""
    since, until = (f"'{at:%Y-%m-%dT%H:%M:%SZ}'" for at in (NOW - span, NOW + timedelta(minutes=1)))
    text = re.sub(r"\$__timeFilter\(([\w.]+)\)", rf"\1 BETWEEN {since} AND {until}", statement)
    text = text.replace("$__timeFrom()", since).replace("$__timeTo()", until)
    text = text.replace("${network:regex}", ".*").replace("${sensor}", "1")
    assert "$__" not in text
    assert "${" not in text
    return text.encode()


@pytest.mark.parametrize(("name", "panel"), PANELS, ids=[f"{name}-{panel['id']}" for name, panel in PANELS])
def test_every_panel_shows_what_there_is(name: str, panel: dict[str, Any], grafana: psycopg.Connection[Any]) -> None:
    (target,) = panel["targets"]
    found = grafana.execute(spelled(target["rawSql"]))
    columns = [each.name for each in found.description or []]
    rows = found.fetchall()
    assert bool(rows) or panel["title"] in EMPTY, panel["title"]
    if target["format"] == "time_series":
        assert columns[0] == "time"
        assert [row[0] for row in rows] == sorted(row[0] for row in rows), "Grafana wants time in order"
        assert all(row[0].tzinfo is not None for row in rows)


@pytest.mark.parametrize("days", [1, 7, 30])
def test_the_panel_of_one_sensor_takes_what_fits_the_span(days: int, grafana: psycopg.Connection[Any]) -> None:
    (panel,) = (each for name, each in PANELS if name == "sensor" and "Readings (raw" in each["title"])
    rows = grafana.execute(spelled(panel["targets"][0]["rawSql"], timedelta(days=days))).fetchall()
    assert (len(rows) > 50) == (days == 1)
    assert bool(rows) == (days < 15)


def test_every_variable_offers_something(grafana: psycopg.Connection[Any]) -> None:
    for board in DASHBOARDS.values():
        for variable in board["templating"]["list"]:
            assert grafana.execute(spelled(variable["query"])).fetchall(), variable["name"]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT text FROM report", "SELECT payload FROM quarantine", "SELECT url FROM endpoint",
        "SELECT * FROM api_key", "SELECT body FROM outbox", "DELETE FROM alert", "CREATE TABLE mine (a integer)",
    ],
)  # fmt: skip
def test_the_role_of_the_dashboards_sees_nothing_secret_and_changes_nothing(
    statement: str, grafana: psycopg.Connection[Any]
) -> None:
    with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction)):
        grafana.execute(sql.SQL(statement))  # type: ignore[arg-type]


def test_the_role_is_read_only_and_a_long_question_is_ended(grafana: psycopg.Connection[Any]) -> None:
    assert grafana.execute("SHOW default_transaction_read_only").fetchone() == ("on",)
    assert grafana.execute("SHOW statement_timeout").fetchone() == ("30s",)


def test_dashboards_have_names_of_their_own_and_the_one_data_source() -> None:
    assert set(DASHBOARDS) == {"network", "ingest", "alarms", "sensor"}
    assert len({board["uid"] for board in DASHBOARDS.values()}) == len(DASHBOARDS)
    (source,) = yaml.safe_load((FOLDER / "datasources" / "lifeline.yml").read_text(encoding="utf-8"))["datasources"]
    assert source["user"] == "lifeline_grafana"
    for board in DASHBOARDS.values():
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
        places = [tuple(panel["gridPos"][side] for side in "xywh") for panel in board["panels"]]
        assert all(x + w <= 24 for x, _, w, _ in places)
        for panel in board["panels"]:
            assert {panel["datasource"]["uid"], panel["targets"][0]["datasource"]["uid"]} == {source["uid"]}


def test_grafana_finds_the_dashboards_where_compose_puts_them() -> None:
    (provider,) = yaml.safe_load((FOLDER / "dashboards" / "lifeline.yml").read_text(encoding="utf-8"))["providers"]
    compose = (FOLDER.parents[1] / "docker-compose.yml").read_text(encoding="utf-8")
    mounted = re.search(r"\./deploy/grafana:(\S+?):ro", compose)
    assert mounted is not None
    assert provider["options"]["path"] == f"{mounted[1]}/dashboards"
