"""A drill beside a living city: asked for through the API, run by `lifeline up`, answered by people, and reported.

Nothing of it is found in the real system afterwards: no reading, alert, statistic, label, message; no process or port.
"""

import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from lifeline.model import Role
from lifeline.storage import endpoints, keys
from lifeline.storage.database import connect
from tests.acceptance.commands import Started, gone, lifeline
from tests.acceptance.drill_hearing import Hearing
from tests.api_process import PLAIN, until
from tests.ports import listeners

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("programs")]

CREW, DUTY = "燃气抢修 Gas crew", "值班 Duty"
TEAMS = [
    {
        "name": CREW,
        "department": "燃气公司",
        "endpoint": "crew",
        "tasks": [
            {"text": "到场警戒 Cordon off", "step": "on_site", "network": "gas", "within_s": 600},
            {"text": "处置 Repair", "step": "handled", "network": "gas", "within_s": 4},
        ],
    },
    {
        "name": DUTY,
        "tasks": [
            {"text": "确认 Confirm", "step": "confirmed"},
            {"text": "排涝 Pump out", "step": "on_site", "network": "drainage"},
        ],
    },
]
SCENARIO = "sudden-gas-leak"
"""The demo never plays it by this name: what bears the name is the drill's."""


class Client:
    """Asks one API with the operator's key."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"}

    def get(self, path: str) -> Any:
        found = httpx.get(f"{self.url}/api/v1{path}", headers=self._headers, timeout=60, verify=PLAIN)
        assert found.status_code == 200, found.text
        return found.json()

    def bytes_of(self, path: str) -> bytes:
        found = httpx.get(f"{self.url}/api/v1{path}", headers=self._headers, timeout=60, verify=PLAIN)
        assert found.status_code == 200, found.text
        return found.content

    def post(self, path: str, body: Any = None, status: int = 200) -> Any:
        done = httpx.post(f"{self.url}/api/v1{path}", headers=self._headers, json=body, timeout=60, verify=PLAIN)
        assert done.status_code == status, done.text
        return done.json()


def wait_for(what: str, look: Any, seconds: float = 180) -> Any:
    """What ``look`` gives as soon as it gives something."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"{what} did not come within {seconds:.0f} s"
        time.sleep(0.3)
    return found


@pytest.fixture(scope="module")
def hearing() -> Iterator[Hearing]:
    """A receiver of webhooks with two addresses: of the crew, which takes part, and of the mayor, who does not."""
    with Hearing() as heard:
        yield heard


@pytest.fixture(scope="module")
def city(hearing: Hearing) -> Iterator[Started]:
    """A living city: the demo, with two endpoints."""
    folder = Path(tempfile.mkdtemp(prefix="lifeline-drill-"))
    started = Started(folder, command="demo", LIFELINE_WEBHOOK_ALLOW=json.dumps(["127.0.0.1"]))
    try:
        started.wait_for("Ctrl-C stops everything", 180)
        with connect(started.running.database_url) as connection:
            for name in ("crew", "mayor"):
                endpoints.add(connection, name, f"{hearing.url}/{name}", datetime.now(UTC))
        yield started
        assert started.interrupt() == 0
    finally:
        started.clean_up()
        assert gone(started)
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def real(city: Started) -> Client:
    with connect(city.running.database_url) as connection:
        key = keys.create(connection, "duty", Role.OPERATOR, datetime.now(UTC))
    return Client(city.running.url, key)


def rows(dsn: str, query: str) -> list[tuple[Any, ...]]:
    with connect(dsn) as connection:
        return connection.execute(query.encode()).fetchall()


def answer(exercise: Client) -> int:
    """What people do: the first alarm is confirmed, gone to, handled and fed back."""
    alarm = wait_for("an alarm", lambda: exercise.get("/alerts?kind=risk")["items"])[0]
    number = int(alarm["id"])
    for step, team in (("confirmed", DUTY), ("dispatched", CREW), ("on_site", CREW), ("handled", CREW)):
        time.sleep(1.2)  # seconds between steps, as the report shows them; four of them are more than the crew has
        exercise.post(f"/alerts/{number}/steps", {"step": step, "team": team})
    exercise.post(f"/alerts/{number}/feedback", {"genuine": True, "cause": "drill"})
    return number


def test_a_drill_runs_beside_the_living_city_and_leaves_no_trace_in_it(
    city: Started, real: Client, hearing: Hearing, tmp_path: Path
) -> None:
    dsn = city.running.database_url
    wait_for("the scenarios", lambda: SCENARIO in [each["name"] for each in real.get("/drills/scenarios")])
    wait_for("somebody who runs drills", lambda: real.get("/drills")["supervised"])
    asked = real.post("/drills", {"scenario": SCENARIO, "teams": TEAMS, "lasts_s": 900}, 202)
    path = f"/drills/{asked['id']}"

    def opened() -> str:
        found = real.get(path)
        assert found["state"] in ("planned", "running"), found["message"]
        return str(found["url"])

    exercise = Client(wait_for("the exercise's page", opened), real._headers["Authorization"].split()[1])
    catalogue = exercise.get("/catalogue")
    assert catalogue["status"] == "Exercise"
    assert "演练 EXERCISE" in catalogue["title"]
    assert real.get("/catalogue")["status"] != "Exercise"
    number = answer(exercise)
    drilled = traces_of(exercise, number)
    wait_for("a message to the crew", lambda: hearing.exercises("crew"))
    assert (sockets := listeners(port := int(exercise.url.rpartition(":")[2])))
    real.post(f"{path}/stop")
    done = wait_for("the report", lambda: (found := real.get(path))["state"] != "running" and found)

    assert (done["state"], done["message"]) == ("done", "stopped by duty")
    check_report(done["report"], number)
    assert real.bytes_of(f"{path}/report.pdf").startswith(b"%PDF-")
    pdf = tmp_path / "drill.pdf"
    told = lifeline("drill", "report", str(asked["id"]), "--pdf", pdf, "--home", city.home.path)
    assert "gas_leak" in lifeline("drill", "report", str(asked["id"]), "--json", "--home", city.home.path).stdout
    assert CREW in told.stdout
    assert pdf.read_bytes().startswith(b"%PDF-")

    assert hearing.exercises("mayor") == 0
    check_no_trace(dsn, drilled)
    check_statistics_know_nothing(dsn, real)
    check_nothing_left(city, asked["id"])
    assert not sockets & listeners(port)


def check_report(report: dict[str, Any], number: int) -> None:
    """Truth beside alerts, times against deadlines, tasks by team, and what to change."""
    figures = report["figures"]
    assert (figures["events"], figures["missed"]) == (1, 0)
    assert figures["found"] == 1
    (event,) = report["events"]
    assert (event["kind"], event["network"]) == ("gas_leak", "gas")
    assert event["visible_from"] is not None
    clocks = {clock["from"]: clock for clock in report["clocks"] if clock["alert"] == number}
    assert {"received", "confirmed", "dispatched", "on_site", "handled"} <= clocks.keys()
    assert [clocks[step]["verdict"] for step in ("confirmed", "dispatched", "on_site")] == ["in_time"] * 3
    assert all(clocks[step]["took_s"] >= 1 for step in ("confirmed", "dispatched", "on_site"))
    assert clocks["received"]["team"] == DUTY
    crew, duty = report["teams"]
    verdicts = [task["events"][0]["verdict"] for task in crew["tasks"]]
    assert verdicts == ["in_time", "late"]
    assert duty["tasks"][0]["verdict"] in ("in_time", "open")
    assert {"task_late", "task_untried"} <= {finding["kind"] for finding in report["findings"]}
    happened = [line["what"] for line in report["timeline"]]
    order = ["began", "alert", "confirmed", "on_site", "handled"]
    assert sorted(order, key=happened.index) == order
    (sent,) = [each for each in report["deliveries"] if each["endpoint"] == "crew"]
    assert sent["delivered"] >= 1


class Traces(NamedTuple):
    """What a drill wrote in its own tables: by what and when alerts were raised, when incidents were opened, and of the
    sensor of the first alarm what it read above its limit."""

    alerts: set[tuple[str, datetime]]
    incidents: set[datetime]
    sensor: int
    readings: set[tuple[datetime, float]]


def traces_of(exercise: Client, number: int) -> Traces:
    alerts = exercise.get("/alerts")["items"]
    alarm = next(alert for alert in alerts if int(alert["id"]) == number)
    read = exercise.get(f"/sensors/{alarm['sensor']}/readings?resolution=raw")
    least = float(alarm["evidence"]["limit"])
    return Traces(
        {(alert["rule"], datetime.fromisoformat(alert["raised_at"])) for alert in alerts},
        {datetime.fromisoformat(one["opened_at"]) for one in exercise.get("/incidents")["items"]},
        int(alarm["sensor"]),
        {
            (datetime.fromisoformat(ts), value)
            for ts, value in zip(read["ts"], read["last"], strict=True)
            if value is not None and value >= least
        },
    )


def check_no_trace(dsn: str, drilled: Traces) -> None:
    """The real tables, against what the drill wrote in its own: none of these checks is of nothing."""
    assert drilled.alerts
    assert drilled.incidents
    assert drilled.readings
    assert rows(dsn, "SELECT scenario FROM truth WHERE scenario <> 'demo'") == []
    assert rows(dsn, "SELECT * FROM outbox WHERE body::text LIKE '%Exercise%' OR event_type = 'response.changed'") == []
    ours = {(rule, at.astimezone(UTC)) for rule, at in rows(dsn, "SELECT rule, raised_at FROM alert")}
    assert not ours & drilled.alerts
    assert not {at.astimezone(UTC) for (at,) in rows(dsn, "SELECT opened_at FROM incident")} & drilled.incidents
    read = rows(dsn, f"SELECT ts, value FROM reading WHERE sensor_id = {drilled.sensor} AND ts > now() - interval '1h'")
    assert read, "the real sensor speaks all the while"
    assert not {(at.astimezone(UTC), value) for at, value in read} & drilled.readings
    assert rows(dsn, "SELECT topic FROM quarantine WHERE topic LIKE 'lifeline-exercise%'") == []
    assert rows(dsn, "SELECT * FROM unknown_device") == []


def check_statistics_know_nothing(dsn: str, real: Client) -> None:
    """People answered the drill's alarm and called it genuine, and nobody a real one: no label, no response, no time of
    a response in the real statistics; and no roll-up counts a reading that the real tables have not."""
    for table in ("feedback", "precision_report"):
        assert rows(dsn, f"SELECT * FROM {table}") == []
    assert rows(dsn, "SELECT * FROM response_history WHERE action IN ('step', 'feedback')") == []
    raised = "SELECT count(*) FROM alert"
    wait_for("an alert of the real city", lambda: rows(dsn, raised)[0][0])
    before, found, after = rows(dsn, raised)[0][0], real.get("/performance"), rows(dsn, raised)[0][0]
    (total,) = (clock for clock in found["clocks"] if clock["group"] == "all")
    assert 0 < before <= total["alerts"] <= after
    assert (total["acknowledged"], total["on_site"], total["handled"]) == (0, 0, 0)
    assert found["precision"] == []
    assert (
        rows(
            dsn,
            """SELECT u.sensor_id, u.bucket FROM reading_15m u WHERE u.n > (
                SELECT count(*) FROM reading r
                WHERE r.sensor_id = u.sensor_id AND r.ts >= u.bucket AND r.ts < u.bucket + interval '15 min')""",
        )
        == []
    )


def check_nothing_left(city: Started, drill: int) -> None:
    """No database, log-in, folder or process of the drill."""
    dsn = city.running.database_url
    until(lambda: not (city.home.path / "drills" / str(drill)).exists(), "the end of the drill's folder")
    assert rows(dsn, "SELECT datname FROM pg_database WHERE datname LIKE '%exercise%'") == []
    assert rows(dsn, "SELECT rolname FROM pg_roles WHERE rolname LIKE '%exercise%'") == []
    place = f"{city.home.path}/drills/"
    until(
        lambda: not [line for line in city.members().values() if place in line or "drill work" in line],
        "the end of every process of the drill",
    )
