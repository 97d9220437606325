"""Findings against the alerts that are open: what to open, and which step each of the others takes. Pure."""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from alerts.rules import Rule, Silence
from lifeline.lifecycle import Event, step
from lifeline.model import Alert, AlertState, Finding, JsonObject, Level, Subject
from lifeline.storage.alerts import Change, Opening, is_active

Key = tuple[Subject, str]

_SILENCE_MESSAGES = {"alert.raised": "sensor.offline", "alert.cleared": "sensor.online"}


class Plan(NamedTuple):
    """What a tick does to the alerts; at most one change of each."""

    openings: list[Opening]
    changes: list[Change]


def reconcile(
    rules: Mapping[str, Rule],
    findings: Iterable[Finding],
    open_alerts: Iterable[Alert],
    suppressed: Collection[Key] = (),
    out_of_service: Collection[Subject] = (),
    at_work: Collection[Key] = (),
) -> Plan:
    """Plan the tick. ``suppressed`` are those whose cause has an alert of its own, ``out_of_service`` subjects at rest,
    ``at_work`` what lies in a maintenance window.

    An alert whose rule is gone returns: nothing looks at its condition any more.
    """
    found = {(finding.subject, finding.rule): finding for finding in findings}
    plan = Plan([], [])
    for alert in open_alerts:
        key = (alert.subject, alert.rule)
        finding = found.pop(key, None)
        resting = alert.subject in out_of_service or key in at_work
        change = _change(alert, finding, rules.get(alert.rule), key in suppressed, resting)
        if change is not None:
            plan.changes.append(change)
    for finding in found.values():
        rule = rules[finding.rule]
        resting = finding.subject in out_of_service or (finding.subject, finding.rule) in at_work
        if finding.level is not None and not resting:
            plan.openings.append(Opening(finding, rule.version, rule.kind, _message(rule, "alert.raised") or ""))
    return plan


def _change(
    alert: Alert, finding: Finding | None, rule: Rule | None, suppressed: bool, out_of_service: bool
) -> Change | None:
    active = is_active(alert)
    for event in _events(alert, active, finding, rule, suppressed, out_of_service):
        taken = step(alert.state, active, event)
        if taken is not None:
            tells = finding is not None and finding.level is not None and event in (Event.CONDITION, *_LEVEL_EVENTS)
            level = finding.level if finding is not None and finding.level is not None and tells else alert.level
            evidence = finding.evidence if finding is not None and (tells or event is Event.RETURN) else None
            return Change(alert, taken, level, _message(rule, taken.message), evidence)
    return None


_LEVEL_EVENTS = (Event.LEVEL_RISE, Event.LEVEL_FALL, Event.EXPLAIN)


def _voices(evidence: JsonObject) -> set[str]:
    """The rules that hold an alert (voices.py)."""
    return set(evidence.get("rules") or ())


def _events(
    alert: Alert,
    active: bool,
    finding: Finding | None,
    rule: Rule | None,
    suppressed: bool,
    out_of_service: bool,
) -> Iterable[Event]:
    """What happened to an alert, the process first, so that a return is told before it leaves a muted state."""
    if rule is None or (finding is not None and finding.level is None):
        yield Event.RETURN
    elif finding is not None and finding.level is not None:
        yield from _rise_or_fall(alert.level, finding.level, active)
        if _voices(finding.evidence) - {alert.rule} != _voices(alert.evidence) - {alert.rule}:
            yield Event.EXPLAIN
    if out_of_service and alert.state is not AlertState.OOSRV:
        yield Event.OUT_OF_SERVICE
    if not out_of_service:
        yield Event.IN_SERVICE
    yield Event.SUPPRESS if suppressed else Event.UNSUPPRESS


def _rise_or_fall(was: Level, level: Level, active: bool) -> Iterable[Event]:
    if not active:
        yield Event.CONDITION
    elif level < was:
        yield Event.LEVEL_RISE
    elif level > was:
        yield Event.LEVEL_FALL


def _message(rule: Rule | None, message: str | None) -> str | None:
    """A silence is told as ``sensor.offline`` and ``sensor.online``."""
    if isinstance(rule, Silence) and message is not None:
        return _SILENCE_MESSAGES.get(message, message)
    return message
