"""Standing risk: criticality beside serial wntr on the same links, and scoring a city of 100,000 segments.

``python -m tests.benchmarks standing``
"""

import json
import os
import shutil
import tempfile
import time
import tracemalloc
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

import numpy as np
import wntr

from lifeline import risk
from lifeline.planning.criticality import Closing
from lifeline.planning.hydraulics import Model, opened, read_model
from lifeline.planning.pool import map_over
from lifeline.planning.service import GraphService
from lifeline.planning.stress import Shaking
from lifeline.risk.assets import Inventory
from lifeline.risk.deterioration import shipped_deterioration
from lifeline.risk.reach import cut_off, topology
from tests.benchmarks.report import Row, print_rows

SERIAL_LINKS = 25
REFERENCE_A_MINUTE = 905 / 58 * 60
"""Pipes a minute on one core with EPANET run from files: the figure that this is held against."""
SEGMENTS = 100_000


def shipped(name: str) -> Path:
    return Path(str(resources.files("wntr.library.networks").joinpath(f"{name}.inp")))


def serial_wntr(path: Path, links: list[str], hours: int) -> tuple[float, list[float]]:
    """Seconds a link, and the share of the demand lost with each, by wntr with its files."""
    network = wntr.network.WaterNetworkModel(str(path))
    options = network.options
    options.hydraulic.demand_model, options.hydraulic.required_pressure = "PDA", 28 / 1.4219702
    options.hydraulic.minimum_pressure, options.time.duration = 0, hours * 3600
    folder = tempfile.mkdtemp(prefix="lifeline-bench-")
    prefix = str(Path(folder, "run"))

    def delivered() -> np.ndarray:
        found = wntr.sim.EpanetSimulator(network).run_sim(file_prefix=prefix)
        return found.node["demand"][network.junction_name_list].clip(lower=0).mean().to_numpy()

    intact = delivered()
    began, losses = time.perf_counter(), []
    for name in links:
        link = network.get_link(name)
        before, link.initial_status = link.initial_status, wntr.network.LinkStatus.Closed
        losses.append(1 - float(np.minimum(delivered(), intact).sum() / intact.sum()))
        link.initial_status = before
    seconds = (time.perf_counter() - began) / len(links)
    shutil.rmtree(folder)
    return seconds, losses


def criticality_rows(name: str, hours: int) -> list[Row]:
    """One network: all links in one process, all on the pool, and some with wntr."""
    model = read_model(shipped(name), hours)
    closing = Closing(model, (), ())
    pipes = set(wntr.network.WaterNetworkModel(str(shipped(name))).pipe_name_list)
    links = [each for each in opened(model).links if each in pipes]
    closing(links[0])
    began = time.perf_counter()
    losses = map_over(closing, links, workers=1)
    alone = len(links) / (time.perf_counter() - began)
    sample = list(range(0, len(links), max(1, len(links) // SERIAL_LINKS)))[:SERIAL_LINKS]
    seconds, wanted = serial_wntr(shipped(name), [links[at] for at in sample], hours)
    apart = max(abs(losses[at].share - one) for at, one in zip(sample, wanted, strict=True))
    cores = os.cpu_count() or 1
    began = time.perf_counter()
    shared = map_over(closing, links, workers=cores)
    pooled = len(links) / (time.perf_counter() - began)
    what = f"criticality of {name}, {len(links)} pipes, {hours} h"
    return [
        Row(f"{what}: one core", alone, "runs/s", f"serial wntr {1 / seconds:.1f}", alone * seconds, "> 3x",
            alone * seconds > 3),
        Row(f"{what}: a minute", alone * 60, "pipes/min", f"{REFERENCE_A_MINUTE:.0f}", alone * 60 / REFERENCE_A_MINUTE),
        Row(f"{what}: pool of {cores}, start included", pooled, "runs/s", "one core", pooled / alone),
        Row(f"{what}: furthest from wntr", apart, "share", "", None, "< 0.005", apart < 0.005),
        Row(f"{what}: pool differs", float(shared != losses), "", "", None, "0", shared == losses),
    ]  # fmt: skip


def inventory_of(n: int) -> Inventory:
    """A city of n pipes as columns."""
    rng = np.random.default_rng(1)
    names = [each.name for each in shipped_deterioration().classes]
    return Inventory(
        material=[names[at] for at in rng.integers(0, len(names), n)],
        age_years=rng.uniform(0, 90, n),
        diameter_mm=rng.choice([80.0, 100.0, 150.0, 200.0, 300.0, 600.0], n),
        customers=rng.integers(0, 2000, n).astype(float),
        critical=rng.random(n) < 0.02,
        network=[("water", "gas", "drainage")[at % 3] for at in range(n)],
        kind=["pipe"] * n,
        length_m=rng.uniform(10, 300, n),
        breaks=rng.poisson(0.1, n).astype(float),
        record_years=np.full(n, 12.0),
        loss=rng.random(n) ** 6,
    )


def scoring_rows(n: int) -> list[Row]:
    """Scoring with the parts of every score, its memory, and who is cut off in a grid of as many pipes."""
    assets = inventory_of(n)
    began = time.perf_counter()
    scored = risk.standing(assets)
    scores = time.perf_counter() - began
    began = time.perf_counter()
    listed = risk.parts(assets, scored)
    parts = time.perf_counter() - began
    wrong = max(
        abs(sum(part["points"] for part in each) - total) for each, total in zip(listed, scored.score, strict=True)
    )
    size = len(json.dumps(listed[0]))
    del listed
    tracemalloc.start()
    risk.standing(assets)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    reach_s, pipes = reach_of_grid(n)
    return [
        Row(f"standing risk of {n:,} segments", scores, "s", "", None, "< 1 s", scores < 1),
        Row(f"parts of {n:,} scores, about {size} bytes each", parts, "s", "", None, "< 10 s", parts < 10),
        Row("memory at the peak of scoring", peak / 2**20, "MB", "", None, "< 200 MB", peak < 200 * 2**20),
        Row("parts differ from the score by at most", wrong, "points", "", None, "< 1e-9", wrong < 1e-9),
        Row(f"who is cut off by each of {pipes:,} pipes of a grid", reach_s, "s", "", None, "< 10 s", reach_s < 10),
    ]


def reach_of_grid(n: int) -> tuple[float, int]:
    """Seconds for the dominators of a square grid of about n pipes, and how many there are."""
    side = int((n / 2) ** 0.5) + 1
    at = np.arange(side * side).reshape(side, side)
    a = np.concatenate([at[:, :-1].ravel(), at[:-1].ravel()])
    b = np.concatenate([at[:, 1:].ravel(), at[1:].ravel()])
    none = np.full(side * side, -1)
    kinds = ["tank", *["junction"] * (side * side - 1), *["pipe"] * len(a)]
    began = time.perf_counter()
    graph = topology("water", kinds, np.concatenate([none, a]), np.concatenate([none, b]))
    found = cut_off(graph, np.ones((graph.n, 1)))
    seconds = time.perf_counter() - began
    if not found.reached.all():
        raise RuntimeError("the grid hangs together, and something was not reached")
    return seconds, len(a)


def ltown_rows() -> list[Row]:
    """L-TOWN for an hour where its file is there: each pipe beside wntr's reference of 905 a minute."""
    path = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "ltown" / "L-TOWN.inp"
    if not path.is_file():
        print(f"L-TOWN left out: {path} is missing")
        return []
    model: Model = read_model(path, 0)
    links = opened(model).links
    closing = Closing(model, (), ())
    closing(links[0])
    began = time.perf_counter()
    map_over(closing, links, workers=1)
    rate = len(links) / (time.perf_counter() - began)
    reference = REFERENCE_A_MINUTE
    return [
        Row(
            f"criticality of L-TOWN, {len(links)} links, one moment",
            rate * 60,
            "links/min",
            f"{reference:.0f}",
            rate * 60 / reference,
        )
    ]


def shaking_rows(n: int, runs: int) -> list[Row]:
    """Monte Carlo runs of an earthquake on a square grid of about n pipes, one process, recovery included."""
    side = int((n / 2) ** 0.5) + 1
    at = np.arange(side * side).reshape(side, side)
    a = np.concatenate([at[:, :-1].ravel(), at[:-1].ravel()])
    b = np.concatenate([at[:, 1:].ravel(), at[1:].ravel()])
    none = np.full(side * side, -1)
    kinds = ["tank", *["junction"] * (side * side - 1), *["pipe"] * len(a)]
    graph = topology("water", kinds, np.concatenate([none, a]), np.concatenate([none, b]))
    weight = np.concatenate([np.ones(side * side), np.zeros(len(a))])
    rate = np.concatenate([np.zeros(side * side), np.full(len(a), 0.01)])
    hours = np.full(graph.n, 6.0)
    shaking = Shaking(GraphService(graph, weight), rate, 0.2, weight + 1e-3, hours, 4.0, 20)
    seeds = np.random.SeedSequence(1).spawn(runs)
    began = time.perf_counter()
    found = map_over(shaking, seeds, workers=1)
    seconds = (time.perf_counter() - began) / runs
    share = float(np.mean([each[0].share for each in found]))
    return [
        Row(f"earthquake on a grid of {len(a):,} pipes, one run with its recovery", seconds, "s", "", None, "< 5 s",
            seconds < 5),
        Row("share still served in it", share, "", "", None, "0..1", 0 < share <= 1),
    ]  # fmt: skip


def main() -> bool:
    print(f"{datetime.now(UTC):%Y-%m-%d}")
    rows = [*criticality_rows("Net3", 24), *criticality_rows("ky10", 0), *ltown_rows(), *scoring_rows(SEGMENTS)]
    rows += [*shaking_rows(10_000, 5), *shaking_rows(SEGMENTS, 2)]
    return print_rows("Standing risk and criticality", rows)
