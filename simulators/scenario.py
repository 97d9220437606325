"""Scenario files: which events happen when. TOML, checked when read; docs/reference/scenarios.md describes them."""

import sys
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from lifeline.errors import ConfigurationError

ANY = "any"
SHORTEST_CYCLE_S = 60.0


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number that an event takes: its default, the values allowed, its unit."""

    default: float
    low: float
    high: float
    unit: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of event: what it does, what its ``place`` names, and its parameters."""

    meaning: str
    place: str
    parameters: dict[str, Parameter]


GROW = Parameter(0.0, 0.0, 86_400.0, "s", "time in which it grows to its full size; 0 is sudden")

KINDS: dict[str, Kind] = {
    "gas_leak": Kind(
        "Gas leaves a pipe through a hole; a share of it finds its way into the chamber at `place`.",
        "a valve chamber or manhole with a methane sensor",
        {
            "hole_mm": Parameter(4.0, 0.5, 50.0, "mm", "diameter of the hole"),
            "share": Parameter(0.05, 0.001, 1.0, "-", "share of the gas that enters the chamber"),
            "grow_s": GROW,
            "blower_m3h": Parameter(400.0, 0.0, 5000.0, "m3/h", "air blown through the chamber after the repair"),
        },
    ),
    "burst": Kind(
        "A water main bursts: an orifice in the middle of the pipe.",
        "a water pipe",
        {"hole_mm": Parameter(100.0, 5.0, 300.0, "mm", "diameter of the hole"), "grow_s": GROW},
    ),
    "blockage": Kind(
        "A sewer is blocked: sewage backs up behind it.",
        "a conduit",
        {
            "closed": Parameter(
                1.0, 0.05, 1.0, "-", "share of the section closed; in dry weather little shows below 0.9"
            ),
            "grow_s": GROW,
        },
    ),
    "inflow": Kind(
        "Water that should not be there enters a manhole: a pumped-out pit, an illegal connection.",
        "a manhole",
        {"inflow_m3h": Parameter(200.0, 1.0, 20_000.0, "m3/h", "how much"), "grow_s": GROW},
    ),
    "storm": Kind(
        "A Chicago design storm over the whole town, as long as the event lasts.",
        "",
        {
            "depth_mm": Parameter(35.0, 0.5, 300.0, "mm", "rain in all"),
            "peak_share": Parameter(0.4, 0.05, 0.95, "-", "when the peak comes, as a share of the duration"),
        },
    ),
    "gateway_dead": Kind(
        "A gateway loses its connection without a word: its last will is published and every device behind it falls "
        "silent; when it comes back it delivers what was stored meanwhile.",
        "a gateway",
        {},
    ),
}


@dataclass(frozen=True, slots=True)
class EventSpec:
    """One event of a scenario: ``at_s`` seconds after going live (or after the cycle's start), for ``lasts_s``."""

    kind: str
    at_s: float
    lasts_s: float
    place: str = ANY
    parameters: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scenario:
    """Events in order. ``cycle_s``: it starts again after so long, at other places; None: once."""

    name: str
    title: str
    events: tuple[EventSpec, ...]
    cycle_s: float | None = None


def load_scenario(name: str) -> Scenario:
    """A shipped scenario by name, or any by the path of its file. Raises ConfigurationError that says what is wrong."""
    path = Path(name)
    try:
        if path.suffix == ".toml":
            return parse_scenario(path.read_text(encoding="utf-8"), path.stem, source=name)
        if name not in shipped():
            raise ConfigurationError(f"no scenario {name!r}; there are {', '.join(shipped())}, or give a .toml file")
        file = resources.files("simulators").joinpath("scenarios", f"{name}.toml")
        return parse_scenario(file.read_text(encoding="utf-8"), name, source=f"{name}.toml")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{name}: {error}") from error


def shipped() -> list[str]:
    """Names of the scenarios that come with the simulators."""
    folder = resources.files("simulators").joinpath("scenarios")
    return sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml"))


def parse_scenario(text: str, name: str, source: str) -> Scenario:
    """Read a scenario. Raises ConfigurationError with every mistake, one a line, each with the event's number."""
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also a number of 5,000 digits, or brackets in brackets in brackets
        raise ConfigurationError(f"{source}: not TOML: {error}") from error
    mistakes = [f"unknown key {key!r}" for key in _unknown(data, ("title", "cycle_s", "event"))]
    title, cycle = data.get("title", name), data.get("cycle_s")
    if not isinstance(title, str):
        mistakes.append("title must be text")
    if cycle is not None and (not _number(cycle) or cycle < SHORTEST_CYCLE_S):
        mistakes.append(f"cycle_s must be a number of seconds, {SHORTEST_CYCLE_S:g} or more")
    entries = data.get("event", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ConfigurationError(f"{source}: events are written as [[event]]")
    for number, entry in enumerate(entries, 1):
        mistakes += [f"event {number}: {mistake}" for mistake in _mistakes(entry)]
        if _number(cycle) and _number(entry.get("at_s")) and entry["at_s"] >= cycle:
            mistakes.append(f"event {number}: at_s must lie before the cycle's end at {cycle:g} s")
    if mistakes:
        raise ConfigurationError(f"{source}: " + "; ".join(mistakes))
    events = sorted((_event(entry) for entry in entries), key=lambda event: event.at_s)
    return Scenario(name, title, tuple(events), None if cycle is None else float(cycle))


def _number(value: Any) -> bool:
    """A finite number that fits a float: TOML's integers may be of any length."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _unknown(entry: dict[str, Any], known: Iterable[str]) -> list[str]:
    return sorted(entry.keys() - set(known))


def _mistakes(entry: dict[str, Any]) -> list[str]:
    kind = KINDS.get(str(entry.get("kind")))
    if kind is None:
        return [f"kind {entry.get('kind')!r} is unknown; there are {', '.join(KINDS)}"]
    known = ("kind", "at_s", "lasts_s", *(["place"] if kind.place else []), *kind.parameters)
    mistakes = [f"unknown key {key!r}; {entry['kind']} takes {', '.join(known)}" for key in _unknown(entry, known)]
    for key, low in (("at_s", 0.0), ("lasts_s", 1.0)):
        if not _number(entry.get(key)) or not low <= entry[key] <= 10 * 366 * 86_400:
            mistakes.append(f"{key} must be a number of seconds, {low:g} or more")
    if not isinstance(entry.get("place", ANY), str):
        mistakes.append(f"place must name {kind.place}, or be {ANY!r}")
    for key, parameter in kind.parameters.items():
        value = entry.get(key, parameter.default)
        if not _number(value) or not parameter.low <= value <= parameter.high:
            mistakes.append(f"{key} must be {parameter.low:g} to {parameter.high:g} {parameter.unit}")
    return mistakes


def _event(entry: dict[str, Any]) -> EventSpec:
    kind = KINDS[entry["kind"]]
    parameters = {key: float(entry.get(key, p.default)) for key, p in kind.parameters.items()}
    return EventSpec(entry["kind"], float(entry["at_s"]), float(entry["lasts_s"]), entry.get("place", ANY), parameters)
