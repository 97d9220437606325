"""`lifeline drill`: exercises in a sandbox of their own, and what came of them."""

import getpass
import json
import os
import re
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Annotated

import typer

from lifeline.cli.address import HomeOption, find
from lifeline.cli.console import note, out, say, table
from lifeline.cli.drillrun import Exercise
from lifeline.cli.twin import simulators
from lifeline.drills.calendar import next_occurrence
from lifeline.drills.plan import Plan, Team, parse_teams, plan_of, seconds_of
from lifeline.errors import ConfigurationError, NotFoundError
from lifeline.model import JsonObject
from lifeline.storage import drills, endpoints
from lifeline.storage.database import Connection
from lifeline.storage.drills import Drill

app = typer.Typer(help="Drills: play a scenario in a sandbox, with clocks on people, and report.", no_args_is_help=True)

Scenario = Annotated[str, typer.Argument(help="A scenario that ships (`python -m simulators scenarios`), or a .toml.")]
Teams = Annotated[Path, typer.Option(help="TOML file of teams and their tasks.", exists=True, dir_okay=False)]
Speed = Annotated[float, typer.Option(min=0.1, max=100, help="Events come so many times as soon.")]
For = Annotated[str, typer.Option("--for", help="How long: 90s, 30m, 1.5h.")]
Seed = Annotated[int, typer.Option(min=0, help="Town and places of the simulators.")]
Keep = Annotated[bool, typer.Option("--keep", help="Keep the sandbox's database after the report.")]
Number = Annotated[int, typer.Argument(help="The drill's number, of `lifeline drill list`.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check scenario, teams and endpoints, and do nothing.")]


@app.command(epilog="Example: `lifeline drill run burst --teams teams.toml --for 30m`")
def run(
    scenario: Scenario,
    teams: Teams,
    speed: Speed = 1.0,
    lasts: For = "30m",
    seed: Seed = 1,
    keep: Keep = False,
    dry_run: DryRun = False,
    home: HomeOption = None,
) -> None:
    """Run a drill now, until its time is over, Ctrl-C or `lifeline drill stop`; then report.

    It runs beside the real system in a database, a broker and processes of its own. Nobody hears of it but the teams of
    the file; the exercise's page takes the same keys.
    """
    place = find(home)
    plan = _plan(scenario, teams, speed, lasts, seed, keep)
    with place.connection() as connection:
        _check_endpoints(connection, plan.teams)
    if dry_run:
        say(f"{plan.scenario}: {len(plan.teams)} teams, {plan.lasts_s:.0f} s; nothing was begun (--dry-run)")
        return
    drill_id = Exercise(place.home, place.settings, place.dsn).begin(plan, _actor())
    with place.connection() as connection:
        _show(drills.get(connection, drill_id))


@app.command("list", epilog="Example: `lifeline drill list`")
def list_(home: HomeOption = None) -> None:
    """List drills, the newest first, and schedules."""
    place = find(home)
    with place.connection() as connection:
        found, planned = drills.list_drills(connection), drills.schedules(connection)
    columns = table("drill", "scenario", "state", "starts (UTC)", "ended", "by", "teams", "")
    for each in found:
        ended = f"{each.ended_at:%Y-%m-%d %H:%M}" if each.ended_at else ""
        columns.add_row(
            f"{each.drill_id}", each.plan["scenario"], each.state, f"{each.starts_at:%Y-%m-%d %H:%M}", ended,
            each.requested_by, f"{len(each.plan['teams'])}", each.url or each.message,
        )  # fmt: skip
    out.print(columns)
    now = datetime.now(UTC)
    for schedule in planned:
        moment = next_occurrence(schedule.day, schedule.at, place.settings.local_time, now)
        say(
            f"schedule {schedule.schedule_id}: {schedule.plan['scenario']} on day {schedule.day} of each month at "
            f"{schedule.at:%H:%M}, next {moment:%Y-%m-%d %H:%M} UTC"
        )


@app.command(epilog="Example: `lifeline drill report 3 --pdf drill.pdf`")
def report(
    drill: Number,
    pdf: Annotated[Path | None, typer.Option(help="Write the report as PDF.", dir_okay=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole report as JSON.")] = False,
    home: HomeOption = None,
) -> None:
    """Show what came of a drill: what was found, times against deadlines, what to change."""
    with find(home).connection() as connection:
        found = drills.get(connection, drill)
        content = drills.document(connection, drill) if pdf else b""
    if found.report is None:
        raise NotFoundError(f"drill {drill} has no report: it is {found.state}. {found.message}".strip())
    if pdf is not None:
        try:
            pdf.write_bytes(content)
        except OSError as error:
            raise ConfigurationError(f"{pdf}: {error.strerror}") from error
        note(f"wrote {pdf}")
    if as_json:
        print(json.dumps(found.report, ensure_ascii=False, indent=1))  # noqa: T201 - for another program
    else:
        _show(found)


@app.command(epilog="Example: `lifeline drill schedule storm --teams teams.toml --day 15 --at 14:30 --for 1h`")
def schedule(
    scenario: Scenario,
    teams: Teams,
    day: Annotated[int, typer.Option(min=1, max=28, help="Day of each month.")],
    at: Annotated[str, typer.Option(help="The city's local time, HH:MM.")],
    speed: Speed = 1.0,
    lasts: For = "30m",
    seed: Seed = 1,
    keep: Keep = False,
    dry_run: DryRun = False,
    home: HomeOption = None,
) -> None:
    """Let a drill come back every month; `lifeline up` runs it. `lifeline drill stop --schedule N` ends that."""
    # time.fromisoformat takes "14.30" for two in the afternoon.
    if not re.fullmatch(r"([01]?\d|2[0-3]):[0-5]\d", at):
        raise ConfigurationError(f"--at {at!r}: must be a time like 14:30")
    hour, minute = map(int, at.split(":"))
    place, plan, moment = find(home), _plan(scenario, teams, speed, lasts, seed, keep), time(hour, minute)
    now = datetime.now(UTC)
    with place.connection() as connection:
        _check_endpoints(connection, plan.teams)
        first = next_occurrence(day, moment, place.settings.local_time, now)
        if dry_run:
            say(f"it would come first on {first:%Y-%m-%d %H:%M} UTC (--dry-run)")
            return
        number = drills.add_schedule(connection, plan.to_json(), day, moment, _actor(), now)
    say(f"schedule {number}: first on {first:%Y-%m-%d %H:%M} UTC")


@app.command(epilog="Examples: `lifeline drill stop 3`, `lifeline drill stop --schedule 1`")
def stop(
    drill: Annotated[int | None, typer.Argument(help="The drill's number.")] = None,
    schedule: Annotated[int | None, typer.Option("--schedule", help="End this schedule instead.")] = None,
    home: HomeOption = None,
) -> None:
    """End a drill that runs (its report is still made), cancel one that is planned, or end a schedule."""
    if (drill is None) == (schedule is None):
        raise ConfigurationError("say which drill, or which --schedule")
    with find(home).connection() as connection:
        if schedule is not None:
            drills.end_schedule(connection, schedule, _actor())
            say(f"schedule {schedule} has ended")
        elif drill is not None:
            say(f"drill {drill}: {drills.stop(connection, drill, _actor(), datetime.now(UTC)).state}, asked to end")


@app.command(hidden=True, epilog="Example: `lifeline drill work 3`")
def work(drill: Number, home: HomeOption = None) -> None:
    """Run a drill that was planned: what `lifeline up` starts."""
    place = find(home)
    with place.connection() as connection:
        planned = drills.get(connection, drill)
    Exercise(place.home, place.settings, place.dsn).work(drill, plan_of(planned.plan))


def _plan(scenario: str, teams: Path, speed: float, lasts: str, seed: int, keep: bool) -> Plan:
    """A checked plan. Raises ConfigurationError with every mistake of the file of teams, by line."""
    chosen = str(Path(scenario).resolve()) if scenario.endswith(".toml") else scenario
    try:
        text = teams.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{teams}: {error}") from error
    made = Plan(chosen, parse_teams(text, str(teams)), seed, speed, seconds_of(lasts), keep)
    simulators("check", chosen)
    return made


def _check_endpoints(connection: Connection, teams: tuple[Team, ...]) -> None:
    known = {endpoint.name for endpoint in endpoints.list_endpoints(connection)}
    unknown = sorted({team.endpoint for team in teams if team.endpoint} - known)
    if unknown:
        raise ConfigurationError(
            f"no endpoint {', '.join(map(repr, unknown))}; there are {', '.join(sorted(known)) or 'none'}: "
            "`lifeline endpoints add` makes one"
        )


def _actor() -> str:
    try:
        return f"{getpass.getuser()} (command line)"
    except (KeyError, OSError):
        return f"user {os.getuid()} (command line)"


def _show(drill: Drill) -> None:
    say(
        f"drill {drill.drill_id} {drill.plan['scenario']}: {drill.state}{' - ' if drill.message else ''}{drill.message}"
    )
    if drill.report is not None:
        _show_report(drill.report)


def _show_report(found: JsonObject) -> None:
    figures = found["figures"]
    say(
        f"events 事件 {figures['events']}, found 发现 {figures['found']}, missed 漏报 {figures['missed']}, "
        f"false alerts 误报 {figures['false_alerts']}; steps in time 按时 {figures['clocks_in_time']}, late 超时 "
        f"{figures['clocks_late']}; tasks in time 任务按时 {figures['tasks_in_time']}/{figures['tasks']}"
    )
    columns = table(
        "alert 预警", "level 等级", "from 步骤", "to", "team 队伍", "took s 用时", "due s 时限", "verdict 结果"
    )
    for clock in found["clocks"]:
        due = "-" if clock["due_s"] is None else f"{clock['due_s']:.0f}"
        columns.add_row(
            f"{clock['alert']} {clock['place']}", clock["level"], clock["from"], clock["to"] or "...",
            clock["team"] or "-", f"{clock['took_s']:.0f}", due, clock["verdict"],
        )  # fmt: skip
    out.print(columns)
    say("\nwhat to change 改进建议" if found["findings"] else "\nnothing to change: all was found, and all in time")
    for number, finding in enumerate(found["findings"], 1):
        say(f"{number}. {finding['zh']}\n   {finding['en']}")
