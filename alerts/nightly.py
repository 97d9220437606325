"""The nightly report: how precise each rule was where people judged its alerts, and limits that would have been better.

A proposal raises the mildest limit just past the alerts that people called false, and never past one that they called
genuine. It proposes; a person accepts.
"""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from alerts.rules import AnyRule, Ladder, Scored
from lifeline.errors import ConflictError, NotFoundError
from lifeline.model import JsonObject
from lifeline.storage import rulebook
from lifeline.storage.database import Connection
from lifeline.storage.rulebook import NIGHTLY, Change, ProposalState, Scope

SPAN = timedelta(days=90)
HOUR = 3
"""The report is made after three in the morning, local time."""
LEAST_LABELS = 5
LEAST_FALSE = 2
GOOD = 0.8
"""A rule of this precision or better is left alone."""


def report(connection: Connection, rules: Mapping[str, AnyRule], now: datetime, local: ZoneInfo) -> int:
    """Make the report of the day, where it is time and there is none; how many proposals came of it."""
    here = now.astimezone(local)
    day = here.date()
    if here.hour < HOUR or rulebook.reported(connection, day):
        return 0
    rulebook.write_precision(connection, day, now - SPAN, now)
    return propose(connection, rules, now)


def propose(connection: Connection, rules: Mapping[str, AnyRule], now: datetime) -> int:
    """Propose better limits, a zone before its network; how many proposals were made."""
    groups: dict[tuple[str, str, str], list[tuple[float, bool]]] = defaultdict(list)
    for name, network, zone, peak, genuine in rulebook.peaks(connection, now - SPAN, now):
        groups[name, network, zone].append((peak, genuine))
    open_ones = rulebook.proposals(connection, states=[ProposalState.WAITING, ProposalState.EVALUATED], limit=10_000)
    standing = {(one.rule, one.scope, one.target) for one in open_ones}
    made = 0
    for (name, network, zone), peaks in sorted(groups.items()):
        scope, target = (Scope.ZONE, zone) if zone else (Scope.NETWORK, network)
        rule = rules.get(name)
        limits = None if rule is None else better_limits(rule, peaks)
        if limits is None or (name, scope, target) in standing:
            continue
        false = sum(not genuine for _, genuine in peaks)
        reason: JsonObject = {
            "labels": len(peaks), "false": false, "genuine": len(peaks) - false,
            "precision": round(1 - false / len(peaks), 3),
        }  # fmt: skip
        try:
            rulebook.propose(
                connection, name, scope, target, Change.LIMITS, NIGHTLY, now, limits=limits, days=SPAN.days,
                reason=reason,
            )  # fmt: skip
        except (ConflictError, NotFoundError):
            continue  # it is so already, or the rule is new and has not been published
        made += 1
    return made


def better_limits(rule: AnyRule, peaks: list[tuple[float, bool]]) -> JsonObject | None:
    """Limits that drop what was called false and keep all that was called genuine; None where there is no better.

    ``peaks`` are how far alerts went, in the unit of the limits, and whether they were genuine. The new mildest limit
    lies halfway between the furthest false peak and the nearest genuine one; milder levels than the one that it passes
    are given up, and a limit of red is never passed. Pure.
    """
    limits = own_limits(rule)
    false = [peak for peak, genuine in peaks if not genuine]
    genuine = [peak for peak, is_genuine in peaks if is_genuine]
    enough = len(peaks) >= LEAST_LABELS and len(false) >= LEAST_FALSE and genuine
    if limits is None or not enough or len(genuine) / len(peaks) >= GOOD:
        return None
    sign = 1.0 if getattr(rule, "when", "above") == "above" else -1.0
    nearest = min(sign * peak for peak in genuine)
    below = [sign * peak for peak in false if sign * peak < nearest]
    if len(below) < LEAST_FALSE:
        return None
    edge = (max(below) + nearest) / 2
    ladder = sorted(((sign * limit, level) for level, limit in limits.items()), reverse=True)
    mildest = min(limit for limit, _ in ladder)
    passed = [level for limit, level in ladder if limit <= edge]
    if edge <= mildest or not passed or "red" in passed:
        return None
    stays: JsonObject = {level: sign * limit for limit, level in ladder if limit > edge}
    return stays | {passed[0]: round(sign * edge, 6)}


def own_limits(rule: AnyRule) -> dict[str, float] | None:
    """A rule's limits in the unit of its overrides and of the evidence; None where they depend on the place."""
    if isinstance(rule, Scored):
        return {str(level): limit for level, limit in rule.limits.items()}
    if not isinstance(rule, Ladder) or rule.percent_of == "depth":
        return None
    scale = 1.0 if rule.percent_of is None else float(rule.percent_of) / 100
    return {str(level): limit * scale for level, limit in rule.limits.items()}
