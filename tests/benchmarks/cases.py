"""The alerts of a replay as incidents, grouped by the product's own rules in the order in which they came."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from alerts.casebook import MOMENT_S, RAIN_SPAN_S, WET_MM
from alerts.causes import Member, load_causes
from alerts.incidents import plan
from alerts.pipework import Pipework
from alerts.replay import Episode, Replay
from lifeline.model import AlertKind, SubjectKind
from lifeline.storage.baselines import RAIN
from lifeline.storage.incidents import OpenIncident
from tests.benchmarks.plays import Past


def incidents_of(replay: Replay, past: Past) -> Mapping[int, int]:
    """The incident of each risk alert, by alert id. Looked at whenever an alert begins; what lies beside the alerts is
    left out, which orders causes and joins hardly anything."""
    causes, pipework, wet = load_causes(), _pipework(replay), wet_of(past)
    episodes = sorted(_risk(replay), key=lambda one: (one.raised_at, one.alert.alert_id))
    incident: dict[int, int] = {}
    open_incidents: dict[int, OpenIncident] = {}
    merged: dict[int, int] = {}
    for number, episode in enumerate(episodes):
        now = episode.raised_at
        so_far = [one for one in episodes[: number + 1] if one.raised_at <= now]
        members = [
            _member(replay, one, now, incident.get(one.alert.alert_id, 0), open_incidents, wet) for one in so_far
        ]
        made = plan(members, list(open_incidents.values()), causes, pipework)
        for opening in made.openings:
            new = len(merged) + len(open_incidents) + max(incident.values(), default=0) + 1
            incident |= dict.fromkeys(opening.alerts, new)
            open_incidents[new] = OpenIncident(
                new, 1, opening.level, opening.networks, opening.causes, opening.lead, now
            )
        for change in made.changes:
            kept = change.incident.incident_id
            incident |= dict.fromkeys(change.new, kept)
            for other in change.merged:
                merged[other] = kept
            if change.closed:
                open_incidents.pop(kept, None)
    return {alert: _last(found, merged) for alert, found in incident.items()}


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
        episode.worst,
        episode.first_seen,
        incident_id=incident if incident in standing else 0,
        quantity=row.quantity if row else "",
        open=episode.returned_at is None or episode.returned_at > now,
        asset_id=(row.asset_id or 0) if row else 0,
        asset_kind=asset.kind if asset else "",
        longitude=row.longitude if row else None,
        latitude=row.latitude if row else None,
        wet=wet(episode.first_seen),
        rules=tuple(sorted(rule for rule, since in episode.rules.items() if since <= now)),
        origin=str((alert.evidence.get("origin") or {}).get("verdict", "")),
    )


def counted(incident: Mapping[int, int], episodes: Sequence[Episode]) -> int:
    """How many incidents some alerts are in."""
    return len({incident[one.alert.alert_id] for one in episodes if one.alert.alert_id in incident})
