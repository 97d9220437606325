"""Cities as hypothesis draws them, and their risk map by a plain loop over rows, following the rules by the letter."""

import json
import math
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

import h3
import numpy as np
from hypothesis import strategies as st

from api.ground import Ground, make_ground
from api.riskmap import RiskMap, build
from api.screens import cells
from lifeline import geo, risk
from lifeline.catalogue import shipped_catalogue
from lifeline.model import Level
from lifeline.risk.coupling import shipped
from lifeline.storage.riskmap import AssetRow, CellShare, Newest, OpenAlert, SensorPlace

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
CATALOGUE = shipped_catalogue()
MIDDLE = geo.cell_at(117.25, 31.85, 8)
PLACES: dict[int, list[tuple[str, float, float]]] = {}
"""By resolution: six neighbouring cells with the longitude and latitude of their middles."""
for _resolution in geo.RESOLUTIONS:
    _ring = sorted(h3.grid_disk(geo.cell_at(117.25, 31.85, _resolution), 1))[:6]
    PLACES[_resolution] = [(_cell, *reversed(h3.cell_to_latlng(_cell))) for _cell in _ring]
FINE = 10


PLACE = ("gas", "pipe")
COUPLED = [PLACE, ("water", "pipe"), ("drainage", "chamber"), ("drainage", "pipe"), ("gas", "regulator")]
"""Networks and kinds that couplings look at; all assets of a drawn city lie on the same line, at no distance."""
QUANTITIES = ["", "methane", "pressure", "level"]


def asset(
    number: int, lof: float | None, cof: float | None, *, joined: int = 0, place: tuple[str, str] = PLACE
) -> AssetRow:
    score = None if lof is None or cof is None else (lof * cof - 1) / 24 * 100
    parts = None if score is None else [{"part": "mean", "value": 0.07, "points": score}]
    longitude = 117.0 + number * 0.01
    box = (longitude, 31.8, longitude + 0.005, 31.81)
    line = '{"type":"LineString","coordinates":[[117.0,31.8],[117.01,31.81]]}'
    return AssetRow(number, f"A-{number}", *place, "", line, *box, joined, 0, lof, cof, score, parts)


class City:
    """Rows as hypothesis draws them, and the map that they make."""

    def __init__(
        self,
        assets: list[AssetRow],
        shares: list[CellShare],
        sensors: list[SensorPlace],
        ages: list[float | None],
        alerts: list[OpenAlert],
    ) -> None:
        self.assets, self.shares, self.sensors, self.ages, self.alerts = assets, shares, sensors, ages, alerts

    def ground(self) -> Ground:
        return make_ground(self.assets, dict.fromkeys(geo.RESOLUTIONS, self.shares), self.sensors, CATALOGUE)

    def newest(self) -> Newest:
        heard = [(s.sensor_id, a) for s, a in zip(self.sensors, self.ages, strict=True) if a is not None]
        ids, ages = zip(*sorted(heard), strict=True) if heard else ((), ())
        return Newest(np.array(ids, dtype=np.int64), NOW.timestamp() - np.array(ages, dtype=np.float64))

    def draw(self) -> RiskMap:
        return build(self.ground(), self.alerts, self.newest(), NOW)

    def heard(self) -> set[int]:
        return {
            each.sensor_id
            for each, age in zip(self.sensors, self.ages, strict=True)
            if age is not None and age <= (each.max_silence_s or CATALOGUE.quantities[each.quantity].max_silence_s)
        }


def features(drawn: RiskMap, resolution: int = FINE) -> dict[str, dict[str, Any]]:
    body = json.loads(cells(drawn, resolution).body)
    return {each["properties"]["cell"]: each["properties"] for each in body["features"]}


@st.composite
def cities(draw: st.DrawFn) -> City:
    n = draw(st.integers(0, 5))
    risks = st.none() | st.tuples(st.sampled_from([1.0, 1.5, 2.0, 3.5, 5.0]), st.sampled_from([1.0, 2.0, 4.0, 5.0]))
    assets = []
    for number in range(1, n + 1):
        lof, cof = draw(risks) or (None, None)
        place = draw(st.sampled_from(COUPLED))
        assets.append(asset(number * 10, lof, cof, joined=draw(st.integers(0, number - 1)) * 10, place=place))
    metres = st.sampled_from([0.0, 1.0, 10.0, 250.0])
    pairs = draw(st.lists(st.tuples(st.integers(0, 5), st.integers(1, max(n, 1))), unique=True, max_size=12))
    shares = [CellShare(at * 10, PLACES[FINE][cell][0], draw(metres)) for cell, at in sorted(pairs) if n]
    places = st.none() | st.integers(0, 5)
    sensors = []
    for number in range(1, draw(st.integers(0, 4)) + 1):
        place = draw(places)
        where = (None, None) if place is None else PLACES[FINE][place][1:]
        sensors.append(SensorPlace(number * 3, "methane", draw(st.sampled_from([None, 60.0])), *where))
    ages = [draw(st.sampled_from([None, 0.0, 59.0, 60.0, 61.0, 899.0, 901.0])) for _ in sensors]
    alerts = []
    for number in range(1, draw(st.integers(0, 4)) + 1):
        place = draw(places)
        where = (None, None) if place is None else PLACES[FINE][place][1:]
        on = draw(st.integers(0, n)) * 10
        returned = draw(st.sampled_from([None, None, NOW.timestamp() - 60, NOW.timestamp() - 7200]))
        still = returned is None or draw(st.booleans())
        more = returned, still, draw(st.sampled_from(QUANTITIES)), draw(st.integers(0, 2))
        alerts.append(OpenAlert(number, "rule", draw(st.sampled_from(list(Level))), on, *where, *more))
    return City(assets, shares, sensors, ages, sorted(alerts, key=lambda each: (each.level, each.alert_id)))


def naive_strength(alert: OpenAlert) -> float:
    """p of the alert's level, decayed since it returned to normal; tau is an hour."""
    age = 0.0 if alert.returned_at is None else NOW.timestamp() - alert.returned_at
    return risk.ALERT_LIKELIHOOD[alert.level] * math.exp(-age / 3600)


def naive_spread(source: AssetRow, first: str, assets: list[AssetRow]) -> dict[int, float]:
    """How likely a hazard gets from an asset to others that lie on it, by two couplings at most: every way."""
    couplings = shipped()
    reached: dict[int, float] = {}
    edge = [(source.asset_id, first, 1.0)]
    for _ in range(2):
        further = []
        for here, hazard, product in edge:
            for way in couplings.coupling:
                for other in assets:
                    fits = other.network in way.networks and other.kind in way.kinds and way.source == hazard
                    if fits and other.asset_id not in (here, source.asset_id) and product * way.likelihood >= 0.01:
                        further.append((other.asset_id, way.result, product * way.likelihood))
        for at, _, product in further:
            reached[at] = max(reached.get(at, 0.0), product)
        edge = further
    return reached


def naive_scores(city: City) -> dict[int, float]:
    """Noisy-OR one piece of evidence at a time, never below the cut of an alert that is open on the asset itself."""
    joined, rows = defaultdict(set), {each.asset_id: each for each in city.assets}
    for each in city.assets:
        for end in (each.from_asset, each.to_asset):
            if end:
                joined[each.asset_id].add(end)
                joined[end].add(each.asset_id)
    on = [alert for alert in city.alerts if alert.asset_id in rows]
    incidents = {alert.incident_id: [a for a in on if a.incident_id == alert.incident_id] for alert in on}
    hazards: dict[tuple[int, str], float] = {}
    for alert in on:
        source = rows[alert.asset_id]
        for onset in shipped().onset:
            if onset.meant_by(source.network, source.kind, alert.quantity):
                key = (alert.asset_id, onset.hazard)
                hazards[key] = 1 - (1 - hazards.get(key, 0.0)) * (1 - naive_strength(alert))
    scores = {}
    for at, each in rows.items():
        quiet, floor = 1.0, 0.0
        for alert in on:
            if alert.asset_id == at:
                quiet *= 1 - naive_strength(alert)
                floor = max(floor, risk.CUTS[alert.level] if alert.open else 0.0)
            elif alert.asset_id in joined[at]:
                quiet *= 1 - risk.NEIGHBOUR_WEIGHT * naive_strength(alert)
        for number, members in incidents.items():
            if number and at in {alert.asset_id for alert in members}:
                quiet *= 1 - 0.5 * (1 - 1 / len(members)) * max(map(naive_strength, members))
        for source_id in {source for source, _ in hazards}:
            ways = [
                hazards[source_id, hazard] * naive_spread(rows[source_id], hazard, city.assets).get(at, 0.0)
                for source, hazard in hazards
                if source == source_id
            ]
            quiet *= 1 - max(ways)
        likelihood = 1 - (1 - ((each.lof or 1.0) - 1) / 4) * quiet
        scores[at] = max(((1 + 4 * likelihood) * (each.cof or 1.0) - 1) / 24 * 100, floor)
    return scores


def naive_level(score: float) -> Level:
    return min(level for level in Level if score >= risk.CUTS[level])


def cells_of_alert(city: City, alert: OpenAlert) -> set[str]:
    if alert.longitude is not None and alert.latitude is not None:
        return {geo.cell_at(alert.longitude, alert.latitude, FINE)}
    return {share.cell for share in city.shares if share.asset_id == alert.asset_id}


def naive_cells(city: City) -> dict[str, dict[str, Any]]:
    """Each cell by the rules: worst of all, mean by length, unknown where nobody watches what would be the lowest."""
    scores, heard = naive_scores(city), city.heard()
    known = {each.asset_id for each in city.assets if each.score is not None}
    inside: dict[str, list[SensorPlace]] = defaultdict(list)
    for sensor in city.sensors:
        if sensor.longitude is not None and sensor.latitude is not None:
            inside[geo.cell_at(sensor.longitude, sensor.latitude, FINE)].append(sensor)
    told = {}
    names = {share.cell for share in city.shares} | set(inside)
    names = names.union(*(cells_of_alert(city, alert) for alert in city.alerts if alert.open))
    for cell in names:
        shares = [share for share in city.shares if share.cell == cell]
        here = [alert for alert in city.alerts if alert.open and cell in cells_of_alert(city, alert)]
        live = [sensor for sensor in inside[cell] if sensor.sensor_id in heard]
        worst = max([0.0, *(scores[s.asset_id] for s in shares), *(risk.CUTS[alert.level] for alert in here)])
        level = naive_level(worst).slug
        if level == "blue" and not here and (not live or (shares and not known & {s.asset_id for s in shares})):
            level = "unknown"
        length = sum(share.length_m for share in shares)
        weights = [(share.length_m if length else 1.0, scores[share.asset_id]) for share in shares]
        total = sum(weight for weight, _ in weights)
        told[cell] = {
            "level": level,
            "score": worst,
            "mean": sum(w * score for w, score in weights) / total if total else 0.0,
            "coverage": "live" if live else "silent" if inside[cell] else "none",
            "assets": len(shares),
            "length_m": length,
            "sensors": len(inside[cell]),
            "sensors_silent": len(inside[cell]) - len(live),
            "alerts": {each.slug: n for each in Level if (n := sum(alert.level == each for alert in here))},
            "bare": not shares and not inside[cell],
        }
    return told
