"""The arithmetic of an after-action report: what happened, what was found, how long people took, what to change.

A clock is how long an event stayed at a step of the response, held against the deadline of that step by the event's
worst level. It runs from when the event was raised; what is still under way when the drill ends is late only where its
deadline has passed. A step for which nobody named a team counts for every team whose task it is.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lifeline.drills.plan import Plan, Task, Team
from lifeline.drills.words import title_of, told
from lifeline.model import JsonObject, Level
from lifeline.response import NEXT, Deadlines, Step
from lifeline.scoring import Outcome, Score

WAY = (Step.RECEIVED, Step.CONFIRMED, Step.DISPATCHED, Step.ON_SITE, Step.HANDLED, Step.FED_BACK)
"""The steps of an event that is real, in order."""
SLOW_S = 600.0
"""An event that is found later than this after it could be seen is one to learn from (default)."""
IN_TIME, LATE, MISSED, OPEN = "in_time", "late", "missed", "open"


@dataclass(frozen=True, slots=True)
class Handled:
    """Something that people had to respond to: an incident, or a risk alert without one.

    ``alert_id`` holds the response; ``title`` is {"zh", "en"}; ``level`` the worst that it had.
    """

    alert_id: int
    incident_id: int | None
    network: str
    level: Level
    raised_at: datetime
    acknowledged_at: datetime | None
    place: str
    title: JsonObject


@dataclass(frozen=True, slots=True)
class StepTaken:
    """A step of the response to ``alert_id``; ``team`` "" where nobody named one."""

    alert_id: int
    at: datetime
    actor: str
    step: Step
    team: str


@dataclass(frozen=True, slots=True)
class Deliveries:
    """Messages to one endpoint of a drill; ``slowest_s`` None where none was delivered."""

    endpoint: str
    messages: int
    delivered: int
    failed: int
    slowest_s: float | None


@dataclass(frozen=True, slots=True)
class Material:
    """What a report is made of. ``began`` and ``ended``: of the exercise itself."""

    plan: Plan
    score: Score
    handled: Sequence[Handled]
    steps: Sequence[StepTaken]
    deliveries: Sequence[Deliveries]
    deadlines: Deadlines
    began: datetime
    ended: datetime
    readings: int = 0


def review(material: Material) -> JsonObject:
    """The report as JSON: figures, events, clocks, teams, timeline, what to change by the rules of ``_findings``."""
    clocks = list(_clocks(material))
    teams = [_team(team, material) for team in material.plan.teams]
    events = [_event(outcome) for outcome in material.score.outcomes]
    report: JsonObject = {
        "scenario": material.plan.scenario,
        "began_at": _iso(material.began),
        "ended_at": _iso(material.ended),
        "figures": _figures(material, clocks, teams),
        "events": events,
        "false_alerts": [
            {"rule": alert.rule, "at": _iso_of(alert.raised_at), "level": alert.level.slug, "network": alert.network}
            for alert in material.score.false_risk
        ],
        "clocks": clocks,
        "teams": teams,
        "deliveries": [
            {"endpoint": each.endpoint, "messages": each.messages, "delivered": each.delivered, "failed": each.failed}
            | {"slowest_s": each.slowest_s}
            for each in material.deliveries
        ],
        "timeline": sorted(_timeline(material), key=lambda line: str(line["at"])),
    }
    report["findings"] = [
        {**finding, "zh": zh, "en": en} for finding in _findings(report) for zh, en in (told(finding),)
    ]
    return report


def _figures(material: Material, clocks: Sequence[JsonObject], teams: Sequence[JsonObject]) -> JsonObject:
    outcomes = material.score.outcomes
    answered = [clock["took_s"] for clock in clocks if clock["from"] == Step.RECEIVED and clock["to"] is not None]
    tasks = [each for team in teams for task in team["tasks"] for each in task["events"]]
    return {
        "events": len(outcomes),
        "found": sum(outcome.found for outcome in outcomes),
        "missed": sum(outcome.missed for outcome in outcomes),
        "false_alerts": len(material.score.false_risk),
        "handled": len(material.handled),
        "clocks_in_time": sum(clock["verdict"] == IN_TIME for clock in clocks),
        "clocks_late": sum(clock["verdict"] == LATE for clock in clocks),
        "mean_answer_s": sum(answered) / len(answered) if answered else None,
        "tasks_in_time": sum(each["verdict"] == IN_TIME for each in tasks),
        "tasks": sum(each["verdict"] != OPEN for each in tasks),
        "readings": material.readings,
    }


def _event(outcome: Outcome) -> JsonObject:
    event, first = outcome.event, outcome.alerts[0] if outcome.alerts else None
    return {
        "id": event.id,
        "kind": event.kind,
        "title": title_of(event.kind),
        "network": event.network,
        "asset": event.asset,
        "from": _iso_of(event.begin),
        "to": _iso_of(event.end),
        "visible_from": None if event.visible is None else _iso_of(event.visible),
        "harmless": event.harmless,
        "found": outcome.found,
        "missed": outcome.missed,
        "delay_s": outcome.delay_s,
        "rule": first.rule if first else None,
        "level": min(alert.level for alert in outcome.alerts).slug if outcome.alerts else None,
        "right_place": outcome.right_place,
        "right_cause": outcome.right_cause,
        "right_level": outcome.right_level,
    }


def _clocks(material: Material) -> Iterator[JsonObject]:
    """How long each event stayed at each step, oldest event first; the last step of one as far as the drill went."""
    for event in material.handled:
        stage, since = Step.RECEIVED, event.raised_at
        for taken in _steps_of(event, material.steps):
            yield _clock(event, stage, taken.step, since, taken.at, taken.team, material.deadlines)
            stage, since = taken.step, taken.at
        if NEXT[stage] and stage is not Step.FED_BACK:
            yield _clock(event, stage, None, since, material.ended, "", material.deadlines)


def _clock(
    event: Handled, stage: Step, to: Step | None, since: datetime, until: datetime, team: str, deadlines: Deadlines
) -> JsonObject:
    took, due = (until - since).total_seconds(), deadlines.get((stage, event.level))
    late = due is not None and took > due
    return {
        "alert": event.alert_id,
        "incident": event.incident_id,
        "network": event.network,
        "level": event.level.slug,
        "place": event.place,
        "title": event.title,
        "from": str(stage),
        "to": None if to is None else str(to),
        "team": team,
        "took_s": round(took, 1),
        "due_s": due,
        "verdict": LATE if late else OPEN if to is None else IN_TIME,
    }


def _steps_of(event: Handled, steps: Iterable[StepTaken]) -> list[StepTaken]:
    return sorted((step for step in steps if step.alert_id == event.alert_id), key=lambda step: step.at)


def _team(team: Team, material: Material) -> JsonObject:
    return {
        "name": team.name,
        "department": team.department,
        "endpoint": team.endpoint,
        "tasks": [_task(task, team, material) for task in team.tasks],
    }


def _task(task: Task, team: Team, material: Material) -> JsonObject:
    events = [
        _task_of(task, team, event, material) for event in material.handled if task.network in ("", event.network)
    ]
    known = [each for each in events if each is not None]
    return {
        "text": task.text,
        "step": str(task.step),
        "network": task.network,
        "within_s": task.within_s,
        "events": known,
        "verdict": _worst([str(each["verdict"]) for each in known]),
    }


def _task_of(task: Task, team: Team, event: Handled, material: Material) -> JsonObject | None:
    """One task at one event; None for what turned out to be a false alarm, at which there is nothing to do."""
    steps = _steps_of(event, material.steps)
    if any(step.step is Step.FALSE_ALARM for step in steps):
        return None
    done = next((step for step in steps if step.step is task.step and step.team in ("", team.name)), None)
    due = task.within_s if task.within_s is not None else whole_deadline(task.step, event.level, material.deadlines)
    took = ((done.at if done else material.ended) - event.raised_at).total_seconds()
    over = due is not None and took > due
    verdict = (LATE if over else IN_TIME) if done else MISSED if over else OPEN
    return {
        "alert": event.alert_id, "place": event.place, "level": event.level.slug, "due_s": due, "verdict": verdict,
        "took_s": round(took, 1) if done else None, "by": done.actor if done else None,
    }  # fmt: skip


def whole_deadline(step: Step, level: Level, deadlines: Deadlines) -> float | None:
    """Seconds from the alarm by which ``step`` is to be reached: the steps' deadlines added up. None: none."""
    parts = [deadlines.get((before, level)) for before in WAY[: WAY.index(step)]]
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


def _worst(verdicts: Sequence[str]) -> str:
    return next((verdict for verdict in (MISSED, LATE, OPEN, IN_TIME) if verdict in verdicts), OPEN)


def _timeline(material: Material) -> Iterator[JsonObject]:
    """The truth beside the alerts beside what people did. ``what``: began, visible, ended, alert, or a step."""
    for outcome in material.score.outcomes:
        event = outcome.event
        about = {
            "kind": event.kind, "title": title_of(event.kind), "network": event.network,
            "place": event.asset or event.sensor or "",
        }  # fmt: skip
        yield {"at": _iso_of(event.begin), "what": "began", **about}
        if event.visible is not None:
            yield {"at": _iso_of(event.visible), "what": "visible", **about}
        if event.end <= material.ended.timestamp():
            yield {"at": _iso_of(event.end), "what": "ended", **about}
    for each in material.handled:
        yield {
            "at": _iso(each.raised_at), "what": "alert", "alert": each.alert_id, "network": each.network,
            "level": each.level.slug, "place": each.place, "title": each.title,
        }  # fmt: skip
        if each.acknowledged_at is not None:
            yield {
                "at": _iso(each.acknowledged_at),
                "what": "acknowledged",
                "alert": each.alert_id,
                "place": each.place,
            }
    for step in material.steps:
        yield {
            "at": _iso(step.at), "what": str(step.step), "alert": step.alert_id, "actor": step.actor, "team": step.team,
        }  # fmt: skip


def _findings(report: JsonObject) -> Iterator[JsonObject]:
    """What to change, by rules that anybody can follow: each names the figures that it comes from."""
    for event in report["events"]:
        yield from _about_event(event)
    if report["false_alerts"]:
        rules = ", ".join(sorted({alert["rule"] for alert in report["false_alerts"]}))
        yield _finding("false_alerts", count=len(report["false_alerts"]), what=rules)
    for clock in report["clocks"]:
        if clock["verdict"] == LATE:
            kind = "nobody_answered" if clock["to"] is None and clock["from"] == Step.RECEIVED else "step_late"
            yield _finding(
                kind, what=clock["from"], place=clock["place"], level=clock["level"], seconds=clock["took_s"],
                due=clock["due_s"], team=clock["team"],
            )  # fmt: skip
    for team in report["teams"]:
        for task in team["tasks"]:
            if task["verdict"] in (LATE, MISSED):
                yield _finding(f"task_{task['verdict']}", what=task["text"], team=team["name"])
            elif not task["events"]:
                yield _finding("task_untried", what=task["text"], team=team["name"])
    for each in report["deliveries"]:
        if each["failed"] or each["delivered"] < each["messages"]:
            yield _finding("undelivered", what=each["endpoint"], count=each["messages"] - each["delivered"])


def _about_event(event: JsonObject) -> Iterator[JsonObject]:
    about = {"what": event["kind"], "place": event["asset"] or ""}
    if event["missed"]:
        yield _finding("event_missed", **about)
    if event["found"] and event["delay_s"] > SLOW_S:
        yield _finding("found_late", seconds=event["delay_s"], due=SLOW_S, **about)
    for name in ("place", "cause", "level"):
        if event[f"right_{name}"] is False:
            yield _finding(f"wrong_{name}", **about)


def _finding(kind: str, **values: object) -> JsonObject:
    return {"kind": kind, **values}


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _iso_of(seconds: float) -> str:
    return _iso(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds))
