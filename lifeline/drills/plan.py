"""What a drill is: a scenario, how long, and the teams with their tasks. Read from TOML or JSON, checked with lines."""

import math
import re
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from lifeline.errors import ConfigurationError
from lifeline.model import JsonObject
from lifeline.response import Step

MOST_TEAMS, MOST_TASKS = 50, 50
SHORTEST_S, LONGEST_S = 30.0, 86_400.0
STEPS = (Step.CONFIRMED, Step.DISPATCHED, Step.ON_SITE, Step.HANDLED, Step.FED_BACK)
"""Steps that a task may ask for."""
_SCENARIO = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_TEAM_KEYS = ("name", "department", "endpoint", "task")
_TASK_KEYS = ("text", "step", "network", "within_s")
_HEADER = re.compile(r"^\s*\[\[\s*team(\s*\.\s*task)?\s*\]\]")


@dataclass(frozen=True, slots=True)
class Task:
    """What a team is to do about each event: reach ``step`` within ``within_s`` of the alarm.

    ``network`` "": events of any. ``within_s`` None: the sum of the steps' own deadlines by the event's level.
    """

    text: str
    step: Step
    network: str = ""
    within_s: float | None = None


@dataclass(frozen=True, slots=True)
class Team:
    """Who takes part. ``endpoint``: of the real system, to which the drill's messages go; "": the page alone."""

    name: str
    department: str = ""
    endpoint: str = ""
    tasks: tuple[Task, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """A drill before it begins. ``speed``: events of the scenario come so many times as soon. ``keep``: the sandbox's
    database stays after the report."""

    scenario: str
    teams: tuple[Team, ...] = ()
    seed: int = 1
    speed: float = 1.0
    lasts_s: float = 1800.0
    keep: bool = False

    def to_json(self) -> JsonObject:
        """As it is stored; ``plan_of`` reads it back."""
        return {**asdict(self), "teams": [asdict(team) for team in self.teams]}


@dataclass(slots=True)
class _Reader:
    """Collects mistakes, each with where it is."""

    source: str
    lines: dict[tuple[int, ...], int] = field(default_factory=dict)
    mistakes: list[str] = field(default_factory=list)

    def wrong(self, place: tuple[int, ...], mistake: str) -> None:
        line = self.lines.get(place)
        named = "team " + str(place[0] + 1) + (f", task {place[1] + 1}" if len(place) > 1 else "") if place else ""
        where = f"{self.source}, line {line}" if line else self.source
        self.mistakes.append(f"{where}: {named + ': ' if named else ''}{mistake}")

    def check(self) -> None:
        if self.mistakes:
            raise ConfigurationError("\n".join(self.mistakes))


def parse_teams(text: str, source: str = "teams.toml") -> tuple[Team, ...]:
    """Teams of a TOML file. Raises ConfigurationError with every mistake, each with its line in the file."""
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{source}: not TOML: {error}") from error
    reader = _Reader(source, dict(_headers(text)))
    for key in sorted(data.keys() - {"team"}):
        reader.wrong((), f"unknown key {key!r}; a file of teams has [[team]] and [[team.task]]")
    teams = _teams(data.get("team", []), reader)
    if not teams and not reader.mistakes:
        reader.wrong((), "no [[team]]: somebody has to take part")
    reader.check()
    return teams


def plan_of(data: JsonObject, source: str = "plan") -> Plan:
    """A plan of JSON, as the API gets it and the database keeps it. Raises ConfigurationError with every mistake."""
    reader = _Reader(source)
    known = ("scenario", "teams", "seed", "speed", "lasts_s", "keep")
    for key in sorted(data.keys() - set(known)):
        reader.wrong((), f"unknown key {key!r}; there are {', '.join(known)}")
    scenario = data.get("scenario")
    if not isinstance(scenario, str) or not (_SCENARIO.fullmatch(scenario) or scenario.endswith(".toml")):
        reader.wrong((), "scenario must be the name of one")
    teams = _teams(data.get("teams", []), reader)
    seed, keep = data.get("seed", 1), data.get("keep", False)
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**31:
        reader.wrong((), "seed must be a whole number, 0 or more")
    if not isinstance(keep, bool):
        reader.wrong((), "keep must be true or false")
    speed = _number(data.get("speed", 1.0), 0.1, 100.0, "speed", reader)
    lasts_s = _number(data.get("lasts_s", 1800.0), SHORTEST_S, LONGEST_S, "lasts_s", reader)
    reader.check()
    return Plan(str(scenario), teams, int(seed), speed, lasts_s, bool(keep))


def _teams(entries: Any, reader: _Reader) -> tuple[Team, ...]:
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        reader.wrong((), "teams are written as [[team]], a list of tables")
        return ()
    if len(entries) > MOST_TEAMS:
        reader.wrong((), f"{MOST_TEAMS} teams at most")
        return ()
    teams = tuple(_team(entry, (number,), reader) for number, entry in enumerate(entries))
    names = [team.name for team in teams]
    for number, name in enumerate(names):
        if name and name in names[:number]:
            reader.wrong((number,), f"the name {name!r} is borne twice")
    return teams


def _team(entry: JsonObject, place: tuple[int], reader: _Reader) -> Team:
    for key in sorted(entry.keys() - {*_TEAM_KEYS, "tasks"}):
        reader.wrong(place, f"unknown key {key!r}; a team has {', '.join(_TEAM_KEYS)}")
    name = _text(entry, "name", place, reader, needed=True)
    tasks = entry.get("task", entry.get("tasks", []))
    if not isinstance(tasks, list | tuple) or len(tasks) > MOST_TASKS or not all(isinstance(t, dict) for t in tasks):
        reader.wrong(place, f"tasks are written as [[team.task]], {MOST_TASKS} at most")
        tasks = []
    return Team(
        name,
        _text(entry, "department", place, reader),
        _text(entry, "endpoint", place, reader),
        tuple(_task(task, (*place, number), reader) for number, task in enumerate(tasks)),
    )


def _task(entry: JsonObject, place: tuple[int, ...], reader: _Reader) -> Task:
    for key in sorted(entry.keys() - set(_TASK_KEYS)):
        reader.wrong(place, f"unknown key {key!r}; a task has {', '.join(_TASK_KEYS)}")
    text = _text(entry, "text", place, reader, needed=True)
    step = entry.get("step")
    if step not in tuple(STEPS):
        reader.wrong(place, f"step {step!r} is none of {', '.join(STEPS)}")
        step = STEPS[0]
    within = entry.get("within_s")
    if within is not None:
        within = _number(within, 1.0, LONGEST_S, "within_s", reader, place)
    return Task(text, Step(step), _text(entry, "network", place, reader), within)


def _text(entry: JsonObject, key: str, place: tuple[int, ...], reader: _Reader, *, needed: bool = False) -> str:
    value = entry.get(key, "")
    if not isinstance(value, str) or len(value) > 200 or not value.isprintable():
        reader.wrong(place, f"{key} must be text of 200 characters at most")
        return ""
    if needed and not value.strip():
        reader.wrong(place, f"{key} is missing")
    return value.strip()


def _number(
    value: Any, low: float, high: float, key: str, reader: _Reader, place: tuple[int, ...] = ()
) -> float:  # fmt: skip
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high or math.isnan(value):
        reader.wrong(place, f"{key} must be a number from {low:g} to {high:g}")
        return low
    return float(value)


def _headers(text: str) -> Iterator[tuple[tuple[int, ...], int]]:
    """Where each [[team]] and [[team.task]] stands: TOML's own reader forgets the lines."""
    team, task = -1, -1
    for number, line in enumerate(text.splitlines(), 1):
        found = _HEADER.match(line)
        if found is None:
            continue
        if found[1]:
            task += 1
            yield (max(team, 0), task), number
        else:
            team, task = team + 1, -1
            yield (team,), number


_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|min|h)?")


def seconds_of(text: str) -> float:
    """``30m``, ``90s``, ``1.5h`` or seconds. Raises ConfigurationError."""
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        raise ConfigurationError(f"{text!r} is no span of time: write 90s, 30m or 1.5h")
    seconds = float(found[1]) * {"s": 1, "m": 60, "min": 60, "h": 3600, None: 1}[found[2]]
    if not SHORTEST_S <= seconds <= LONGEST_S:
        raise ConfigurationError(f"a drill lasts from {SHORTEST_S:g} s to {LONGEST_S / 3600:g} h, not {text}")
    return seconds
