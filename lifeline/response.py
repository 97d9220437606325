"""The response to an alert as one table of steps, and their deadlines. Pure: storage.response applies it.

received -> confirmed (or false alarm) -> dispatched -> on site -> handled -> fed back -> archived. What turns out to be
a false alarm on the way is one from there on. A step that the table lacks is refused.
"""

import tomllib
from collections.abc import Mapping
from enum import StrEnum
from importlib import resources
from pathlib import Path

from lifeline.errors import CatalogueError
from lifeline.model import Level


class Step(StrEnum):
    """How far the response is. An alert that nobody has looked at is received."""

    RECEIVED = "received"
    CONFIRMED = "confirmed"
    FALSE_ALARM = "false_alarm"
    DISPATCHED = "dispatched"
    ON_SITE = "on_site"
    HANDLED = "handled"
    FED_BACK = "fed_back"
    ARCHIVED = "archived"


NEXT: Mapping[Step, tuple[Step, ...]] = {
    Step.RECEIVED: (Step.CONFIRMED, Step.FALSE_ALARM),
    Step.CONFIRMED: (Step.DISPATCHED, Step.FALSE_ALARM),
    Step.DISPATCHED: (Step.ON_SITE, Step.FALSE_ALARM),
    Step.ON_SITE: (Step.HANDLED, Step.FALSE_ALARM),
    Step.HANDLED: (Step.FED_BACK,),
    Step.FALSE_ALARM: (Step.FED_BACK,),
    Step.FED_BACK: (Step.ARCHIVED,),
    Step.ARCHIVED: (),
}
"""Where each step leads."""

Deadlines = Mapping[tuple[Step, Level], float]
"""Seconds that an alert of a level may stay at a step."""


def may_follow(step: Step, after: Step) -> bool:
    """Whether ``step`` is one that ``after`` leads to."""
    return step in NEXT[after]


def load_deadlines(path: Path | None = None) -> Deadlines:
    """The deadlines in ``path``, or those that ship with Lifeline. Raises CatalogueError."""
    if path is None:
        return parse_deadlines(resources.files("lifeline").joinpath("response.toml").read_text(encoding="utf-8"))
    try:
        return parse_deadlines(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogueError(f"{path}: {error}") from error


def parse_deadlines(text: str, source: str = "response.toml") -> Deadlines:
    """Read deadlines from TOML. Raises CatalogueError with one line for each mistake."""
    try:
        tables = tomllib.loads(text).get("deadline_s", {})
    except tomllib.TOMLDecodeError as error:
        raise CatalogueError(f"{source}: not TOML: {error}") from error
    found: dict[tuple[Step, Level], float] = {}
    problems = []
    for name, levels in tables.items() if isinstance(tables, dict) else ():
        if name not in tuple(Step) or not NEXT[Step(name)] or not isinstance(levels, dict):
            problems.append(f"deadline_s.{name} is no step that leads on")
            continue
        for slug, seconds in levels.items():
            if slug not in {level.slug for level in Level}:
                problems.append(f"deadline_s.{name}: unknown level {slug!r}")
            elif isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < 1e9:
                problems.append(f"deadline_s.{name}.{slug} must be seconds above zero")
            else:
                found[Step(name), Level.from_slug(slug)] = float(seconds)
    if problems:
        raise CatalogueError("\n".join(f"{source}: {problem}" for problem in problems))
    return found
