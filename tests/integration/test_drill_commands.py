"""`lifeline drill` against the real database: what it checks before it begins, what it lists, shows and ends."""

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from lifeline.cli import app
from lifeline.drills.plan import Plan, Team
from lifeline.drills.review import Handled, Material, review
from lifeline.errors import LifelineError
from lifeline.model import Level
from lifeline.response import Step
from lifeline.scoring import Score
from lifeline.storage import drills, endpoints
from lifeline.storage.database import Connection, open_connection
from lifeline.storage.drills import DrillState

pytestmark = pytest.mark.usefixtures("clean_database")
TEAMS = '[[team]]\nname = "值班 Duty"\nendpoint = "crew"\n\n[[team.task]]\ntext = "确认"\nstep = "confirmed"\n'
NOW = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)
PLAN = Plan("burst", (Team("值班 Duty"),))


@pytest.fixture
def db(clean_database: str) -> Iterator[Connection]:
    connection = open_connection(clean_database, autocommit=True)
    endpoints.add(connection, "crew", "https://crew.example.org/", NOW)
    yield connection
    connection.close()


@pytest.fixture
def teams(tmp_path: Path) -> Path:
    file = tmp_path / "teams.toml"
    file.write_text(TEAMS, encoding="utf-8")
    return file


@pytest.fixture
def place(clean_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a Lifeline whose database is the tests' own."""
    for name in [name for name in os.environ if name.startswith("LIFELINE_") and name != "LIFELINE_CACHE"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LIFELINE_DATABASE_URL", clean_database)
    monkeypatch.setenv("LIFELINE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def drill(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["drill", *map(str, arguments)], catch_exceptions=True)


def refusal(*arguments: str | Path) -> str:
    """What the one line on standard error would say."""
    found = drill(*arguments)
    assert found.exit_code != 0, found.output
    return str(found.exception) if isinstance(found.exception, LifelineError) else found.output


def done(db: Connection, report: dict[str, Any], pdf: bytes | None = b"%PDF-1.4") -> int:
    number = drills.plan(db, PLAN.to_json(), "ann", NOW, NOW)
    drills.finish(db, number, DrillState.DONE, NOW + timedelta(hours=1), report=report, pdf=pdf)
    return number


def late_report() -> dict[str, Any]:
    alarm = Handled(7, 3, "gas", Level.RED, NOW, None, "V-7 阀井", {"zh": "甲烷", "en": "Methane"})
    deadlines = {(Step.RECEIVED, Level.RED): 300.0}
    return review(Material(PLAN, Score([], [], []), [alarm], [], [], deadlines, NOW, NOW + timedelta(minutes=10)))


def test_a_dry_run_checks_scenario_teams_and_endpoints_and_begins_nothing(
    db: Connection, place: Path, teams: Path
) -> None:
    found = drill("run", "burst", "--teams", teams, "--for", "45m", "--dry-run")
    assert found.exit_code == 0, found.output
    assert "burst: 1 teams, 2700 s; nothing was begun" in found.output
    assert drills.list_drills(db) == []
    assert not (place / "drills").exists()


def test_what_is_wrong_is_told_before_anything_begins(db: Connection, place: Path, teams: Path, tmp_path: Path) -> None:
    assert "no scenario 'earthquake'" in refusal("run", "earthquake", "--teams", teams, "--dry-run")
    teams.write_text(TEAMS.replace("confirmed", "seen"), encoding="utf-8")
    said = refusal("run", "burst", "--teams", teams, "--dry-run")
    assert f"{teams}, line 5: team 1, task 1: step 'seen' is none of" in said
    teams.write_text(TEAMS.replace("crew", "mayor"), encoding="utf-8")
    said = refusal("run", "burst", "--teams", teams)
    assert "no endpoint 'mayor'; there are crew" in said
    teams.write_bytes(b"\xff\xfe")
    assert str(teams) in refusal("run", "burst", "--teams", teams)
    teams.write_text(TEAMS, encoding="utf-8")
    assert "is no span of time" in refusal("run", "burst", "--teams", teams, "--for", "a while")
    wrong = tmp_path / "mine.toml"
    wrong.write_text("[[event]]\nkind = 'meteor'\nat_s = 1\nlasts_s = 5\n")
    assert "kind 'meteor' is unknown" in refusal("run", wrong, "--teams", teams)
    assert drills.list_drills(db) == []


def test_drills_and_schedules_are_listed(db: Connection, place: Path, teams: Path) -> None:
    number = done(db, late_report())
    waiting = drills.plan(db, PLAN.to_json(), "ben", datetime.now(UTC) + timedelta(days=1), NOW)
    arguments = ("schedule", "storm", "--teams", teams, "--day", "15", "--at", "14:30", "--for", "1h")
    assert "it would come first on" in drill(*arguments, "--dry-run").output
    assert drills.schedules(db) == []
    assert "schedule 1: first on" in drill(*arguments).output
    listed = drill("list").output
    lines = {line.split()[0]: line for line in listed.splitlines() if line.strip()}
    assert "planned" in lines[str(waiting)]
    assert "done" in lines[str(number)]
    assert "storm on day 15 of each month at 14:30" in listed
    (made,) = drills.schedules(db)
    assert (made.plan["lasts_s"], made.plan["teams"][0]["endpoint"]) == (3600.0, "crew")


@pytest.mark.parametrize("moment", ["25:00", "noon", "14.30", "14:30+02:00", "1430", ""])
def test_a_time_of_day_that_is_none_is_refused(db: Connection, place: Path, teams: Path, moment: str) -> None:
    assert "must be a time like 14:30" in refusal("schedule", "storm", "--teams", teams, "--day", "1", "--at", moment)
    assert drills.schedules(db) == []


def test_the_report_is_shown_with_times_against_deadlines_and_what_to_change(
    db: Connection, place: Path, tmp_path: Path
) -> None:
    number = done(db, late_report())
    pdf = tmp_path / "out.pdf"
    shown = drill("report", str(number), "--pdf", pdf)
    assert shown.exit_code == 0, shown.output
    assert pdf.read_bytes() == b"%PDF-1.4"
    row = next(line for line in shown.output.splitlines() if "V-7" in line and "received" in line)
    assert row.split()[-3:] == ["600", "300", "late"]
    assert "无人接报" in shown.output
    assert "Nobody answered: V-7 阀井 (red), 600 s against 300 s" in shown.output
    whole = json.loads(drill("report", str(number), "--json").output)
    assert whole == late_report()


def test_a_drill_without_a_report_or_a_pdf_says_why(db: Connection, place: Path, tmp_path: Path) -> None:
    waiting = drills.plan(db, PLAN.to_json(), "ann", NOW, NOW)
    assert f"drill {waiting} has no report: it is planned" in refusal("report", str(waiting))
    assert "there is no drill 99" in refusal("report", "99")
    bare = done(db, late_report(), pdf=None)
    assert f"drill {bare} has no pdf" in refusal("report", str(bare), "--pdf", tmp_path / "x.pdf")
    nowhere = done(db, late_report())
    said = refusal("report", str(nowhere), "--pdf", tmp_path / "no" / "x.pdf")
    assert "No such file" in said


def test_a_report_of_a_drill_in_which_all_was_well_says_so(db: Connection, place: Path) -> None:
    calm = review(Material(Plan("quiet"), Score([], [], []), [], [], [], {}, NOW, NOW + timedelta(minutes=10)))
    assert "nothing to change: all was found, and all in time" in drill("report", str(done(db, calm))).output


def test_a_drill_or_a_schedule_is_ended_by_its_number(db: Connection, place: Path) -> None:
    number = drills.plan(db, PLAN.to_json(), "ann", NOW + timedelta(days=1), NOW)
    assert f"drill {number}: cancelled" in drill("stop", str(number)).output
    assert f"drill {number} is cancelled already" in refusal("stop", str(number))
    assert "command line" in str(drills.get(db, number).stop_by)
    schedule = drills.add_schedule(db, PLAN.to_json(), 1, NOW.time(), "ann", NOW)
    assert "has ended" in drill("stop", "--schedule", str(schedule)).output
    assert drills.schedules(db) == []
    for nonsense in ((), (str(number), "--schedule", "1")):
        assert "say which drill, or which --schedule" in refusal("stop", *nonsense)


def test_a_drill_that_somebody_else_took_is_not_run_twice(db: Connection, place: Path) -> None:
    number = drills.plan(db, PLAN.to_json(), "ann", NOW, NOW)
    assert drills.take(db, number, "elsewhere:/home", datetime.now(UTC))
    assert f"drill {number} is not planned any more" in refusal("work", str(number))
    running = drills.running(db)
    assert running is not None
    assert running.runner == "elsewhere:/home"
