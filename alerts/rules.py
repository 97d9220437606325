"""Rules are data: which detector, which quantity, which limits, which words. Checked when they are read."""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, Literal

import msgspec

from alerts.entries import entries, refuse
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
    voice: str = ""
    """Rules of one voice have one open alert on a subject, with the worst level of them (voices.py)."""

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

    def content(self) -> JsonObject:
        """All that the file says of it."""
        return dict(msgspec.to_builtins(self))

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
    origin: bool = False
    """Methane alone: tell a leak from biogas, and let biogas fall to a milder level (detectors/chambers.py)."""


class Rate(Rule, frozen=True, kw_only=True, tag="rate"):
    """A ladder of limits on how fast the value rises or falls: detectors/rate.py. Limits are per minute."""

    quantity: str
    limits: dict[Slug, float]
    when: Literal["above", "below"] = "above"
    percent_of: float | Literal["depth"] | None = None
    deadband: float = 0
    span_s: float
    origin: bool = False
    """Of methane: nothing where it is biogas, with hydrogen sulphide, that rises (detectors/chambers.py)."""
    until_learned: bool = False
    """Pressures alone: only for sensors whose network the burst detector has not learned yet."""


class Scored(Rule, frozen=True, kw_only=True):
    """What the learned and the spatial detectors have: a ladder of limits on their score, 1 being where it begins."""

    limits: dict[Slug, float]
    when: Literal["above", "below"] = "above"
    deadband: float = 0.2
    unless: frozenset[str] = frozenset()
    """Anomaly, and what is slow in a burst: nothing new is said on a joined network where one of these rules has an
    alert, or had one until SETTLES_S ago (scene.py)."""
    slow: ClassVar[bool] = False
    """Judged over a day and again each quarter of an hour; else over the window and again each minute."""
    momentary: ClassVar[bool] = False
    """Its condition holds the time for which something lasts, so that a delay would have no meaning."""


class Anomaly(Scored, frozen=True, kw_only=True, tag="anomaly"):
    """Not as on other days at this hour, nor as the neighbours say: detectors/anomaly.py."""

    quantities: frozenset[str]
    slow: ClassVar[bool] = True


class Burst(Scored, frozen=True, kw_only=True, tag="burst"):
    """Pressure falls against the network: detectors/mains.py."""


class NightFlow(Scored, frozen=True, kw_only=True, tag="night_flow"):
    """More water than usual runs at night: detectors/zones.py."""

    slow: ClassVar[bool] = True
    momentary: ClassVar[bool] = True


class Balance(Scored, frozen=True, kw_only=True, tag="balance"):
    """A district took in more over a day than days do: detectors/zones.py."""

    slow: ClassVar[bool] = True
    momentary: ClassVar[bool] = True


class Neighbours(Scored, frozen=True, kw_only=True, tag="neighbours"):
    """Methane rises in chambers beside each other: detectors/chambers.py. Limits are %LEL a minute."""


class Blockage(Scored, frozen=True, kw_only=True, tag="blockage"):
    """A sewer backs up in dry weather: detectors/drains.py. Score 1 while it does, 2 once for ``confirmed_s``."""

    confirmed_s: float = 4 * 3600.0


class Overflow(Scored, frozen=True, kw_only=True, tag="overflow"):
    """A manhole will overflow: detectors/drains.py. Limits are minutes until it does."""


class RainResponse(Scored, frozen=True, kw_only=True, tag="rain_response"):
    """A level that rain does not explain: detectors/drains.py. One that lasts ``confirmed_s`` is a level worse."""

    confirmed_s: float = 600.0


class Formula(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A city's formula of rain, q = a (1 + c lg P) / (t + b)^n in L/(s ha): of t minutes, once in P years."""

    a: float
    c: float
    b: float
    n: float


class Storm(Scored, frozen=True, kw_only=True, tag="storm"):
    """More rain than sewers were designed for: detectors/storm.py. Limits are years in which so much comes once."""

    formula: Formula


class Pump(Scored, frozen=True, kw_only=True, tag="pump"):
    """A pump that should run does not, or moves nothing: detectors/drains.py. Score 1 too many starts, 2 failed."""


class Health(Scored, frozen=True, kw_only=True, tag="health"):
    """A sensor that cannot be trusted: detectors/sickness.py. Always maintenance."""

    fault: Literal["flatline", "noise", "drift", "jumps", "clock"]
    slow: ClassVar[bool] = True
    momentary: ClassVar[bool] = True


class Silence(Rule, frozen=True, kw_only=True, tag="silence"):
    """Nothing is heard any more: detectors/silence.py."""

    subject: Literal["sensor", "device", "gateway"]
    level: Slug


Ladder = Threshold | Rate
AnyRule = (
    Threshold
    | Rate
    | Silence
    | Anomaly
    | Burst
    | NightFlow
    | Balance
    | Neighbours
    | Blockage
    | Overflow
    | RainResponse
    | Storm
    | Pump
    | Health
)
DAY_S = 86_400.0


def load_rules(catalogue: Catalogue, window_s: float, path: Path | None = None) -> list[AnyRule]:
    """The rules in ``path``, or those that ship with Lifeline. Raises CatalogueError."""
    if path is None:
        text = resources.files("alerts").joinpath("rules.toml").read_text(encoding="utf-8")
        return parse_rules(text, catalogue, window_s, "rules.toml")
    try:
        return parse_rules(path.read_text(encoding="utf-8"), catalogue, window_s, str(path))
    except OSError as error:
        raise CatalogueError(f"{path}: {error.strerror}") from error


def clearing_within(rules: Sequence[AnyRule], clear_s: float | None) -> list[AnyRule]:
    """The rules with no ``off_delay_s`` above ``clear_s``; None: as they are."""
    if clear_s is None:
        return list(rules)
    return [msgspec.structs.replace(rule, off_delay_s=min(rule.off_delay_s, clear_s)) for rule in rules]


def parse_rules(text: str, catalogue: Catalogue, window_s: float, source: str = "rules") -> list[AnyRule]:
    """Read rules from TOML. Raises CatalogueError with one line for each mistake, naming the rule."""
    rules: list[AnyRule] = []
    problems: list[str] = []
    for name, rule in entries(text, "rule", AnyRule, source, problems):
        if rule.id in {other.id for other in rules}:
            problems.append(f"{name}: there is one of this id already")
        problems += [f"{name}: {problem}" for problem in _problems(rule, catalogue, window_s)]
        rules.append(rule)
    known = {rule.id for rule in rules}
    problems += [
        f"rule {rule.id!r}: unless names {name!r}, and there is no such rule"
        for rule in rules
        if isinstance(rule, Scored)
        for name in sorted(rule.unless - known)
    ]
    refuse(problems, source)
    return rules


def _problems(rule: AnyRule, catalogue: Catalogue, window_s: float) -> list[str]:
    found = [f"unknown network {name!r}" for name in sorted(rule.networks - catalogue.networks.keys())]
    if not rule.id:
        found.append("id is empty")
    if not all([rule.title.en, rule.title.zh, rule.advice.en, rule.advice.zh]):
        found.append("title and advice are needed in en and zh")
    if rule.on_delay_s < 0 or rule.off_delay_s < 0:
        found.append("a delay is below zero")
    if isinstance(rule, Silence):
        return found
    if isinstance(rule, Scored):
        return found + _scored_problems(rule, catalogue, window_s)
    return found + _ladder_problems(rule, catalogue, window_s)


def _scored_problems(rule: Scored, catalogue: Catalogue, window_s: float) -> list[str]:
    found = [] if rule.limits else ["limits are missing"]
    if any(limit <= 0 for limit in rule.limits.values()):
        found.append("limits of a score are above zero")
    if rule.deadband < 0:
        found.append("deadband is below zero")
    if rule.unless and not isinstance(rule, Anomaly | Burst):
        found.append(f"{rule.detector} takes no unless")
    reach = DAY_S if rule.slow else window_s
    if max(rule.on_delay_s, rule.off_delay_s) > reach / 2:
        found.append(f"delays must fit into half of the {reach:g} s that it looks at")
    if rule.momentary and (rule.on_delay_s or rule.off_delay_s):
        found.append(f"{rule.detector} takes no delays: its condition says for how long")
    if isinstance(rule, Anomaly):
        found += [f"unknown quantity {name!r}" for name in sorted(rule.quantities - catalogue.quantities.keys())]
        found += [] if rule.quantities else ["quantities are missing"]
    if isinstance(rule, Blockage | RainResponse) and not 0 < rule.confirmed_s <= DAY_S / 2:
        found.append(f"confirmed_s must lie between 0 and {DAY_S / 2:g}")
    if isinstance(rule, Storm):
        found += _formula_problems(rule.formula, rule.limits)
    if isinstance(rule, Health) and rule.kind is not AlertKind.MAINTENANCE:
        found.append("a sick sensor is a maintenance alert, never a risk alert")
    return found + order_problems(rule.limits, rule.when)


def _formula_problems(formula: Formula, limits: dict[Any, float]) -> list[str]:
    if min(formula.a, formula.c, formula.n) <= 0:
        return ["a, c and n of the formula are above zero"]
    if formula.b < 0:
        return ["b of the formula is not below zero"]
    oftenest = 10 ** (-1 / formula.c)
    often = any(limit <= oftenest for limit in limits.values())
    return [f"by the formula nothing falls once in {oftenest:.2g} years or more often"] if often else []


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
    if rule.origin and rule.quantity != "methane":
        found.append("origin tells a leak from biogas: for methane alone")
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
