"""One voice for one subject: of the rules that speak with one voice one alert is open on a subject, and it rises. Pure.

A manhole that fills up in a storm is high, will overflow and is more than the rain explains: one problem, whichever
rule saw it first. That rule's alert stays, has the worst level that any of them gives, the words of the one that gives
it (of equals: of the one further down in the file of rules, where the more telling stand), and names all of them with
their levels in ``evidence["rules"]``; it returns when none of them holds any more.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from alerts.rules import Rule
from lifeline.model import Alert, Finding, Level, Subject


def united(rules: Mapping[str, Rule], findings: Iterable[Finding], open_alerts: Iterable[Alert]) -> list[Finding]:
    """The findings with those of one voice and subject made one, under the rule whose alert is open, else the worst."""
    alone: list[Finding] = []
    chorus: dict[tuple[Subject, str], list[Finding]] = defaultdict(list)
    for finding in findings:
        voice = rules[finding.rule].voice
        (chorus[finding.subject, voice] if voice else alone).append(finding)
    speaking: dict[tuple[Subject, str], list[str]] = defaultdict(list)
    for alert in sorted(open_alerts, key=lambda one: one.alert_id):
        rule = rules.get(alert.rule)
        if rule is not None and rule.voice:
            speaking[alert.subject, rule.voice].append(alert.rule)
    for key, found in chorus.items():
        alone += _one(found, speaking.get(key, []))
    return alone


def _one(found: Sequence[Finding], speaking: Sequence[str]) -> list[Finding]:
    """What one voice says of one subject. ``speaking``: rules with an open alert, the oldest first; the others of them
    go on by themselves until they return."""
    rest = [finding for finding in found if finding.rule in speaking[1:]]
    mine = [finding for finding in found if finding.rule not in speaking[1:]]
    active = [finding for finding in mine if finding.level is not None]
    if not active:
        return rest + ([replace(mine[0], rule=speaking[0])] if mine and speaking else mine)
    worst = min(reversed(active), key=lambda finding: finding.level or Level.BLUE)
    told = {finding.rule: finding.level.slug for finding in active if finding.level is not None}
    first_seen = min(finding.first_seen for finding in active)
    evidence = worst.evidence | {"rules": told}
    speaker = speaking[0] if speaking else worst.rule
    return [*rest, replace(worst, rule=speaker, first_seen=first_seen, evidence=evidence)]


def levels_of(alert: Alert) -> Mapping[str, Level]:
    """Which rules hold an alert, and at which level each."""
    told = alert.evidence.get("rules")
    if not isinstance(told, dict) or not told:
        return {alert.rule: alert.level}
    return {rule: Level.from_slug(slug) for rule, slug in told.items()}
