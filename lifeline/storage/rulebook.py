"""Rules as people see them: those in force, their overrides by version, and proposals to change them.

`alerts` writes the rules that it read and answers proposals with what they would have done; a person accepts or
rejects. An accepted proposal is an override from the next tick on. Every change of one stays in ``rule_change``.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from itertools import pairwise
from typing import Any

from psycopg.types.json import Jsonb

from lifeline.errors import ConflictError, NotFoundError
from lifeline.model import JsonObject, Quality
from lifeline.storage.columns import array_columns, seconds
from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.queries import load
from lifeline.storage.window import Readings

NIGHTLY = "nightly"
"""Who proposes in the nightly report."""

_SQL = load("rulebook")


class Scope(StrEnum):
    """Where an override holds; the widest first. A narrower one wins."""

    NETWORK = "network"
    ASSET_KIND = "asset_kind"
    ZONE = "zone"
    ASSET = "asset"
    SENSOR = "sensor"


class Change(StrEnum):
    """What a proposal would do: other limits, the rule off there, or the override gone."""

    LIMITS = "limits"
    OFF = "off"
    REMOVE = "remove"


class ProposalState(StrEnum):
    """Waiting for its evaluation, evaluated (or that failed), and what a person decided."""

    WAITING = "waiting"
    EVALUATED = "evaluated"
    FAILED = "failed"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class RuleLine:
    """A rule in force. ``networks`` empty: all; ``content`` is all that its file says."""

    rule: str
    version: str
    detector: str
    kind: str
    networks: list[str]
    content: JsonObject
    loaded_at: datetime


@dataclass(frozen=True, slots=True)
class OverrideLine:
    """A rule's limits at one place; ``limits`` None: off there."""

    override_id: int
    rule: str
    scope: Scope
    target: str
    limits: JsonObject | None
    note: str
    created_by: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ChangeLine:
    """One change of an override: ``before`` and ``after`` are {"limits": ...}, None where there was or is none."""

    change_id: int
    rule: str
    scope: Scope
    target: str
    before: JsonObject | None
    after: JsonObject | None
    actor: str
    at: datetime
    note: str
    proposal_id: int | None


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change to a rule at one place, before it is made. ``effect`` is what it would have done over ``days``."""

    proposal_id: int
    rule: str
    scope: Scope
    target: str
    action: Change
    limits: JsonObject | None
    before: JsonObject | None
    note: str
    reason: JsonObject
    proposed_by: str
    proposed_at: datetime
    days: float
    state: ProposalState
    effect: JsonObject | None
    evaluated_at: datetime | None
    decided_by: str | None
    decided_at: datetime | None
    decision_note: str


@dataclass(frozen=True, slots=True)
class PrecisionLine:
    """What people said of a rule's alerts of 90 days, in a network and zone (empty: all of the network)."""

    report_date: date
    rule: str
    network: str
    zone: str
    alerts: int
    genuine: int
    false_alarms: int

    @property
    def precision(self) -> float | None:
        """Genuine of all that were judged; None where none were."""
        judged = self.genuine + self.false_alarms
        return self.genuine / judged if judged else None


def publish(connection: Connection, rules: Sequence[RuleLine]) -> None:
    """These are the rules in force; others are not any more."""
    values = {
        "rules": [rule.rule for rule in rules],
        "versions": [rule.version for rule in rules],
        "detectors": [rule.detector for rule in rules],
        "kinds": [rule.kind for rule in rules],
        "networks": [",".join(rule.networks) for rule in rules],
        "contents": Jsonb([rule.content for rule in rules]),
        "at": rules[0].loaded_at if rules else None,
    }
    with storage_errors(), connection.transaction():
        connection.execute(_SQL["forget_rules"], values)
        connection.execute(_SQL["publish"], values)


def rules(connection: Connection) -> list[RuleLine]:
    """The rules in force, by name."""
    with storage_errors():
        return [RuleLine(*row) for row in connection.execute(_SQL["rules"])]


def rule(connection: Connection, name: str) -> RuleLine:
    """One rule in force. Raises NotFoundError."""
    with storage_errors():
        row = connection.execute(_SQL["rule"], {"rule": name}).fetchone()
    if row is None:
        raise NotFoundError(f"there is no rule {name!r} in force")
    return RuleLine(*row)


def overrides(connection: Connection, name: str | None = None) -> list[OverrideLine]:
    """The overrides that hold, of one rule where it is given, the widest scope first."""
    with storage_errors():
        rows = connection.execute(_SQL["overrides"], {"rule": name}).fetchall()
    return [OverrideLine(number, rule_, Scope(scope), *rest) for number, rule_, scope, *rest in rows]


def changes(connection: Connection, name: str | None = None, limit: int = 1000) -> list[ChangeLine]:
    """What was changed, the newest first."""
    with storage_errors():
        rows = connection.execute(_SQL["changes"], {"rule": name, "limit": limit}).fetchall()
    return [ChangeLine(number, rule_, Scope(scope), *rest) for number, rule_, scope, *rest in rows]


def propose(
    connection: Connection,
    name: str,
    scope: Scope,
    target: str,
    action: Change,
    actor: str,
    now: datetime,
    *,
    limits: JsonObject | None = None,
    days: float = 7,
    note: str = "",
    reason: JsonObject | None = None,
) -> int:
    """Propose a change and give its number.

    Raises NotFoundError for an unknown rule or place, ConflictError where it makes no sense or changes nothing.
    """
    with storage_errors(), connection.transaction():
        _check(rule(connection, name), action, limits)
        values = {
            "rule": name, "scope": scope, "target": target, "action": action, "now": now, "days": days, "note": note,
            "limits": None if limits is None else Jsonb(limits), "actor": actor, "reason": Jsonb(reason or {}),
        }  # fmt: skip
        known = connection.execute(_SQL["place_exists"], values).fetchone()
        if not known or not known[0]:
            raise NotFoundError(f"there is no {scope.replace('_', ' ')} {target!r}")
        before = _standing(connection, name, scope, target)
        if _after(action, limits) == before:
            raise ConflictError("that is how it is already")
        row = connection.execute(_SQL["propose"], values | {"before": _json(before)}).fetchone()
    return int(row[0]) if row else 0


def _check(found: RuleLine, action: Change, limits: JsonObject | None) -> None:
    if (limits is not None) != (action is Change.LIMITS):
        raise ConflictError("limits are given where they are to be changed, and only there")
    for level, value in (limits or {}).items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ConflictError(f"the limit of {level} must be a number")
    known = set(found.content.get("limits") or {})
    unknown = set(limits or {}) - {"red", "orange", "yellow", "blue"}
    if limits is not None and (unknown or not limits or not known):
        raise ConflictError(f"limits of {found.rule} are by level: red, orange, yellow, blue")
    problem = order_problem(limits or {}, str(found.content.get("when", "above")))
    if problem:
        raise ConflictError(problem)


def order_problem(limits: JsonObject, when: str) -> str:
    """What is wrong with the order of limits, if anything: a worse level must lie further out. Pure."""
    given = [(level, float(limits[level])) for level in ("blue", "yellow", "orange", "red") if level in limits]
    sign = 1 if when == "above" else -1
    for (milder, low), (worse, high) in pairwise(given):
        if not sign * high > sign * low:
            return f"the limit of {worse} ({high:g}) must lie {when} that of {milder} ({low:g})"
    return ""


def proposals(
    connection: Connection,
    *,
    states: Sequence[ProposalState] = (),
    name: str | None = None,
    before_id: int | None = None,
    limit: int = 100,
) -> list[Proposal]:
    """Proposals, the newest first."""
    values = {"states": [str(state) for state in states] or None, "rule": name, "before": before_id, "limit": limit}
    with storage_errors():
        return [_proposal(row) for row in connection.execute(_SQL["proposals"], values)]


def proposal(connection: Connection, proposal_id: int) -> Proposal:
    """One proposal. Raises NotFoundError."""
    with storage_errors():
        row = connection.execute(_SQL["proposal"], {"proposal_id": proposal_id}).fetchone()
    if row is None:
        raise NotFoundError(f"there is no proposal {proposal_id}")
    return _proposal(row)


def answer(
    connection: Connection, proposal_id: int, effect: JsonObject, now: datetime, *, failed: bool = False
) -> None:
    """What a proposal would have done, or why nobody knows; nothing where it has been decided meanwhile."""
    state = ProposalState.FAILED if failed else ProposalState.EVALUATED
    values = {"proposal_id": proposal_id, "effect": Jsonb(effect), "now": now, "state": state}
    with storage_errors(), connection.transaction():
        connection.execute(_SQL["answer"], values)


def accept(connection: Connection, proposal_id: int, actor: str, now: datetime, note: str = "") -> Proposal:
    """Make the change: the override holds from the next tick on. Raises as ``_decide``."""
    with storage_errors(), connection.transaction():
        asked = _decide(connection, proposal_id, ProposalState.ACCEPTED, actor, now, note)
        before = _standing(connection, asked.rule, asked.scope, asked.target)
        if before != asked.before:
            raise ConflictError(f"what holds there has changed since proposal {proposal_id} was made")
        after = _after(asked.action, asked.limits)
        values = {
            "rule": asked.rule, "scope": asked.scope, "target": asked.target, "actor": actor, "now": now,
            "note": note or asked.note, "before": _json(before), "after": _json(after), "proposal_id": proposal_id,
            "limits": None if asked.limits is None else Jsonb(asked.limits),
        }  # fmt: skip
        connection.execute(_SQL["remove" if after is None else "apply"], values)
        connection.execute(_SQL["note_change"], values)
    return proposal(connection, proposal_id)


def reject(connection: Connection, proposal_id: int, actor: str, now: datetime, note: str = "") -> Proposal:
    """Leave it as it is; that is written down. Raises as ``_decide``."""
    with storage_errors(), connection.transaction():
        _decide(connection, proposal_id, ProposalState.REJECTED, actor, now, note)
    return proposal(connection, proposal_id)


def _decide(
    connection: Connection, proposal_id: int, state: ProposalState, actor: str, now: datetime, note: str
) -> Proposal:
    """Raises NotFoundError; ConflictError where it was decided already, or is accepted before it was evaluated."""
    asked = proposal(connection, proposal_id)
    if state is ProposalState.ACCEPTED and asked.state is ProposalState.WAITING:
        raise ConflictError(f"proposal {proposal_id} has not been evaluated yet: nobody knows what it would do")
    values = {"proposal_id": proposal_id, "state": state, "actor": actor, "now": now, "note": note}
    if connection.execute(_SQL["decide"], values).fetchone() is None:
        raise ConflictError(f"proposal {proposal_id} is {asked.state} already")
    return asked


def precision(connection: Connection, day: date | None = None) -> list[PrecisionLine]:
    """The nightly report of a day, by default the newest."""
    with storage_errors():
        return [PrecisionLine(*row) for row in connection.execute(_SQL["precision"], {"day": day})]


def write_precision(connection: Connection, day: date, start: datetime, now: datetime) -> int:
    """Write the report of alerts raised from ``start`` to before ``now``, once a day; how many lines it has."""
    values = {"day": day, "start": start, "now": now}
    with storage_errors(), connection.transaction():
        return connection.execute(_SQL["write_precision"], values).rowcount


def reported(connection: Connection, day: date) -> bool:
    """Whether the report of a day is there."""
    with storage_errors():
        return connection.execute(_SQL["reported"], {"day": day}).fetchone() is not None


def peaks(connection: Connection, start: datetime, now: datetime) -> list[tuple[str, str, str, float, bool]]:
    """Labelled alerts of ``start`` to before ``now``: rule, network, zone, how far they went, genuine."""
    with storage_errors():
        return [tuple(row) for row in connection.execute(_SQL["peaks"], {"start": start, "now": now})]


def zone_sensors(connection: Connection, zones: Sequence[str]) -> dict[str, set[int]]:
    """Sensors of zones, by their external ids: those that lie in one, and those whose asset does."""
    found: dict[str, set[int]] = {}
    if zones:
        with storage_errors():
            for zone, sensor_id in connection.execute(_SQL["zone_sensors"], {"zones": list(zones)}):
                found.setdefault(zone, set()).add(sensor_id)
    return found


def past(connection: Connection, sensors: Sequence[int], low: float, high: float) -> Readings:
    """Plausible readings of some sensors with ``low < ts <= high`` (epoch seconds)."""
    return _readings(connection, "past", sensors, low, high, {"unfit": int(Quality.IMPLAUSIBLE)})


def extremes(connection: Connection, sensors: Sequence[int], low: float, high: float, which: str) -> Readings:
    """The ``highest``, ``lowest`` or ``last`` reading of each quarter of an hour, as a reading at its end."""
    return _readings(connection, "extremes", sensors, low, high, {"which": which})


def _readings(
    connection: Connection, statement: str, sensors: Sequence[int], low: float, high: float, more: dict[str, Any]
) -> Readings:
    values = {"sensors": list(sensors), "low": low, "high": high, **more}
    sensor_id, ts, value = array_columns(connection, _SQL[statement], values, ("i4", "i8", "f8"))
    return Readings(sensor_id.astype("int32"), seconds(ts), value.astype("float64"))


def labels_at(
    connection: Connection, name: str, sensors: Sequence[int], low: float, high: float
) -> list[tuple[int, float, bool]]:
    """Labelled alerts of a rule on some sensors: sensor, raised at (epoch seconds), genuine."""
    values = {"rule": name, "sensors": list(sensors), "low": low, "high": high}
    with storage_errors():
        return [(sensor, at, genuine) for sensor, at, genuine in connection.execute(_SQL["labels_at"], values)]


def _standing(connection: Connection, name: str, scope: Scope, target: str) -> JsonObject | None:
    row = connection.execute(_SQL["standing"], {"rule": name, "scope": scope, "target": target}).fetchone()
    return None if row is None else {"limits": row[0]}


def _after(action: Change, limits: JsonObject | None) -> JsonObject | None:
    return None if action is Change.REMOVE else {"limits": limits}


def _json(value: JsonObject | None) -> Jsonb | None:
    return None if value is None else Jsonb(value)


def _proposal(row: Sequence[Any]) -> Proposal:
    values = list(row)
    values[2], values[4], values[12] = Scope(row[2]), Change(row[4]), ProposalState(row[12])
    return Proposal(*values)
