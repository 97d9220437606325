"""Scenario files: which events happen when. TOML, checked when read; docs/reference/scenarios.md describes them."""

import sys
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

from lifeline.errors import ConfigurationError
from simulators.kinds import KINDS

ANY = "any"
SHORTEST_CYCLE_S = 60.0
LONGEST_S = 10 * 366 * 86_400.0
DEEPEST = 8
"""Files that include files that include files, at most."""
KEYS = ("title", "about", "cycle_s", "include", "event")


@dataclass(frozen=True, slots=True)
class EventSpec:
    """One event of a scenario: ``at_s`` seconds after going live (or after the cycle's start), for ``lasts_s``.

    ``name`` is what other events of the file call it. ``after`` names the event that brought it about, ``near`` the one
    whose place its own is the nearest to. ``harmless``: who raises a risk alarm because of it is wrong.
    """

    kind: str
    at_s: float
    lasts_s: float
    place: str = ANY
    parameters: dict[str, float] = field(default_factory=dict)
    name: str = ""
    after: str = ""
    near: str = ""
    harmless: bool = False


@dataclass(frozen=True, slots=True)
class Scenario:
    """Events in order. ``cycle_s``: it starts again after so long, at other places; None: once."""

    name: str
    title: str
    events: tuple[EventSpec, ...]
    cycle_s: float | None = None
    about: str = ""


def load_scenario(name: str, below: tuple[str, ...] = ()) -> Scenario:
    """A shipped scenario by name, or any by the path of its file. Raises ConfigurationError that says what is wrong."""
    path = Path(name)
    try:
        if path.suffix == ".toml":
            return parse_scenario(path.read_text(encoding="utf-8"), path.stem, name, below)
        if name not in shipped():
            raise ConfigurationError(f"no scenario {name!r}; there are {', '.join(shipped())}, or give a .toml file")
        file = resources.files("simulators").joinpath("scenarios", f"{name}.toml")
        return parse_scenario(file.read_text(encoding="utf-8"), name, f"{name}.toml", below)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{name}: {error}") from error


def hastened(scenario: Scenario, speed: float) -> Scenario:
    """The scenario with its events ``speed`` times as soon. How long each lasts stays: physics takes its time."""
    events = tuple(replace(event, at_s=event.at_s / speed) for event in scenario.events)
    cycle = None if scenario.cycle_s is None else max(scenario.cycle_s / speed, SHORTEST_CYCLE_S)
    return replace(scenario, events=events, cycle_s=cycle)


def shipped() -> list[str]:
    """Names of the scenarios that come with the simulators."""
    folder = resources.files("simulators").joinpath("scenarios")
    return sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml"))


def parse_scenario(text: str, name: str, source: str, below: tuple[str, ...] = ()) -> Scenario:
    """Read a scenario; ``below`` are the files that include it. Raises ConfigurationError with every mistake, one a
    line, each with the event's number."""
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also a number of 5,000 digits, or brackets in brackets in brackets
        raise ConfigurationError(f"{source}: not TOML: {error}") from error
    cycle = data.get("cycle_s")
    mistakes = _of_the_head(data)
    entries = data.get("event", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ConfigurationError(f"{source}: events are written as [[event]]")
    included = _included(data, source, (*below, source), mistakes)
    names = [event.name for event in included] + [str(entry.get("name", "")) for entry in entries]
    for number, entry in enumerate(entries, 1):
        mistakes += [f"event {number}: {mistake}" for mistake in [*_mistakes(entry), *_references(entry, names)]]
        if _number(cycle) and _number(entry.get("at_s")) and entry["at_s"] >= cycle:
            mistakes.append(f"event {number}: at_s must lie before the cycle's end at {cycle:g} s")
    if mistakes:
        raise ConfigurationError(f"{source}: " + "; ".join(mistakes))
    events = _timed(included, [_event(entry) for entry in entries], source)
    title, about = data.get("title", name), data.get("about", "")
    return Scenario(name, title, tuple(events), None if cycle is None else float(cycle), about.strip())


def _of_the_head(data: dict[str, Any]) -> list[str]:
    mistakes = [f"unknown key {key!r}" for key in _unknown(data, KEYS)]
    mistakes += [f"{key} must be text" for key in ("title", "about") if not isinstance(data.get(key, ""), str)]
    cycle = data.get("cycle_s")
    if cycle is not None and (not _number(cycle) or cycle < SHORTEST_CYCLE_S):
        mistakes.append(f"cycle_s must be a number of seconds, {SHORTEST_CYCLE_S:g} or more")
    return mistakes


def _included(data: dict[str, Any], source: str, below: tuple[str, ...], mistakes: list[str]) -> list[EventSpec]:
    """Events of the scenarios that a file includes, as much later as it says, named after it."""
    entries = data.get("include", [])
    if not isinstance(entries, list):
        mistakes.append('include must be a list of scenarios: ["storm"], or [{scenario = "storm", at_s = 600}]')
        return []
    found: list[EventSpec] = []
    for number, entry in enumerate(entries, 1):
        given = {"scenario": entry} if isinstance(entry, str) else entry
        mistake = _wrong_include(given)
        if mistake:
            mistakes.append(f"include {number}: {mistake}")
            continue
        name = given["scenario"]
        # A file beside this one, where this one is a file of the user's own.
        beside = str(Path(source).parent / name) if name.endswith(".toml") else name
        if beside in below or f"{beside}.toml" in below or len(below) > DEEPEST:
            mistakes.append(f"include {number}: {name} includes itself, or too many lie within each other")
            continue
        inner = load_scenario(beside, below)
        found += [_shifted(event, inner.name, float(given.get("at_s", 0.0))) for event in inner.events]
    return found


def _wrong_include(given: Any) -> str | None:
    if not isinstance(given, dict) or not isinstance(given.get("scenario"), str):
        return "write the name of a scenario, or {scenario = ..., at_s = ...}"
    if _unknown(given, ("scenario", "at_s")):
        return "it takes scenario and at_s"
    if not _number(given.get("at_s", 0.0)) or not 0 <= given.get("at_s", 0.0) <= LONGEST_S:
        return "at_s must be a number of seconds, 0 or more"
    return None


def _shifted(event: EventSpec, scenario: str, by: float) -> EventSpec:
    def full(name: str) -> str:
        return f"{scenario}.{name}" if name else ""

    return replace(event, at_s=event.at_s + by, name=full(event.name), near=full(event.near), after=full(event.after))


def _number(value: Any) -> bool:
    """A finite number that fits a float: TOML's integers may be of any length."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _unknown(entry: dict[str, Any], known: Iterable[str]) -> list[str]:
    return sorted(entry.keys() - set(known))


def _mistakes(entry: dict[str, Any]) -> list[str]:
    kind = KINDS.get(str(entry.get("kind")))
    if kind is None:
        return [f"kind {entry.get('kind')!r} is unknown; there are {', '.join(KINDS)}"]
    known = ("kind", "at_s", "lasts_s", *(["place", "near"] if kind.place else []), *kind.parameters)
    every = (*known, "name", "after", "harmless")
    mistakes = [f"unknown key {key!r}; {entry['kind']} takes {', '.join(every)}" for key in _unknown(entry, every)]
    for key, low in (("at_s", 0.0), ("lasts_s", 1.0)):
        if not _number(entry.get(key)) or not low <= entry[key] <= LONGEST_S:
            mistakes.append(f"{key} must be a number of seconds, {low:g} or more")
    if not isinstance(entry.get("place", ANY), str):
        mistakes.append(f"place must name {kind.place}, or be {ANY!r}")
    if not isinstance(entry.get("harmless", False), bool):
        mistakes.append("harmless must be true or false")
    for key, parameter in kind.parameters.items():
        value = entry.get(key, parameter.default)
        if not _number(value) or not parameter.low <= value <= parameter.high:
            mistakes.append(f"{key} must be {parameter.low:g} to {parameter.high:g} {parameter.unit}")
    return mistakes


def _references(entry: dict[str, Any], names: list[str]) -> list[str]:
    mistakes = []
    for key in ("name", "after", "near"):
        value = entry.get(key, "")
        if not isinstance(value, str) or (key in entry and not value):
            mistakes.append(f"{key} must be a name")
        elif key != "name" and value and (value not in names or value == entry.get("name")):
            mistakes.append(f"{key} names {value!r}, which no other event bears; there are {_those(names)}")
        elif key == "name" and value and names.count(value) > 1:
            mistakes.append(f"the name {value!r} is borne twice")
    if entry.get("near") and entry.get("place", ANY) != ANY:
        mistakes.append("place and near cannot both say where")
    return mistakes


def _those(names: list[str]) -> str:
    return ", ".join(sorted({name for name in names if name})) or "none: give an event a name"


def _event(entry: dict[str, Any]) -> EventSpec:
    kind = KINDS[entry["kind"]]
    parameters = {key: float(entry.get(key, p.default)) for key, p in kind.parameters.items()}
    return EventSpec(
        entry["kind"], float(entry["at_s"]), float(entry["lasts_s"]), entry.get("place", ANY), parameters,
        entry.get("name", ""), entry.get("after", ""), entry.get("near", ""), entry.get("harmless", False),
    )  # fmt: skip


def _timed(included: list[EventSpec], own: list[EventSpec], source: str) -> list[EventSpec]:
    """In the order in which they begin, ``at_s`` of those that come after another counted from the scenario's start."""
    by_name = {event.name: event for event in [*included, *own] if event.name}

    def begins(event: EventSpec, seen: tuple[str, ...] = ()) -> float:
        if not event.after or event in included:
            return event.at_s
        if event.after in seen:
            raise ConfigurationError(f"{source}: {' after '.join((*seen, event.after))} goes round in a circle")
        return event.at_s + begins(by_name[event.after], (*seen, event.after))

    order = sorted([*included, *(replace(event, at_s=begins(event)) for event in own)], key=lambda event: event.at_s)
    place = {event.name: index for index, event in enumerate(order) if event.name}
    for index, event in enumerate(order):
        if event.near and place[event.near] > index:
            raise ConfigurationError(f"{source}: an event cannot be near {event.near!r}, which begins later")
    return order
