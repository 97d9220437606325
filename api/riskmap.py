"""The risk map: rows -> evidence -> live risk -> what each cell and pipe says.

    ground.load   the city as arrays (``Ground``): once per change of the inventory or of standing risk
    build         alerts and newest readings on that ground -> ``RiskMap``: once per change
    screens       the part that somebody looks at, as GeoJSON bytes with an ETag
    recorder      what changed, to the database: the map of any past moment

Three rules make the map honest:
1. A cell is as bad as the worst thing in it: the worst live score of its assets, and the worst open risk alert.
2. No data is unknown, never safe: where no sensor of a cell was heard in time and the level would be the lowest, the
   level is ``unknown``. A red stays red.
3. Every colour can be explained: each cell says its three main reasons, each segment its parts.

A drawing follows from the one before by what changed: an alert touches its asset, those that it is joined or coupled
to, and their cells. The city is drawn at once only on new ground.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

import numpy as np

from api.cells import LEVELS, UNKNOWN, AssetRisk, Cells, draw_cells, place_alerts, touched
from api.documents import Document
from api.ground import Bools, Ground, Ints
from lifeline import geo, risk
from lifeline.geo import Box
from lifeline.model import Level
from lifeline.risk import evidence
from lifeline.risk.coupling import Chain
from lifeline.risk.evidence import Kind
from lifeline.storage import riskmap as rows
from lifeline.storage.database import Connection
from lifeline.storage.riskmap import Newest, OpenAlert


@dataclass
class RiskMap:
    """One drawing of the map. It never changes; the next change makes a new one."""

    ground: Ground
    risk: AssetRisk
    cells: dict[int, Cells]
    alerts: list[OpenAlert]
    newest: Newest
    heard: Bools
    raised: Ints
    """Assets that there is live evidence on, ascending."""
    changed: Ints
    """Assets that stand otherwise than in the drawing before, ascending."""
    built_at: datetime
    data_as_of: float | None
    """The newest reading of any sensor of this ground, seconds since 1970."""
    follows: int | None = None
    """Number of the drawing that ``changed`` is the difference to; None: to nothing, all of it changed."""
    number: int = field(default_factory=itertools.count().__next__)
    served_from: datetime | None = None
    screens: dict[tuple[Box | None, int, bool], Document] = field(default_factory=dict)

    def counts(self) -> dict[str, dict[str, int]]:
        """How many cells (by resolution) and segments there are of each level."""
        found = {f"cells_{resolution}": count_levels(drawn.levels()) for resolution, drawn in self.cells.items()}
        return found | {"segments": count_levels(self.risk.level[self.ground.pipes])}

    def same_colours(self, other: "RiskMap | None") -> bool:
        """Whether a page that shows ``other``, the drawing before, would show the same with this one."""
        if other is None or other.ground is not self.ground:
            return False
        return not len(self.changed) and not any(drawn.changed for drawn in self.cells.values())

    @cached_property
    def chains(self) -> list[Chain]:
        """What may follow from what is happening, the greatest risk first."""
        found = [
            chain
            for asset, hazards in sources(self.ground, self.alerts, self.built_at).items()
            for hazard, strength in hazards.items()
            for chain in self.ground.surroundings.chains(asset, hazard, strength)
        ]
        return sorted(found, key=lambda each: (-each.risk, each.source, each.effect.id, each.end))


def read(connection: Connection, ground: Ground, now: datetime) -> tuple[list[OpenAlert], Newest]:
    """What changes all the time: the risk alerts that count, and when each sensor was heard last."""
    return read_alerts(connection, ground, now), rows.newest(connection)


def read_alerts(connection: Connection, ground: Ground, now: datetime) -> list[OpenAlert]:
    """The risk alerts that count."""
    return rows.risk_alerts(connection, now, evidence.forgotten_after_s(ground.scheme.decay_s))


def build(
    ground: Ground, alerts: list[OpenAlert], newest: Newest, now: datetime, before: RiskMap | None = None
) -> RiskMap:
    """Draw the map; on the same ground as ``before`` only what changed since."""
    earlier = before if before is not None and before.ground is ground else None
    heard = sensors_heard(ground, newest, now)
    raised = weigh(ground, alerts, now)
    state, moved = _stand(ground, raised, earlier)
    cells = {}
    for resolution, layer in ground.layers.items():
        placed = place_alerts(layer, ground, alerts)
        if earlier is None:
            cells[resolution] = draw_cells(layer, ground, state, heard, placed, None, None)
        else:
            told = np.flatnonzero(heard != earlier.heard)
            where = touched(layer, moved, told, placed, earlier.cells[resolution])
            cells[resolution] = draw_cells(layer, ground, state, heard, placed, earlier.cells[resolution], where)
    changed = _level(ground, state, cells[geo.RESOLUTIONS[1]], moved, earlier)
    as_of = last_heard(ground, newest).max(initial=-np.inf)  # of these sensors: another network's tell a scope nothing
    drawn = RiskMap(ground, state, cells, alerts, newest, heard, raised.asset, changed, now, None)
    drawn.data_as_of = float(as_of) if np.isfinite(as_of) else None
    if earlier is not None:
        drawn.follows = earlier.number
        drawn.screens = {} if len(changed) else earlier.screens
    return drawn


def sensors_heard(ground: Ground, newest: Newest, now: datetime) -> Bools:
    """Which sensors were heard within their longest silence."""
    return np.asarray(now.timestamp() - last_heard(ground, newest) <= ground.max_silence)


def last_heard(ground: Ground, newest: Newest) -> risk.Floats:
    """When each sensor of the ground was heard last, seconds since 1970; -inf: never."""
    ts = np.full(len(ground.sensor_ids), -np.inf)
    if len(newest.sensor_id):
        at = np.minimum(np.searchsorted(newest.sensor_id, ground.sensor_ids), len(newest.sensor_id) - 1)
        found = newest.sensor_id[at] == ground.sensor_ids
        ts[found] = newest.ts[at][found]
    return ts


def weigh(ground: Ground, alerts: list[OpenAlert], now: datetime) -> evidence.Raised:
    """Live risk of the assets that alerts bear upon: their own, joined ones, and those that trouble may spread to."""
    worst: dict[int, Level] = {}
    for each in alerts:
        at = ground.place_of(each.asset_id)
        if at is not None and each.open:
            worst[at] = min(each.level, worst.get(at, each.level))
    found = evidence.gather(_evidence(ground, alerts, now))
    return evidence.raise_scores(ground.lof, ground.cof, found, worst, ground.scheme.lowest)


def strengths(ground: Ground, alerts: list[OpenAlert], now: datetime) -> list[tuple[int, OpenAlert, float]]:
    """(asset, alert, strength) of every alert that hangs on an asset of this ground."""
    returned = np.array([np.nan if each.returned_at is None else each.returned_at for each in alerts], dtype=np.float64)
    left = evidence.decay(now.timestamp(), returned, ground.scheme.decay_s).tolist()
    placed = ((ground.place_of(each.asset_id), each, share) for each, share in zip(alerts, left, strict=True))
    return [
        (at, each, risk.ALERT_LIKELIHOOD[each.level] * share)
        for at, each, share in placed
        if at is not None and (share >= evidence.WEAKEST or each.open)
    ]


def sources(ground: Ground, alerts: list[OpenAlert], now: datetime) -> dict[int, dict[str, float]]:
    """By asset the hazards that its own alerts mean, each with how likely they make it."""
    found: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for at, each, strength in strengths(ground, alerts, now):
        for hazard in ground.surroundings.hazards(at, each.quantity):
            found[at][hazard].append(strength)
    return {
        at: {hazard: evidence.chance(np.array(each)) for hazard, each in hazards.items()}
        for at, hazards in found.items()
    }


def _evidence(ground: Ground, alerts: list[OpenAlert], now: datetime) -> Iterator[tuple[int, Kind, float]]:
    incidents: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for at, each, strength in strengths(ground, alerts, now):
        yield at, Kind.OWN, strength
        for neighbour in ground.joints.of(at).tolist():
            yield neighbour, Kind.JOINED, risk.NEIGHBOUR_WEIGHT * strength
        if each.incident_id:
            incidents[each.incident_id].append((at, strength))
    for members in incidents.values():
        strength = evidence.corroboration(np.array([each for _, each in members]))
        if strength > 0:
            yield from ((at, Kind.INCIDENT, strength) for at in {at for at, _ in members})
    for source, hazards in sources(ground, alerts, now).items():
        likeliest: dict[int, float] = defaultdict(float)
        for hazard, strength in hazards.items():
            for reach in ground.surroundings.reached(source, hazard):
                if reach.links:
                    likeliest[reach.asset] = max(likeliest[reach.asset], strength * reach.product)
        yield from ((at, Kind.COUPLED, strength) for at, strength in likeliest.items())


def _stand(ground: Ground, raised: evidence.Raised, before: RiskMap | None) -> tuple[AssetRisk, Ints]:
    """Live risk of every asset, levels still to come, and which assets have another score or parts than before."""
    if before is None:
        n = len(ground.ids)
        score, likelihood = ground.standing.copy(), (ground.lof - 1.0) / 4.0
        state = AssetRisk(score, np.zeros(n, dtype=np.int_), likelihood, np.zeros((n, len(Kind))))
        looked = np.arange(n)
    else:
        old = before.risk
        state = AssetRisk(old.score.copy(), old.level.copy(), old.likelihood.copy(), old.points.copy())
        looked = np.union1d(before.raised, raised.asset)
        state.score[before.raised] = ground.standing[before.raised]
        state.likelihood[before.raised] = (ground.lof[before.raised] - 1.0) / 4.0
        state.points[before.raised] = 0.0
    state.score[raised.asset] = raised.score
    state.likelihood[raised.asset] = raised.likelihood
    state.points[raised.asset] = raised.points
    if before is None:
        return state, looked
    other = (state.score[looked] != before.risk.score[looked]) | (
        state.points[looked] != before.risk.points[looked]
    ).any(axis=1)
    return state, looked[other]


def _level(ground: Ground, state: AssetRisk, middle: Cells, moved: Ints, before: RiskMap | None) -> Ints:
    """Set the levels of assets; the lowest is unknown where nobody watches. Gives the assets that changed."""
    layer = middle.layer
    if before is None:
        looked = moved
    else:
        watched = np.flatnonzero(middle.covered != before.cells[layer.resolution].covered)
        looked = np.union1d(moved, layer.assets.to[layer.assets.among(watched)[0]])
    position, owner = layer.of_asset.among(looked)
    covered = np.zeros(len(looked), dtype=bool)
    np.logical_or.at(covered, owner, middle.covered[layer.of_asset.to[position]])
    level = ground.scheme.levels(state.score[looked])
    level[(level == Level.BLUE) & ~(covered & ground.known[looked])] = UNKNOWN
    other = level != state.level[looked]
    state.level[looked] = level
    return np.union1d(moved, looked[other])


def count_levels(level: Ints) -> dict[str, int]:
    """How many there are of each level, by its name."""
    found = np.bincount(level, minlength=len(LEVELS))
    return {name: int(found[number]) for number, name in enumerate(LEVELS) if name}
