"""Detection: what is found in simulated cities and on public data with one set of defaults, and how fast it is.

``python -m tests.benchmarks detection``. pyod and river are compared with where they are installed.
"""

import importlib.util
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from alerts import labelled, scoring, tables
from alerts.detectors import charts, health, residual, rolling, seasonal
from tests.benchmarks import phenomena
from tests.benchmarks.report import Row, print_rows

DATA = Path(__file__).parents[3] / "shared" / "data"
SAMPLES = 60
SIZES = (10_000, 30_000, 100_000)
GROUP = 50
LIMIT_S = 2.0
TREES_OF = 20
"""river takes most of an hour for 100,000 sensors: measured on so many and multiplied, a model per sensor each."""

BATADAL = tables.Mapping(
    DATA / "batadal",
    time="DATETIME",
    time_format="%d/%m/%y %H",
    label="ATT_FLAG",
    learn=("dataset03.csv",),
    judge=("dataset04.csv",),
)
SKAB = tables.Mapping(
    DATA / "skab",
    time="datetime",
    delimiter=";",
    ignore=frozenset({"changepoint"}),
    label="anomaly",
    anomalous=frozenset({"1.0"}),
    judge=("valve2/*.csv",),
    learn_rows=400,
)
SKAB_FREE = tables.Mapping(
    DATA / "skab",
    time="datetime",
    delimiter=";",
    ignore=frozenset({"changepoint"}),
    label="anomaly",
    anomalous=frozenset({"1.0"}),
    learn=("anomaly-free.csv",),
    judge=("valve2/*.csv",),
)


def public_data() -> Iterator[Row]:
    """Scores with the product's defaults, each beside a plain z at its best limit."""
    if not DATA.is_dir():
        print(f"public data skipped: {DATA} is missing")
        return
    found = labelled.compare(BATADAL)
    s, plain = scoring.batadal(found.truth, found.alarm), labelled.best_plain(found, "s")
    reached = s.s >= 0.86 or (s.s >= 0.79 and s.true_negative_rate >= 0.98)
    yield _versus_plain("BATADAL dataset04, S", s.s, "S", plain, ">= 0.86, plain", reached)
    yield Row("BATADAL dataset04, TNR", s.true_negative_rate, "share")
    yield Row("BATADAL dataset04, attacks found of 7", scoring.score(found.truth, found.alarm).events_found, "attacks")
    for name, mapping in (("first 400 rows", SKAB), ("anomaly-free.csv", SKAB_FREE)):
        found = labelled.compare(mapping)
        f1, plain = scoring.score(found.truth, found.alarm).f1, labelled.best_plain(found, "f1")
        yield _versus_plain(f"SKAB valve2 after {name}, F1", f1, "F1", plain, ">= 0.78, plain", f1 >= 0.78)
        if found.relearned:
            yield Row("- files learned anew: another operating point", found.relearned, f"of {found.files}")


def _versus_plain(what: str, value: float, unit: str, plain: tuple[float, str], limit: str, ok: bool) -> Row:
    best, how = plain
    return Row(what, value, unit, f"plain z {best:.3f} ({how})", value / best, limit, ok and value >= best)


def speed() -> Iterator[Row]:
    """Processor seconds per call over 60 samples, 2 % gaps."""
    for sensors in SIZES:
        values, times = window(sensors)
        last = sensors == SIZES[-1]
        for name, call in detectors(values, times).items():
            seconds = _seconds(call)
            yield Row(
                f"{name}, {sensors:,} sensors x {SAMPLES}",
                seconds,
                "s",
                f"{seconds / values.size * 1e6:.3f} us a point",
                limit=f"< {LIMIT_S:g} s" if last else "",
                ok=seconds < LIMIT_S if last else None,
            )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    yield Row("peak memory of all of these in one process", peak, "GB", limit="< 2 GB", ok=peak < 2)


def window(sensors: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise with gaps, a reading a minute."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=(SAMPLES, sensors))
    values[rng.random(values.shape) < 0.02] = np.nan
    return values, 1.7e9 + 60.0 * np.arange(SAMPLES)


def detectors(values: np.ndarray, times: np.ndarray) -> dict[str, Callable[[], object]]:
    """The calls of a tick. Each group of the residual has fifty sensors, as a DMA or a station has."""
    sensors = values.shape[1]
    slots = (48, sensors)
    season = seasonal.Seasonal(np.zeros(slots), np.ones(slots), np.full(slots, 99), 3600.0, 0.0)
    history = np.random.default_rng(2).normal(size=(1000, GROUP))
    model = residual.learn(history, 1.7e9 + 60.0 * np.arange(1000))
    groups = [(np.arange(left, left + GROUP), model) for left in range(0, sensors, GROUP)]
    ones = np.ones(sensors)

    def check_health() -> None:
        health.flatline(values, 0.01, ones)
        health.noise(values, ones, 0.01)
        health.impossible_rate(values, times, ones)

    return {
        "seasonal robust z": lambda: seasonal.z_scores(season, values, times),
        "EWMA": lambda: charts.episodes(np.abs(charts.ewma(values)) / 0.8),
        "CUSUM": lambda: charts.cusum(values, clip=4.0),
        "multi-sensor residual": lambda: residual.judge_groups(groups, rolling.carried(values, times, 900.0), times),
        "slope over 15 min": lambda: rolling.slope(values, times, 900.0),
        "flatline, noise, impossible rate": check_health,
    }


def _seconds(call: Callable[[], object]) -> float:
    """Seconds of processor: other work on the machine does not count."""
    begin = time.process_time()
    call()
    return time.process_time() - begin


def rivals() -> Iterator[Row]:
    """pyod IForest and river HalfSpaceTrees on the same matrix."""
    values, times = window(SIZES[-1])
    own = sum(_seconds(call) for call in detectors(values, times).values())
    values = np.nan_to_num(values)
    yield Row(f"all of Lifeline's generic detectors, {SIZES[-1]:,} sensors x {SAMPLES}", own, "s")
    for name, module, measure in (
        ("pyod IForest, one for all sensors", "pyod", _isolation_forest),
        (f"river HalfSpaceTrees, one per sensor, scaled from {TREES_OF} sensors", "river", _half_space_trees),
    ):
        if importlib.util.find_spec(module) is None:
            print(f"{module} skipped: not installed")
            continue
        seconds = measure(values)
        yield Row(name, seconds, "s", "all of Lifeline's", seconds / own)


def _isolation_forest(values: np.ndarray) -> float:
    """One forest over all sensors as points of sixty features: the quickest way to use it."""
    from pyod.models.iforest import IForest

    def call() -> None:
        IForest(random_state=1).fit(values.T)

    return _seconds(call)


def _half_space_trees(values: np.ndarray) -> float:
    """A model per sensor, fed one reading after the other."""
    from river.anomaly import HalfSpaceTrees

    def call() -> None:
        for column in values[:, :TREES_OF].T.tolist():
            trees = HalfSpaceTrees(seed=1)
            for value in column:
                trees.score_one({"x": value})
                trees.learn_one({"x": value})

    return _seconds(call) * values.shape[1] / TREES_OF


def main() -> bool:
    """False when a limit was missed."""
    good = print_rows("Simulated cities, the rules that ship", phenomena.rows())
    good = print_rows("Detection on public data, one set of defaults", public_data()) and good
    good = print_rows("Speed of the generic detectors, seconds of processor", speed()) and good
    return print_rows("Beside other libraries, seconds of processor", rivals()) and good
