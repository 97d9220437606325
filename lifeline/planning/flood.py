"""Ponding in a SWMM model: from the first rain until no water stands any more, through the repair of what was lost."""

import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lifeline.errors import ConfigurationError, LifelineError
from lifeline.planning import Progress
from lifeline.planning.storm import MOST_H, STEP_MIN, Ponding
from lifeline.risk.assets import Floats

DRY_H = 1.0
"""It is over when no water stood anywhere for so long after the rain: what still flows may come out yet (default)."""
STANDS_M, FLOWS_OUT_M3S = 0.01, 1e-6
"""Water stands where it is so deep, or where so much comes out (default)."""
PONDS_M2 = 1000.0
"""Street around a manhole on which its water stands, where the model gives it no area (default)."""
FEET, STEP_H = 0.3048, STEP_MIN / 60.0
_CUBIC_METRES = {"CFS": 0.0283168, "GPM": 6.30902e-5, "MGD": 0.0438126, "CMS": 1.0, "LPS": 1e-3, "MLD": 0.0115741}


class Mended(NamedTuple):
    """The model of the same nodes and links from the hour on at which what was lost is back."""

    text: str
    hour: float


def in_swmm(
    text: str, rain_mm_h: Floats, *, mended: Mended | None = None, most_hours: float = MOST_H,
    progress: Progress | None = None,
) -> Ponding:  # fmt: skip
    """Ponding at each node of a SWMM model under that rain, until no water stands.

    What comes out stands around its manhole and runs back when there is room (SWMM's ponding), save where the cover is
    bolted down (a surcharge depth). Raises LifelineError where SWMM refuses the model.
    """
    try:
        import pyswmm  # noqa: F401 - told at once, with what to install
    except ImportError as error:
        raise ConfigurationError("SWMM needs the extra: pip install 'lifeline[planning]'") from error
    flood = _Flood(rain_mm_h, most_hours, progress)
    with tempfile.TemporaryDirectory(prefix="lifeline-swmm-") as folder:
        state = Path(folder, "state.hsf")
        try:
            if mended is None or mended.hour >= most_hours:
                flood.run(Path(folder, "model.inp"), text)
            else:
                flood.run(Path(folder, "model.inp"), text, until=mended.hour, save=state)
                flood.run(Path(folder, "mended.inp"), mended.text, load=state)
        except Exception as error:  # pyswmm raises plain exceptions of its own
            raise LifelineError(f"SWMM refuses the model: {error}") from error
    return flood.ponding()


class _Flood:
    """What stood where and for how long, over one run of the model or two that follow each other."""

    def __init__(self, rain_mm_h: Floats, most_hours: float, progress: Progress | None) -> None:
        self._rain, self._progress = rain_mm_h, progress
        self._steps = max(int(most_hours / STEP_H), len(rain_mm_h))
        self._step, self._dry_after = 0, 0.0
        self._names: list[str] = []
        self._hours = self._volume = np.zeros(0)
        self._wet = np.zeros(0, np.bool_)

    def ponding(self) -> Ponding:
        return Ponding(self._names, self._hours, self._volume, self._dry_after, int(self._wet.sum()))

    def run(
        self, path: Path, text: str, *, until: float | None = None, save: Path | None = None, load: Path | None = None
    ) -> None:
        """From where it stands to the hour ``until``, or else until it is dry; ``load`` and ``save`` are its state."""
        from pyswmm import Nodes, RainGages, Simulation

        path.write_text(f"{text}\n[OPTIONS]\nALLOW_PONDING YES\n", encoding="utf-8")
        last = self._steps if until is None else min(self._steps, round(until / STEP_H))
        with Simulation(str(path)) as simulation:
            nodes, gages = list(Nodes(simulation)), list(RainGages(simulation))
            covers = _covers(simulation, nodes)
            if not self._names:
                self._names = [str(node.nodeid) for node in nodes]
                self._hours, self._volume = np.zeros(len(nodes)), np.zeros(len(nodes))
            if load is not None:
                simulation.use_hotstart(str(load))
            simulation.start_time = simulation.start_time + timedelta(hours=self._step * STEP_H)
            simulation.end_time = simulation.start_time + timedelta(hours=(last - self._step + 1) * STEP_H)
            simulation.step_advance(int(STEP_MIN * 60))
            for _ in simulation:
                self._look(simulation, nodes, gages, covers)
                if self._step >= last or (until is None and self._is_over()):
                    break
            if save is not None:
                simulation.save_hotstart(str(save))

    def _look(self, simulation: Any, nodes: list[Any], gages: list[Any], covers: Floats) -> None:
        """One step is done: what stands, and the rain of the next, a step late: SWMM takes none before it has begun."""
        us = str(simulation.system_units) == "US"
        flooding = np.array([node.flooding for node in nodes]) * _CUBIC_METRES[str(simulation.flow_units)]
        depth = np.array([node.depth for node in nodes]) * (FEET if us else 1.0)
        self._wet = (flooding > FLOWS_OUT_M3S) | (depth > covers + STANDS_M)
        self._step += 1
        self._hours += self._wet * STEP_H
        self._volume += flooding * STEP_MIN * 60.0
        if self._wet.any():
            self._dry_after = self._step * STEP_H
        rain = float(self._rain[self._step - 1]) if self._step <= len(self._rain) else 0.0
        for gage in gages:
            gage.total_precip = rain / 25.4 if us else rain
        if self._progress is not None:
            self._progress(self._step / self._steps, "water stands" if self._wet.any() else "no water stands")

    def _is_over(self) -> bool:
        rained = len(self._rain) * STEP_H
        return self._step * STEP_H >= max(rained, self._dry_after) + DRY_H


def _covers(simulation: Any, nodes: list[Any]) -> Floats:
    """Depth (n,) in metres above which water stands on the street; gives an area to manholes that have none."""
    metres = FEET if str(simulation.system_units) == "US" else 1.0
    for node in nodes:
        if node.is_junction() and node.surcharge_depth == 0 and node.ponding_area == 0:
            node.ponding_area = PONDS_M2 / metres**2
    return np.array([node.full_depth * metres if node.ponding_area > 0 else np.inf for node in nodes], dtype=np.float64)
