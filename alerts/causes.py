"""What may have happened: hypotheses about the cause of an incident as data, and how they are ranked. Pure.

A cause says which alerts it explains, how far and how long its effects reach, and which signs speak for and against it.
Its score is the sum of the weights of the signs that hold, less what it leaves unexplained; the shares are the softmax
of the scores. Weights are in nats, as log-likelihood ratios would be, and are defaults of this project: they order the
hypotheses, and are no measured frequencies.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import msgspec

from alerts.entries import entries, refuse
from alerts.rules import Text
from lifeline.errors import CatalogueError
from lifeline.model import AssetKind, JsonObject, Level

UNEXPLAINED = 3.0
"""What a cause loses that explains none of the alerts; one that explains half of them loses half of it (default)."""
SHOWN = 20
"""Alerts that are named for a sign, at most."""
LARGEST_BESIDE_M = 100.0
LARGEST_HOPS = 12


class Beside(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An asset of another network that stands near the alert."""

    network: str
    kind: AssetKind
    within_m: float


class Match(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which alerts are meant: all of what is given must hold. Rules are patterns as in a shell: ``pressure.*``."""

    rules: tuple[str, ...] = ()
    quantities: tuple[str, ...] = ()
    networks: frozenset[str] = frozenset()
    kinds: frozenset[AssetKind] = frozenset()
    beside: Beside | None = None
    wet: bool | None = None
    origin: str = ""

    def holds(self, member: "Member") -> bool:
        """Whether an alert is meant. ``wet`` holds only where rain, or its absence, was measured."""
        return (
            (not self.networks or member.network in self.networks)
            and (not self.kinds or member.asset_kind in self.kinds)
            and (not self.rules or any(fnmatchcase(rule, pattern) for pattern in self.rules for rule in member.voices))
            and (not self.quantities or member.quantity in self.quantities)
            and (self.wet is None or member.wet is self.wet)
            and (not self.origin or member.origin == self.origin)
            and (self.beside is None or member.neighbour(self.beside) is not None)
        )


class Sign(Match, frozen=True, kw_only=True):
    """Speaks for a cause (weight above zero) or against it, if ``least`` places show it; ``absent``: if none does."""

    weight: float
    why: Text
    least: int = 1
    absent: bool = False


class Cause(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A hypothesis. Two alerts that it explains are one event where they began within ``within_s`` and are at most
    ``apart_m`` apart in any networks, or joined by pipes and at most ``joined_m`` apart, or ``hops`` pipes apart.

    With ``along`` it spreads in that network alone: two are joined by its pipes, or one of them is in it.
    """

    id: str
    title: Text
    advice: Text
    within_s: float
    apart_m: float = 0
    joined_m: float = 0
    hops: int = 0
    along: str = ""
    explains: tuple[Match, ...]
    signs: tuple[Sign, ...] = ()

    def covers(self, member: "Member") -> bool:
        """Whether it can have raised this alert."""
        return any(match.holds(member) for match in self.explains)


class Neighbour(NamedTuple):
    """An asset beside an alert."""

    network: str
    kind: str
    asset: str
    name: str
    distance_m: float


@dataclass(frozen=True, slots=True)
class Member:
    """An alert as causes see it. ``first_seen`` in epoch seconds; ``incident_id`` and ``asset_id`` 0 for none;
    ``wet`` None where no gauge is near; ``origin`` what a detector says of methane: leak, biogas, open; ``rules`` all
    that hold it, where several speak with one voice. ``silent``: shelved, suppressed or out of service;
    ``acknowledged_at`` 0 where nobody has."""

    alert_id: int
    rule: str
    network: str
    level: Level
    first_seen: float
    incident_id: int = 0
    quantity: str = ""
    open: bool = True
    muted: bool = False
    asset_id: int = 0
    asset_kind: str = ""
    place: str = ""
    longitude: float | None = None
    latitude: float | None = None
    wet: bool | None = None
    origin: str = ""
    rules: tuple[str, ...] = ()
    neighbours: Sequence[Neighbour] = field(default=())
    active: bool = True
    silent: bool = False
    acknowledged_at: float = 0.0
    acknowledged_by: str = ""

    @property
    def voices(self) -> tuple[str, ...]:
        """Its own rule, and all that hold it with one voice."""
        return (self.rule, *self.rules)

    def neighbour(self, wanted: Beside) -> Neighbour | None:
        """The nearest asset that is wanted, if it is near enough."""
        found = [
            each
            for each in self.neighbours
            if (each.network, each.kind) == (wanted.network, wanted.kind) and each.distance_m <= wanted.within_m
        ]
        return min(found, key=lambda each: (each.distance_m, each.asset), default=None)


class Sorted:
    """Alerts by all that causes look at: a storm of thousands then costs a few dozen looks."""

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = members
        self._alike: dict[tuple[object, ...], list[int]] = defaultdict(list)
        for place, each in enumerate(members):
            asset, origin = each.asset_kind, each.origin
            traits = (each.voices, each.network, each.quantity, asset, each.wet, origin, *each.neighbours)
            self._alike[traits].append(place)

    def where(self, holds: Callable[[Member], bool]) -> list[int]:
        """Places of the alerts for which something holds, in order."""
        return sorted(place for alike in self._alike.values() if holds(self.members[alike[0]]) for place in alike)


class Ranking:
    """Ranks, and remembers what it said of the same alerts: but for its origin, the rules that hold it and rain that
    came with it, what an alert tells does not change."""

    def __init__(self, causes: Sequence[Cause]) -> None:
        self._causes = causes
        self._before: dict[tuple[object, ...], list[JsonObject]] = {}
        self._now: dict[tuple[object, ...], list[JsonObject]] = {}

    def of(self, members: Sequence[Member]) -> list[JsonObject]:
        """As ``rank``."""
        ordered = sorted(members, key=lambda member: member.alert_id)
        key = tuple((member.alert_id, member.origin, member.wet, member.rules) for member in ordered)
        ranked = self._now.get(key) or self._before.get(key)
        self._now[key] = rank(self._causes, members) if ranked is None else ranked
        return self._now[key]

    def forget(self, *, everything: bool = False) -> None:
        """Forget what was not asked for since the last call."""
        self._before, self._now = {} if everything else self._now, {}


def rank(causes: Sequence[Cause], members: Sequence[Member]) -> list[JsonObject]:
    """Causes that explain any of the alerts, the likeliest first, as stored and told.

    Each with its share, how many alerts it explains, what speaks for and against it, and the networks that it spans.
    """
    alike = Sorted(sorted(members, key=lambda each: (each.first_seen, each.alert_id)))
    ranked = []
    for number, cause in enumerate(causes):
        covered = [alike.members[place] for place in alike.where(cause.covers)]
        if covered:
            signs = [(sign, found) for sign in cause.signs if (found := _shown_by(sign, alike)) is not None]
            score = sum(sign.weight for sign, _ in signs) - UNEXPLAINED * (1 - len(covered) / len(members))
            ranked.append((score, number, _tell(cause, covered, signs)))
    ranked.sort(key=lambda each: (-each[0], each[1]))
    whole = sum(math.exp(score - ranked[0][0]) for score, _, _ in ranked) if ranked else 1.0
    return [told | {"share": round(math.exp(score - ranked[0][0]) / whole, 3)} for score, _, told in ranked]


def _shown_by(sign: Sign, alike: Sorted) -> list[Member] | None:
    """The alerts that show a sign, none for one that is shown by absence; None where the sign does not hold."""
    found = [alike.members[place] for place in alike.where(sign.holds)]
    if sign.absent:
        return None if found else []
    places = {(member.asset_id, 0 if member.asset_id else member.alert_id) for member in found}
    return found if len(places) >= sign.least else None


def _tell(cause: Cause, covered: Sequence[Member], signs: Sequence[tuple[Sign, list[Member]]]) -> JsonObject:
    spoken = [(sign, _sign(sign, found)) for sign, found in signs]
    networks = {member.network for member in covered}
    networks |= {sign.beside.network for sign, _ in signs if sign.beside is not None and sign.weight > 0}
    return {
        "cause": cause.id,
        "title": msgspec.to_builtins(cause.title),
        "advice": msgspec.to_builtins(cause.advice),
        "explains": len(covered),
        "networks": sorted(networks),
        "cross_network": len(networks) > 1,
        "for": [told for sign, told in spoken if sign.weight > 0],
        "against": [told for sign, told in spoken if sign.weight < 0],
    }


def _sign(sign: Sign, found: Sequence[Member]) -> JsonObject:
    told: JsonObject = {
        "why": msgspec.to_builtins(sign.why),
        "weight": sign.weight,
        "alerts": [member.alert_id for member in found[:SHOWN]],
    }
    if sign.beside is not None and found and not sign.absent:
        told["beside"] = [
            {"alert": member.alert_id, "place": member.place, **nearest._asdict()}
            for member in found[:SHOWN]
            if (nearest := member.neighbour(sign.beside)) is not None
        ]
    return told


def wanted_beside(causes: Sequence[Cause]) -> list[tuple[Match, Beside]]:
    """Which alerts need to know what stands beside them, and what."""
    return [
        (match, match.beside)
        for cause in causes
        for match in (*cause.explains, *cause.signs)
        if match.beside is not None
    ]


def load_causes(path: Path | None = None) -> list[Cause]:
    """The causes in ``path``, or those that ship with Lifeline. Raises CatalogueError."""
    if path is None:
        return list(shipped_causes())
    try:
        return parse_causes(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise CatalogueError(f"{path}: {error.strerror}") from error


@cache
def shipped_causes() -> tuple[Cause, ...]:
    """The causes that ship with Lifeline."""
    text = resources.files("alerts").joinpath("causes.toml").read_text(encoding="utf-8")
    return tuple(parse_causes(text, "causes.toml"))


def parse_causes(text: str, source: str = "causes") -> list[Cause]:
    """Read causes from TOML. Raises CatalogueError with one line for each mistake, naming the cause."""
    causes: list[Cause] = []
    problems: list[str] = []
    for name, cause in entries(text, "cause", Cause, source, problems):
        problems += [f"{name}: {problem}" for problem in _problems(cause, {other.id: other for other in causes})]
        causes.append(cause)
    refuse(problems, source)
    return causes


def _problems(cause: Cause, others: Mapping[str, Cause]) -> list[str]:
    found = []
    if not cause.id or cause.id in others:
        found.append("id is empty, or there is one of this id already")
    if not all([cause.title.en, cause.title.zh, cause.advice.en, cause.advice.zh]):
        found.append("title and advice are needed in en and zh")
    if min(cause.within_s, cause.apart_m, cause.joined_m, cause.hops) < 0 or cause.within_s == 0:
        found.append("within_s must be above zero, apart_m, joined_m and hops not below it")
    if cause.hops > LARGEST_HOPS:
        found.append(f"hops are at most {LARGEST_HOPS}: reach further by joined_m")
    if not cause.explains:
        found.append("it explains nothing")
    if any(sign.weight == 0 or sign.least < 1 or not (sign.why.en and sign.why.zh) for sign in cause.signs):
        found.append("a sign needs a weight that is not zero, least of at least 1, and why in en and zh")
    besides = [match.beside for match in (*cause.explains, *cause.signs) if match.beside is not None]
    if any(not 0 < beside.within_m <= LARGEST_BESIDE_M for beside in besides):
        found.append(f"beside is within {LARGEST_BESIDE_M:g} m at most")
    return found
