"""Bursts in L-TOWN (BattLeDIM's network, EPANET through wntr): found when, where, and with how many false alarms.

``python -m tests.benchmarks burst``. A week teaches; each burst begins on the fifth day of another week with other
demands, at a junction drawn at random. Sensors, inlets and 5 min steps are those of the competition.
"""

import importlib.util
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from alerts.detectors import burst, charts, residual, robust
from tests.benchmarks.report import Row, print_rows

INP = Path(__file__).parents[3] / "shared" / "data" / "ltown" / "L-TOWN.inp"
SENSORS = [
    f"n{number}"
    for number in (
        1, 4, 31, 54, 105, 114, 163, 188, 215, 229, 288, 296, 332, 342, 410, 415, 429, 458, 469, 495, 506, 516, 519,
        549, 613, 636, 644, 679, 722, 726, 740, 752, 769,
    )
]  # fmt: skip
INLETS = ["p227", "p235", "PUMP_1"]
DAYS, STEP_S = 7, 300.0
START = 4 * 288
SIZES_M3H = (15.0, 40.0)
BURSTS = 8
DEMAND_NOISE, PRESSURE_NOISE_M, FLOW_NOISE_M3H = 0.03, 0.05, 0.3


class Week(NamedTuple):
    """Pressures, inflows and times of a week, as an instrument with two digits reports them."""

    pressure: np.ndarray
    inflow: np.ndarray
    times: np.ndarray


def simulated(seed: int, junction: str | None = None, leak_m3h: float = 0.0) -> Week:
    """A week of L-TOWN with demands of its own, and a burst at a junction from the fifth day on."""
    import wntr

    rng = np.random.default_rng(seed)
    network = wntr.network.WaterNetworkModel(str(INP))
    network.options.time.duration = DAYS * 86400
    for _, pattern in network.patterns():
        shape = np.array(pattern.multipliers, dtype=float)
        if len(shape) > 100:
            pattern.multipliers = shape * (1 + rng.normal(0, DEMAND_NOISE, len(shape)))
    if junction is not None:
        network.add_pattern("burst", np.where(np.arange(DAYS * 288) >= START, 1.0, 0.0))
        network.get_node(junction).add_demand(leak_m3h / 3600, "burst")
    with tempfile.TemporaryDirectory() as folder:
        result = wntr.sim.EpanetSimulator(network).run_sim(file_prefix=f"{folder}/run")
    pressure = result.node["pressure"][SENSORS].to_numpy()
    inflow = result.link["flowrate"][INLETS].to_numpy() * 3600
    pressure = np.round(pressure + rng.normal(0, PRESSURE_NOISE_M, pressure.shape), 2)
    inflow = np.round(inflow + rng.normal(0, FLOW_NOISE_M3H, inflow.shape), 2)
    return Week(pressure, inflow, 1_767_571_200.0 + result.node["pressure"].index.to_numpy(dtype=float))


def rows() -> Iterator[Row]:
    """Delay, place and false alarms of the burst detector and of the generic residual beside it."""
    clean = simulated(0)
    model = burst.learn(clean.pressure, clean.inflow, clean.times, 0.01)
    generic = residual.learn(np.hstack([clean.pressure, clean.inflow]), clean.times, 0.01)
    places = _places()
    junctions = np.random.default_rng(5).choice(sorted(places), BURSTS, replace=False)
    for size in SIZES_M3H:
        delays, others, away, false = [], [], [], 0
        for number, junction in enumerate(junctions.tolist()):
            week = simulated(number + 1, junction, size)
            found = burst.detect(model, week.pressure, week.inflow, week.times)
            alarm = charts.episodes(found.score).any(axis=1)
            judged = residual.judge(generic, np.hstack([week.pressure, week.inflow]), week.times)
            other = charts.episodes(judged.score).any(axis=1)
            false += int(alarm[:START].any()) + int(other[:START].any())
            delays.append(_hours(alarm))
            others.append(_hours(other))
            first = int(np.nanargmax(burst.fall(model, found.residual, 288)))
            away.append(float(np.linalg.norm(places[SENSORS[first]] - places[junction])))
        label = f"{size:g} m3/h of {clean.inflow.sum(axis=1).mean():.0f}, {BURSTS} bursts"
        either = np.fmin(delays, others)
        missed = int(np.isnan(either).sum())
        yield Row(f"{label}: missed by both", missed, "bursts", limit="0", ok=missed == 0)
        for name, values in (("burst", delays), ("residual", others), ("the first of both", either.tolist())):
            yield Row(f"{label}: median delay, {name}", float(robust.median(np.array(values)[:, None])[0]), "h")
        yield Row(f"{label}: longest delay, the first of both", float(np.nanmax(either)), "h")
        yield Row(f"{label}: median distance of the sensor named first", float(np.median(away)), "m")
        yield Row(f"{label}: false alarms in the four days before", false, "of 16 weeks", limit="0", ok=false == 0)


def _places() -> dict[str, np.ndarray]:
    import wntr

    network = wntr.network.WaterNetworkModel(str(INP))
    return {name: np.array(network.get_node(name).coordinates) for name in network.junction_name_list}


def _hours(alarm: np.ndarray) -> float:
    found = np.flatnonzero(alarm[START:])
    return float(found[0]) * STEP_S / 3600 if len(found) else float("nan")


def main() -> bool:
    """False when a limit was missed."""
    if not INP.is_file() or importlib.util.find_spec("wntr") is None:
        print(f"bursts skipped: {INP} or wntr is missing")
        return True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # wntr's and pandas' own
        return print_rows("Bursts in L-TOWN", rows())
