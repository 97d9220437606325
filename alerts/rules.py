"""Rules are data: which detector, which quantity, which limits, which words. Checked when they are read."""

import hashlib
import tomllib
from functools import cached_property
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import msgspec

from lifeline.catalogue import Catalogue
from lifeline.errors import CatalogueError
from lifeline.model import AlertKind, JsonObject, Level

Slug = Literal["red", "orange", "yellow", "blue"]
DEPTH = "depth"
"""``percent_of = "depth"``: limits are percent of the depth of the sensor's asset."""


class Text(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One text in both languages."""

    en: str
    zh: str


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="detector", dict=True):
    """What all rules have."""

    id: str
    kind: AlertKind
    networks: frozenset[str] = frozenset()
    title: Text
    advice: Text
    on_delay_s: float = 0
    off_delay_s: float = 0

    @cached_property
    def version(self) -> str:
        """Changes when, and only when, the rule does."""
        canonical = msgspec.json.encode(msgspec.to_builtins(self), order="deterministic")
        return hashlib.sha256(canonical).hexdigest()[:12]

    @property
    def detector(self) -> str:
        """Which detector the rule is for."""
        return str(self.__struct_config__.tag)

    def covers(self, network: str) -> bool:
        """Whether the rule is for this network; a rule that names none is for all."""
        return not self.networks or network in self.networks

    def words(self) -> JsonObject:
        """Title and advice, as an alert's evidence carries them."""
        return {"title": msgspec.to_builtins(self.title), "advice": msgspec.to_builtins(self.advice)}


class Threshold(Rule, frozen=True, kw_only=True, tag="threshold"):
    """A ladder of limits on the value: detectors/threshold.py.

    Limits and deadband are in the quantity's unit, or in percent of ``percent_of``: a number in that unit (5.0 %VOL,
    the LEL of methane) or the depth of the sensor's asset.
    """

    quantity: str
    limits: dict[Slug, float]
    when: Literal["above", "below"] = "above"
    percent_of: float | Literal["depth"] | None = None
    deadband: float = 0


class Rate(Rule, frozen=True, kw_only=True, tag="rate"):
    """A ladder of limits on how fast the value rises or falls: detectors/rate.py. Limits are per minute."""

    quantity: str
    limits: dict[Slug, float]
    when: Literal["above", "below"] = "above"
    percent_of: float | Literal["depth"] | None = None
    deadband: float = 0
    span_s: float


class Silence(Rule, frozen=True, kw_only=True, tag="silence"):
    """Nothing is heard any more: detectors/silence.py."""

    subject: Literal["sensor", "device", "gateway"]
    level: Slug


Ladder = Threshold | Rate
_Any = Threshold | Rate | Silence


def load_rules(catalogue: Catalogue, window_s: float, path: Path | None = None) -> list[_Any]:
    """The rules in ``path``, or those that ship with Lifeline. Raises CatalogueError."""
    if path is None:
        text = resources.files("alerts").joinpath("rules.toml").read_text(encoding="utf-8")
        return parse_rules(text, catalogue, window_s, "rules.toml")
    try:
        return parse_rules(path.read_text(encoding="utf-8"), catalogue, window_s, str(path))
    except OSError as error:
        raise CatalogueError(f"{path}: {error.strerror}") from error


def parse_rules(text: str, catalogue: Catalogue, window_s: float, source: str = "rules") -> list[_Any]:
    """Read rules from TOML. Raises CatalogueError with one line for each mistake, naming the rule."""
    try:
        entries = tomllib.loads(text).get("rule", [])
    except tomllib.TOMLDecodeError as error:
        raise CatalogueError(f"{source}: not TOML: {error}") from error
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise CatalogueError(f"{source}: rules stand under [[rule]]")
    rules: list[_Any] = []
    problems: list[str] = []
    for number, entry in enumerate(entries, 1):
        name = f"rule {entry.get('id', number)!r}"
        try:
            rule = msgspec.convert(entry, type=_Any)
        except msgspec.ValidationError as error:
            problems.append(f"{name}: {error}")
            continue
        if rule.id in {other.id for other in rules}:
            problems.append(f"{name}: there is one of this id already")
        problems += [f"{name}: {problem}" for problem in _problems(rule, catalogue, window_s)]
        rules.append(rule)
    if problems:
        raise CatalogueError("\n".join(f"{source}: {problem}" for problem in problems))
    return rules


def _problems(rule: _Any, catalogue: Catalogue, window_s: float) -> list[str]:
    found = [f"unknown network {name!r}" for name in sorted(rule.networks - catalogue.networks.keys())]
    if not rule.id:
        found.append("id is empty")
    if not all([rule.title.en, rule.title.zh, rule.advice.en, rule.advice.zh]):
        found.append("title and advice are needed in en and zh")
    if rule.on_delay_s < 0 or rule.off_delay_s < 0:
        found.append("a delay is below zero")
    if isinstance(rule, Silence):
        return found
    return found + _ladder_problems(rule, catalogue, window_s)


def _ladder_problems(rule: Ladder, catalogue: Catalogue, window_s: float) -> list[str]:
    found = []
    quantity = catalogue.quantities.get(rule.quantity)
    if quantity is None:
        found.append(f"unknown quantity {rule.quantity!r}")
    elif not rule.networks <= quantity.networks:
        found.append(f"{rule.quantity} is not measured in {sorted(rule.networks - quantity.networks)}")
    if not rule.limits:
        found.append("limits are missing")
    if rule.deadband < 0:
        found.append("deadband is below zero")
    if isinstance(rule.percent_of, float) and rule.percent_of <= 0:
        found.append("percent_of must be above zero")
    span = rule.span_s if isinstance(rule, Rate) else 0.0
    if isinstance(rule, Rate) and any((limit > 0) != (rule.when == "above") for limit in rule.limits.values()):
        found.append("limits of a rate are above zero for above and below zero for below")
    if isinstance(rule, Rate) and span <= 0:
        found.append("span_s must be above zero")
    if max(rule.on_delay_s, rule.off_delay_s) + span > window_s / 2:
        found.append(f"delays and span must fit into half of the window of {window_s:g} s")
    return found + order_problems(rule.limits, rule.when)


def order_problems(limits: dict[Any, float], when: str) -> list[str]:
    """What is wrong with the order of limits: a worse level must lie further out."""
    given = [(slug, limits[slug]) for slug in ("blue", "yellow", "orange", "red") if slug in limits]
    sign = 1 if when == "above" else -1
    return [
        f"the limit of {worse} ({high:g}) must lie {when} that of {milder} ({low:g})"
        for (milder, low), (worse, high) in pairwise(given)
        if not sign * high > sign * low
    ]


def level_of(slug: Slug) -> Level:
    """``red`` as a level."""
    return Level.from_slug(slug)
