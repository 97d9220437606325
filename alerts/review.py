"""What a change to a rule would have done: the very detectors and life cycle over the last days, with and without it.

Up to a week is judged on the readings. Beyond, on the roll-ups: of each quarter of an hour the reading that lies
furthest out, so that no breach is missed and delays shorter than a quarter are not seen. Learned rules are judged with
what the days before would have taught.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo

import numpy as np

from alerts.backtest import learned_before
from alerts.detection import Detection
from alerts.overrides import applied, covers
from alerts.replay import Episode, Replay
from alerts.rules import AnyRule, Scored, Silence
from lifeline.catalogue import Catalogue
from lifeline.errors import LifelineError
from lifeline.model import JsonObject, Level, SubjectKind
from lifeline.storage import baselines, rulebook, window
from lifeline.storage.baselines import Override
from lifeline.storage.database import Connection
from lifeline.storage.rulebook import Change, Proposal, RuleLine
from lifeline.storage.window import DeviceRow, Readings, SensorRow

DAY_S = 86_400.0
RAW_DAYS = 7.0
"""Up to so many days the readings themselves are looked at."""
STEP_S, QUARTER_S = 300.0, 900.0
MARGIN_S = 1800.0
"""A label belongs to a replayed alert that was open within so much of its raise."""


class NotJudgedError(LifelineError):
    """A proposal of which nobody can say what it would have done."""


def lines(rules: Sequence[AnyRule], now: datetime) -> list[RuleLine]:
    """The rules as people are shown them."""
    return [
        RuleLine(rule.id, rule.version, rule.detector, str(rule.kind), sorted(rule.networks), rule.content(), now)
        for rule in rules
    ]


def evaluate(
    connection: Connection,
    rules: Mapping[str, AnyRule],
    catalogue: Catalogue,
    window_s: float,
    asked: Proposal,
    now: datetime,
    local: tzinfo = UTC,
) -> JsonObject:
    """Alerts of the rule at the place over ``asked.days`` before ``now``, as it is and as it would be.

    Raises NotJudgedError for a rule that is gone or has no limits, or a place without sensors of the rule.
    """
    rule = rules.get(asked.rule)
    if rule is None or isinstance(rule, Silence):
        raise NotJudgedError(f"{asked.rule} is no rule with limits that is in force")
    overrides = baselines.overrides(connection)
    changed = [one for one in overrides if (one.rule, one.scope, one.target) != (asked.rule, asked.scope, asked.target)]
    if asked.action is not Change.REMOVE:
        changed = sorted([*changed, Override(asked.rule, asked.scope, asked.target, asked.limits)], key=_breadth)
    zones = rulebook.zone_sensors(connection, [one.target for one in [*overrides, *changed] if one.scope == "zone"])
    assets = window.assets(connection)
    sensors = [row for row in window.sensors(connection) if rule.covers(row.network)]
    place = Override(asked.rule, asked.scope, asked.target, None)
    by_id = {asset.asset_id: asset for asset in assets}
    concerned = {row.sensor_id for row in sensors if covers(place, row, by_id.get(row.asset_id or 0), zones)}
    if not concerned:
        raise NotJudgedError(f"{asked.rule} watches no sensor of {asked.scope} {asked.target}")
    used = sensors if isinstance(rule, Scored) else [row for row in sensors if row.sensor_id in concerned]
    last = now.timestamp()
    first = last - asked.days * DAY_S
    past = _Past(connection, [row.sensor_id for row in used], rule, raw=asked.days <= RAW_DAYS)
    runs = [
        _run(connection, rule, catalogue, window_s, applied(used, assets, held, zones), past, first, last, local)
        for held in (overrides, changed)
    ]
    before, after = ([one for one in run if one.alert.subject.id in concerned] for run in runs)
    labels = rulebook.labels_at(connection, asked.rule, sorted(concerned), first, last)
    return {
        "from": datetime.fromtimestamp(first, now.tzinfo).isoformat(), "to": now.isoformat(), "days": asked.days,
        "source": "readings" if past.raw else "quarters", "sensors": len(concerned),
        "before": _counted(before), "after": _counted(after), "labels": kept(labels, after),
    }  # fmt: skip


def _breadth(one: Override) -> int:
    return ["network", "asset_kind", "zone", "asset", "sensor"].index(one.scope)


class _Past:
    """The readings that are judged, day by day."""

    def __init__(self, connection: Connection, sensors: Sequence[int], rule: AnyRule, *, raw: bool) -> None:
        self._connection, self._sensors, self.raw = connection, sensors, raw
        above = getattr(rule, "when", "above") == "above"
        self._which = "last" if isinstance(rule, Scored) else "highest" if above else "lowest"

    def between(self, low: float, high: float) -> Readings:
        if self.raw:
            return rulebook.past(self._connection, self._sensors, low, high)
        return rulebook.extremes(self._connection, self._sensors, low, high, self._which)


def _run(
    connection: Connection,
    rule: AnyRule,
    catalogue: Catalogue,
    window_s: float,
    sensors: Sequence[SensorRow],
    past: _Past,
    first: float,
    last: float,
    local: tzinfo,
) -> list[Episode]:
    detection = Detection([rule], catalogue, window_s)
    devices = window.devices(connection)
    detection.set_inventory(sensors, devices, window.assets(connection))
    if isinstance(rule, Scored):
        detection.set_knowledge(learned_before(connection, detection, first, local))
    quiet = [DeviceRow(one.device_id, one.gateway_id, "unknown", None) for one in devices]
    replay = Replay(detection, lambda _now: quiet)
    replay.start(past.between(first - DAY_S - QUARTER_S, first), first)
    now = first
    while now < last:
        end = min(now + DAY_S, last)
        replay.run(past.between(now, end), now, end, STEP_S if past.raw else QUARTER_S)
        now = end
    return [one for one in replay.book.episodes.values() if one.alert.subject.kind is SubjectKind.SENSOR]


def _counted(episodes: Sequence[Episode]) -> JsonObject:
    levels = Counter(one.worst for one in episodes)
    return {
        "alerts": len(episodes),
        "levels": {level.slug: levels[level] for level in Level},
        "sensors": len({one.alert.subject.id for one in episodes}),
    }


def kept(labels: Sequence[tuple[int, float, bool]], episodes: Sequence[Episode]) -> JsonObject:
    """Of the alerts that people judged, how many would still have been raised. Pure."""
    spells: dict[int, list[tuple[float, float]]] = {}
    for one in episodes:
        end = np.inf if one.returned_at is None else one.returned_at
        spells.setdefault(one.alert.subject.id, []).append((one.raised_at - MARGIN_S, end + MARGIN_S))
    found = Counter(
        (genuine, any(low <= at <= high for low, high in spells.get(sensor, ()))) for sensor, at, genuine in labels
    )
    return {
        "genuine_kept": found[True, True],
        "genuine_lost": found[True, False],
        "false_kept": found[False, True],
        "false_dropped": found[False, False],
    }
