"""Who is served of a gas network while parts are out: pandapipes, with demand that gives way where pressure is low.

pandapipes takes what is drawn as given. What is drawn here follows from the pressure, as EPANET's does: all of it from
a share of the supply's pressure on, nothing below another, and by the root between (Wagner's form). The two are brought
together by turns; a state in which pressure is enough everywhere needs one solve.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any, ClassVar, NamedTuple

import numpy as np

from lifeline.errors import ConfigurationError
from lifeline.planning.course import Course
from lifeline.planning.service import NONE, steady_course
from lifeline.risk.assets import Floats, Ints

AIR_K = 285.0
KG_A_NORMAL_M3 = 0.717
"""Of methane at 0 Celsius and 1.01325 bar."""
TURNS, ENOUGH = 40, 0.005
"""Turns between pressure and demand, which end where less than this share of the demand still moves."""
SLOW = 0.9
"""The error has to fall to this share of itself in a turn, or steps are too long."""
GIVES_WAY = 0.7
"""Where there is no steady state at all, all demand is tried at this share of itself."""


class GasModel(NamedTuple):
    """A gas network of one pressure tier as columns; goes to workers.

    ``supply_bar`` (s,) is the gauge pressure behind each source; ``peak_m3h`` (n,) what each asset draws in the peak
    hour, normal cubic metres; pipes lead from ``tail`` to ``head``, places of assets, and are at ``pipe``, their own.
    """

    sources: tuple[int, ...]
    supply_bar: tuple[float, ...]
    peak_m3h: tuple[float, ...]
    pipe: tuple[int, ...]
    tail: tuple[int, ...]
    head: tuple[int, ...]
    length_m: tuple[float, ...]
    diameter_mm: tuple[float, ...]
    roughness_mm: float
    least_share: float
    full_share: float


@dataclass(frozen=True, slots=True)
class GasService:
    """A gas network by its pressures. A pipe that is out carries nothing, a node's pipes neither."""

    loses_water: ClassVar[bool] = False
    model: GasModel

    def unserved(self, out: Ints) -> Floats:
        """Share of its demand that each asset (n,) is without."""
        usual, left = self._delivered(NONE), self._delivered(out)
        return np.clip(1.0 - np.divide(left, usual, out=np.ones(len(usual)), where=usual > 0), 0.0, 1.0)

    def share(self, out: Ints, leaking: Ints = NONE) -> float:  # noqa: ARG002 - a leak is small beside a town's demand
        """Share of what is delivered with nothing out that is still delivered."""
        usual = float(self._delivered(NONE).sum())
        return min(float(self._delivered(out).sum()) / usual, 1.0) if usual > 0 else 1.0

    def course(self, out: Ints, leaking: Ints, done: Floats) -> Course:
        """Service as repairs are done; what pipes hold (line pack) lasts minutes and is not counted."""
        return steady_course(self, out, leaking, done)

    def _delivered(self, out: Ints) -> Floats:
        return _delivered(self.model, tuple(sorted(out.tolist())))


def gas_model(
    sources: Ints, supply_bar: Floats, peak_m3h: Floats, customers: Floats, ends: tuple[Ints, Ints], length_m: Floats,
    diameter_mm: Floats, table: Mapping[str, Any],
) -> GasModel | None:  # fmt: skip
    """The model of n assets, or None where one is missing: a source without a pressure, a pipe without a diameter.

    ``ends`` (n,) are the places of the assets at both ends (-1: none); ``supply_bar`` and ``peak_m3h`` (n,) are NaN
    where nothing is said: then a customer draws what the ``table`` says.
    """
    pipes = np.flatnonzero((ends[0] >= 0) & (ends[1] >= 0))
    bore, bar = diameter_mm[pipes], supply_bar[sources]
    if not len(sources) or not len(pipes) or not (bore > 0).all() or not (bar > 0).all():
        return None
    drawn = np.where(np.isnan(peak_m3h), customers * float(table["peak_m3h"]), peak_m3h)
    drawn[pipes] = 0.0
    if drawn.sum() <= 0:
        return None
    length = np.maximum(np.nan_to_num(length_m[pipes], nan=1.0), 0.1)
    return GasModel(
        tuple(sources.tolist()),
        tuple(bar.tolist()),
        tuple(drawn.tolist()),
        tuple(pipes.tolist()),
        tuple(ends[0][pipes].tolist()),
        tuple(ends[1][pipes].tolist()),
        tuple(length.tolist()),
        tuple(bore.tolist()),
        float(table["roughness_mm"]),
        float(table["least_share"]),
        float(table["full_share"]),
    )


@lru_cache(maxsize=256)
def _delivered(model: GasModel, out: tuple[int, ...]) -> Floats:
    """What each asset (n,) draws while these are out: normal m3/h."""
    net, pandapipes = _opened(model)
    peak, gone = np.array(model.peak_m3h), np.zeros(len(model.peak_m3h), np.bool_)
    gone[list(out)] = True
    working = ~(gone[list(model.pipe)] | gone[list(model.tail)] | gone[list(model.head)])
    feeding = ~gone[list(model.sources)]
    if not feeding.any():
        return np.zeros(len(peak))
    net.pipe["in_service"], net.ext_grid["in_service"] = working, feeding
    bar = float(np.array(model.supply_bar)[feeding].min())

    reached = ~gone

    def due(drawn: Floats) -> Floats | None:
        nonlocal reached
        pressure = _pressure(net, pandapipes, peak * drawn)
        if pressure is None:
            return None
        reached = ~gone & ~np.isnan(pressure)
        above = (pressure / bar - model.least_share) / (model.full_share - model.least_share)
        return np.where(reached, np.sqrt(np.clip(above, 0.0, 1.0)), drawn)  # what is cut off draws from nobody

    drawn = _balanced(due, np.ones(len(peak)), peak / peak.sum())
    return np.where(reached, peak * drawn, 0.0)


def _balanced(due: Callable[[Floats], Floats | None], drawn: Floats, weight: Floats) -> Floats:
    """The shares (n,) that are drawn where the pressures which they leave deliver just these.

    By damped turns: where the error (by ``weight``) does not fall or there is no steady state, with shorter steps.
    """
    step, error = 0.5, float("inf")
    held = wanted = np.zeros(len(drawn))
    for _ in range(TURNS):
        found = due(drawn)
        if found is None and np.isinf(error):
            drawn = drawn * GIVES_WAY
            continue
        off = float("inf")
        if found is not None:
            off, held, wanted = float((weight * np.abs(found - drawn)).sum()), drawn, found
            if off <= ENOUGH:
                break
        step = step if off < SLOW * error else step / 2
        error = min(error, off)
        drawn = held + step * (wanted - held)
    return held


def _pressure(net: Any, pandapipes: ModuleType, drawn_m3h: Floats) -> Floats | None:
    """Gauge pressure in bar at each asset (n,), NaN where no supply is reached; None where there is no steady state."""
    net.sink["mdot_kg_per_s"] = drawn_m3h * KG_A_NORMAL_M3 / 3600
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pandas' warnings about pandapipes' own code
            pandapipes.pipeflow(net, friction_model="nikuradse", mode="hydraulics", use_numba=False)
    except pandapipes.PipeflowNotConverged:
        return None
    found = net.res_junction["p_bar"].to_numpy(float, copy=True)
    return None if (found < 0).any() else found


@lru_cache(maxsize=2)
def _opened(model: GasModel) -> tuple[Any, ModuleType]:
    """The network in pandapipes, kept in this process."""
    pandapipes = _load()
    net = pandapipes.create_empty_network(fluid="hgas")
    count = len(model.peak_m3h)
    pandapipes.create_junctions(net, count, pn_bar=max(model.supply_bar), tfluid_k=AIR_K)
    for at, bar in zip(model.sources, model.supply_bar, strict=True):
        pandapipes.create_ext_grid(net, at, p_bar=bar, t_k=AIR_K, type="pt")
    pandapipes.create_pipes_from_parameters(
        net, list(model.tail), list(model.head), length_km=[each / 1000 for each in model.length_m],
        inner_diameter_mm=list(model.diameter_mm), k_mm=model.roughness_mm,
    )  # fmt: skip
    pandapipes.create_sinks(net, list(range(count)), mdot_kg_per_s=0.0)
    return net, pandapipes


def _load() -> ModuleType:
    """pandapipes, without what its import does to matplotlib's figures. Raises ConfigurationError where it is not."""
    try:
        from matplotlib.backend_bases import RendererBase

        drawing = RendererBase.new_gc
        import pandapipes
    except ImportError as error:
        raise ConfigurationError("gas by pressure needs the extra: pip install 'lifeline[planning]'") from error
    RendererBase.new_gc = drawing  # type: ignore[method-assign]
    loaded: ModuleType = pandapipes
    return loaded
