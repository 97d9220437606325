"""Which alerts are one event, and what becomes of the incidents that are open. Pure.

Two alerts are one event where one cause explains both and its reach in space, network and time covers both (causes.py).
Groups are what chains of such pairs join: they depend on the alerts alone and not on the order in which these came.
An open incident holds its alerts together, so that it may merge with another and never splits.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from alerts.causes import Cause, Member, Ranking, Sorted
from alerts.pipework import Pipework
from alerts.proximity import Floats, Groups, join_across, join_in_time, join_near, plane
from lifeline.model import JsonObject, Level
from lifeline.storage.incidents import Change, OpenIncident, Opening


@dataclass(frozen=True, slots=True)
class Plan:
    """What a tick does to the incidents."""

    openings: list[Opening]
    changes: list[Change]


def group(members: Sequence[Member], causes: Sequence[Cause], topology: Pipework) -> list[list[int]]:
    """Positions of the open alerts that are one event, each group in order; every open alert is in exactly one."""
    groups = Groups(len(members))
    standing = [place for place, member in enumerate(members) if member.open]
    at = np.array([member.first_seen for member in members], float)
    x, y = plane(
        np.array([np.nan if member.longitude is None else member.longitude for member in members], float),
        np.array([np.nan if member.latitude is None else member.latitude for member in members], float),
        topology.latitude,
    )
    alike = Sorted(members)
    for cause in causes:
        covered = [place for place in alike.where(cause.covers) if members[place].open]
        if cause.along:
            others = [place for place in covered if members[place].network != cause.along]
            covered = [place for place in covered if members[place].network == cause.along]
            join_across(groups, covered, others, x, y, at, cause.apart_m, cause.within_s)
        join_near(groups, covered, x, y, at, cause.apart_m, cause.within_s)
        if cause.joined_m:
            for part in _by(covered, {place: topology.component(members[place].asset_id) for place in covered}):
                join_near(groups, part, x, y, at, cause.joined_m, cause.within_s)
        if cause.hops:
            _join_hops(groups, covered, members, at, cause, topology)
    for part in _by(standing, {place: members[place].incident_id or -1 for place in standing}):
        groups.join_all(part)
    return [found for found in groups if members[found[0]].open]


def _by(places: Iterable[int], keys: Mapping[int, int]) -> Iterable[list[int]]:
    """Places by their key; those whose key is -1 belong to none."""
    parts: dict[int, list[int]] = defaultdict(list)
    for place in places:
        if keys[place] != -1:
            parts[keys[place]].append(place)
    return parts.values()


def _join_hops(
    groups: Groups, covered: Sequence[int], members: Sequence[Member], at: Floats, cause: Cause, topology: Pipework
) -> None:
    """Join alerts of assets that few pipes lie between. Only assets with alerts are looked from."""
    on: dict[int, list[int]] = defaultdict(list)
    for place in covered:
        if members[place].asset_id:
            on[members[place].asset_id].append(place)
    for asset, here in on.items():
        for other in topology.within(asset, cause.hops):
            if asset <= other and (there := on.get(other)) is not None:
                join_in_time(groups, here if other == asset else [*here, *there], at, cause.within_s)


def plan(
    members: Sequence[Member],
    incidents: Sequence[OpenIncident],
    causes: Sequence[Cause],
    topology: Pipework,
    ranking: Ranking | None = None,
) -> Plan:
    """What to open, change, merge and close. ``incidents`` are those that are open, the oldest first; ``members`` the
    open risk alerts and all alerts of these incidents."""
    ranking = ranking or Ranking(causes)
    age = {incident.incident_id: number for number, incident in enumerate(incidents)}
    belonging: dict[int, list[Member]] = defaultdict(list)
    for member in members:
        if member.incident_id:
            belonging[member.incident_id].append(member)
    made = Plan([], [])
    busy: set[int] = set()
    for found in group(members, causes, topology):
        here = [members[place] for place in found]
        held = sorted({member.incident_id for member in here if member.incident_id in age}, key=age.__getitem__)
        busy.update(held)
        if not held:
            made.openings.append(_opening(here, ranking))
        else:
            _keep(made, [incidents[age[each]] for each in held], here, belonging, ranking)
    for incident in incidents:
        if incident.incident_id not in busy:
            made.changes.append(_end(incident, "closed", None))
    return made


def _opening(members: Sequence[Member], ranking: Ranking) -> Opening:
    lead = lead_of(members)
    ids = sorted(member.alert_id for member in members)
    first_seen = min(member.first_seen for member in members)
    return Opening(
        level_of(members), networks_of(members), ranking.of(members), lead.alert_id, first_seen, ids, phase_of(members)
    )


def _keep(
    made: Plan,
    held: Sequence[OpenIncident],
    here: Sequence[Member],
    belonging: Mapping[int, Sequence[Member]],
    ranking: Ranking,
) -> None:
    """The oldest of these incidents takes all of their alerts, and the new ones."""
    kept, merged = held[0], held[1:]
    whole = {member.alert_id: member for member in here}
    for incident in held:
        whole |= {member.alert_id: member for member in belonging[incident.incident_id]}
    new = sorted(member.alert_id for member in here if member.incident_id == 0)
    change = _change(kept, here, list(whole.values()), new, [each.incident_id for each in merged], ranking)
    if change is not None:
        made.changes.append(change)
    made.changes.extend(_end(incident, "merged", kept.incident_id) for incident in merged)


def _change(
    kept: OpenIncident,
    standing: Sequence[Member],
    whole: Sequence[Member],
    new: list[int],
    merged: list[int],
    ranking: Ranking,
) -> Change | None:
    level, lead, ranked, phase = level_of(standing), lead_of(standing), ranking.of(whole), phase_of(standing)
    networks, taker = networks_of(whole), taker_of(whole, kept.unattended_since)
    actions = ["absorbed"] * bool(merged) + ["grown"] * bool(new)
    if level != kept.level:
        actions.append("escalated" if level < kept.level else "deescalated")
    if phase != kept.phase:
        actions.append(_PHASES[phase])
    if _likeliest(ranked) != _likeliest(kept.causes):
        actions.append("explained")
    if taker:
        actions.append("acknowledged")
    same = (lead.alert_id, networks, ranked) == (kept.lead, kept.networks, kept.causes)
    if not actions and same:
        return None
    asks = "escalated" in actions or "raised_again" in actions
    return Change(
        kept,
        level,
        networks,
        ranked,
        lead.alert_id,
        min(member.first_seen for member in whole),
        actions,
        next((message for action, message in _TELLING if action in actions), None),
        new,
        merged,
        phase=phase,
        attention="asked" if asks else "taken" if taker else "kept",
        taker=taker,
    )


_PHASES = {"alarm": "raised_again", "muted": "muted", "returned": "returned"}
_TELLING = (
    ("escalated", "incident.updated"),
    ("raised_again", "incident.updated"),
    ("returned", "incident.cleared"),
    ("deescalated", "incident.updated"),
    ("absorbed", "incident.updated"),
    ("explained", "incident.updated"),
    ("acknowledged", "incident.acknowledged"),
)
"""What is told of an incident, the most important first. Alerts that only join it are told by nobody: it is known."""


def phase_of(members: Sequence[Member]) -> str:
    """``returned`` where no open alert is active, ``muted`` where all that are were silenced, else ``alarm``."""
    active = [member for member in members if member.open and member.active]
    if not active:
        return "returned"
    return "muted" if all(member.silent for member in active) else "alarm"


def taker_of(members: Sequence[Member], unattended_since: float | None) -> str:
    """Who was the last to acknowledge an alert since nobody attends to the incident; empty where nobody did."""
    if unattended_since is None:
        return ""
    acknowledged = [member for member in members if member.acknowledged_at >= unattended_since]
    return max(acknowledged, key=lambda each: each.acknowledged_at).acknowledged_by if acknowledged else ""


def _end(incident: OpenIncident, action: str, into: int | None) -> Change:
    return Change(
        incident,
        incident.level,
        incident.networks,
        incident.causes,
        incident.lead,
        incident.first_seen,
        [action],
        "incident.closed",
        closed=True,
        into=into,
        phase="returned" if into is None else incident.phase,
        attention="kept",
    )


def level_of(members: Sequence[Member]) -> Level:
    """The worst of the open alerts; those that are suppressed or out of service count where there are no others."""
    return min((member.muted, member.level) for member in members if member.open)[1]


def lead_of(members: Sequence[Member]) -> Member:
    """The worst open alert, of those the first: where to begin."""
    standing = (member for member in members if member.open)
    return min(standing, key=lambda each: (each.muted, each.level, each.first_seen, each.alert_id))


def networks_of(members: Iterable[Member]) -> tuple[str, ...]:
    """The networks of the alerts, in order."""
    return tuple(sorted({member.network for member in members}))


def _likeliest(causes: Sequence[JsonObject]) -> str:
    return str(causes[0]["cause"]) if causes else ""
