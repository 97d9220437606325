"""The alerts of a replay as incidents, grouped by the product's own rules in the order in which they came."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from alerts.casebook import MOMENT_S, RAIN_SPAN_S, WET_MM
from alerts.causes import Member, load_causes
from alerts.incidents import Plan, plan
from alerts.pipework import Pipework
from alerts.replay import Episode, Replay
from lifeline.model import AlertKind, JsonObject, SubjectKind
from lifeline.storage.baselines import RAIN
from lifeline.storage.incidents import OpenIncident
from tests.benchmarks.plays import Past


@dataclass(slots=True)
class Cases:
    """The incident of each risk alert, by alert id; how many messages were told of each incident, and its causes."""

    incident: dict[int, int] = field(default_factory=dict)
    messages: Counter[int] = field(default_factory=Counter)
    taken_for: dict[int, set[str]] = field(default_factory=dict)
    """By incident, what it was ever taken for first of all."""

    def among(self, episodes: Sequence[Episode]) -> set[int]:
        """The incidents that some alerts are in."""
        ids = (one.alert.alert_id for one in episodes)
        return {self.incident[alert] for alert in ids if alert in self.incident}

    def told(self, episodes: Sequence[Episode]) -> int:
        """How many messages the incidents of some alerts made."""
        return sum(self.messages[one] for one in self.among(episodes))


def incidents_of(replay: Replay, past: Past) -> Cases:
    """Looked at whenever an alert begins, changes its level or returns, as a tick does; what lies beside the alerts is
    left out, which orders causes and joins hardly anything."""
    causes, pipework, wet = load_causes(), _pipework(replay), wet_of(past)
    episodes = sorted(_risk(replay), key=lambda one: (one.raised_at, one.alert.alert_id))
    cases, standing, merged = Cases(), dict[int, OpenIncident](), dict[int, int]()
    for now in sorted({moment for one in episodes for moment in _moments(one)}):
        known = [one for one in episodes if one.raised_at <= now]
        live = [
            one for one in known if _is_open(one, now) or _last(cases.incident.get(_id(one), 0), merged) in standing
        ]
        members = [
            _member(replay, one, now, _last(cases.incident.get(_id(one), 0), merged), standing, wet) for one in live
        ]
        _carry_out(plan(members, list(standing.values()), causes, pipework), cases, standing, merged, now)
    cases.incident = {alert: _last(found, merged) for alert, found in cases.incident.items()}
    return cases


def _moments(episode: Episode) -> set[float]:
    """When something of it changes."""
    ends = set() if episode.returned_at is None else {episode.returned_at}
    return {episode.raised_at, *(since for since, _ in episode.levels), *ends}


def _id(episode: Episode) -> int:
    return episode.alert.alert_id


def _is_open(episode: Episode, now: float) -> bool:
    return episode.returned_at is None or episode.returned_at > now


def _carry_out(made: Plan, cases: Cases, standing: dict[int, OpenIncident], merged: dict[int, int], now: float) -> None:
    """What storage does with a plan; messages of what was merged count where it went."""
    for opening in made.openings:
        new = max(cases.messages, default=0) + 1
        cases.incident |= dict.fromkeys(opening.alerts, new)
        cases.messages[new] = 1
        cases.taken_for[new] = _first(opening.causes)
        standing[new] = OpenIncident(
            new, 1, opening.level, opening.networks, opening.causes, opening.lead, now, opening.phase
        )
    for change in made.changes:
        kept = change.incident.incident_id
        cases.incident |= dict.fromkeys(change.new, kept)
        merged |= dict.fromkeys(change.merged, kept)
        cases.messages[_last(kept, merged)] += change.message is not None
        cases.taken_for[kept] |= _first(change.causes)
        if change.closed:
            standing.pop(kept, None)
        else:
            standing[kept] = replace(
                standing[kept], level=change.level, networks=change.networks, causes=change.causes, lead=change.lead,
                phase=change.phase,
            )  # fmt: skip


def _first(causes: Sequence[JsonObject]) -> set[str]:
    return {str(one["cause"]) for one in causes[:1]}


def wet_of(past: Past) -> Callable[[float], bool]:
    """Whether an alert that began at a moment is wet, as the casebook says it: all gauges of the town are near."""
    gauges = [place for place, one in enumerate(past.town.instruments) if one.quantity == RAIN]
    rain = np.nanmean(past.values[:, gauges], axis=1)

    def at(first_seen: float) -> bool:
        until = (first_seen // MOMENT_S + 1) * MOMENT_S
        rows = (past.times > until - RAIN_SPAN_S) & (past.times <= until)
        spans = np.diff(past.times[rows], prepend=until - RAIN_SPAN_S)
        return float((rain[rows] * spans).sum()) / 3600 >= WET_MM

    return at


def _last(incident: int, merged: Mapping[int, int]) -> int:
    while incident in merged:
        incident = merged[incident]
    return incident


def _risk(replay: Replay) -> list[Episode]:
    return [one for one in replay.book.episodes.values() if one.alert.kind is AlertKind.RISK]


def _pipework(replay: Replay) -> Pipework:
    joints = [
        (asset.asset_id, end)
        for asset in replay.detection.topology.assets.values()
        for end in (asset.from_asset, asset.to_asset)
        if end is not None
    ]
    return Pipework(np.array(joints, np.int64).reshape(-1, 2).T, 31.86)


def _member(
    replay: Replay,
    episode: Episode,
    now: float,
    incident: int,
    standing: Mapping[int, object],
    wet: Callable[[float], bool],
) -> Member:
    alert = episode.alert
    rows = {row.sensor_id: row for row in replay.detection.inventory.rows}
    row = rows.get(alert.subject.id) if alert.subject.kind is SubjectKind.SENSOR else None
    asset = replay.detection.topology.assets.get(row.asset_id or 0) if row else None
    return Member(
        alert.alert_id,
        alert.rule,
        row.network if row else "",
        episode.level_at(now),
        episode.first_seen,
        incident_id=incident if incident in standing else 0,
        quantity=row.quantity if row else "",
        open=_is_open(episode, now),
        asset_id=(row.asset_id or 0) if row else 0,
        asset_kind=asset.kind if asset else "",
        longitude=row.longitude if row else None,
        latitude=row.latitude if row else None,
        wet=wet(episode.first_seen),
        rules=tuple(sorted(rule for rule, since in episode.rules.items() if since <= now)),
        origin=str((alert.evidence.get("origin") or {}).get("verdict", "")),
    )
