"""Slow leaks of metered districts, from what was learned of each (detectors/night_flow, detectors/balance).

Night flow. CUSUM of the nights' minimum net inflow against the first clean nights of the history, so that a leak that
grows over weeks does not teach that it is normal. A night counts once it is over.

Balance. The mean over a day of inflow less outflow less what tanks took up, against what days were; where what leaves
is metered too, its share of supply. For gas and water alike. What runs more than usual is the leak's estimate, in m3/h.
"""

from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerts.detectors import balance, night_flow, robust
from alerts.districts import Net, net_of, nights_of
from alerts.knowledge import Columns, District, Known
from alerts.rules import Balance, NightFlow, Scored
from alerts.scene import Scene, Scores, judge, number, of_sensors
from lifeline.model import Finding, JsonObject

Floats = NDArray[np.float64]


class Metering(NamedTuple):
    """A district with the inventory's columns of its meters and tanks, and its last day: signed flows, levels."""

    known: Known
    district: District
    inlets: Columns
    flow: Floats
    level: Floats
    times: Floats

    @property
    def name(self) -> str:
        """External id of the zone; the number of its component, of a joined network."""
        return str(self.district.zone)

    def net(self) -> Net:
        """Net inflow and supply over the last day."""
        return net_of(self.flow, self.level, self.district.areas, self.times)


def _districts(rule: Scored, scene: Scene) -> list[Metering]:
    """The districts that the rule is for, all of whose sensors are there."""
    found = []
    for known in scene.knowledge.parts:
        for district in known.part.districts:
            inlets, tanks = known.group(district.inlets), known.group(district.tanks)
            if inlets is None or tanks is None or not rule.covers(scene.inventory.rows[inlets[0]].network):
                continue
            flow, times = scene.trend.values(inlets)
            flow[:, scene.sick[inlets] | scene.stuck[inlets]] = np.nan
            level = scene.trend.values(tanks)[0]
            found.append(Metering(known, district, inlets, flow * district.directions, level, times))
    return found


def detect_night_flow(rule: NightFlow, scene: Scene) -> list[Finding]:
    """A finding for the first inlet of each district whose nights rise."""
    found: list[Finding] = []
    for one in _districts(rule, scene):
        nights, clean = _nights(scene, one)
        taught = nights[clean][: night_flow.MIN_CLEAN_NIGHTS, None]
        told = night_flow.detect(nights[:, None], taught)
        unjudged = len(nights) <= len(taught)
        score = np.full((1, 1), np.nan if unjudged else told.score[-1, 0])
        evidence = partial(_nights_told, one.name, nights, robust.median(taught)[0] if len(taught) else np.nan, told)
        found += judge(rule, _scores(scene, one, score, evidence), scene)
    return found


def _scores(scene: Scene, one: Metering, score: Floats, evidence: partial[JsonObject]) -> Scores:
    return Scores(of_sensors(scene, one.inlets[:1]), score, np.array([scene.now.timestamp()]), evidence)


def _nights(scene: Scene, one: Metering) -> tuple[Floats, NDArray[np.bool_]]:
    """The nights that were stored, and those since; and which of them may teach."""
    district, offset_s = one.district, one.known.part.baseline.seasonal.utc_offset_s
    since = nights_of(one.flow, one.level, district.areas, one.times, offset_s)
    seen = scene.nights.setdefault(int(scene.inventory.sensor_ids[one.inlets[0]]), {})
    seen |= dict(zip(since.day.tolist(), since.flow[:, 0].tolist(), strict=True))
    newest = int(district.days.max(initial=-1))
    new = [seen[day] for day in sorted(seen) if day > newest]
    return np.append(district.nights, new), np.append(district.clean, np.zeros(len(new), np.bool_))


def _nights_told(zone: str, nights: Floats, usual: float, told: night_flow.NightFlow, _place: int) -> JsonObject:
    return {
        "quantity": "flow",
        "unit": "m3/h",
        "zone": zone,
        "value": number(nights[-1]) if len(nights) else None,
        "expected": number(usual),
        "leak_estimate": number(told.leak[-1, 0]) if len(nights) else None,
        "nights": [number(night) for night in nights[-7:]],
    }


def detect_balance(rule: Balance, scene: Scene) -> list[Finding]:
    """A finding for the first inlet of each district that took in more over the last day than days do."""
    found: list[Finding] = []
    for one in _districts(rule, scene):
        net, supply = one.net()
        usual, out = balance.Day(*one.district.usual.tolist()), bool((one.district.directions < 0).any())
        told = balance.judge_day(usual, net, supply, one.times, metered_out=out)
        quantity = scene.inventory.rows[int(one.inlets[0])].quantity
        evidence = partial(_balance_told, one.name, quantity, out, told)
        found += judge(rule, _scores(scene, one, np.full((1, 1), told.score), evidence), scene)
    return found


def _balance_told(zone: str, quantity: str, out: bool, told: balance.DayBalance, _place: int) -> JsonObject:
    return {
        "quantity": quantity,
        "unit": "m3/h",
        "zone": zone,
        "value": number(told.net),
        "expected": number(told.expected),
        "expected_by": "usual share of supply" if out else "usual days",
        "leak_estimate": number(max(told.excess, 0.0)),
    }
