"""Stress tests (情景推演): a storm, a loss, an earthquake; by engines where models are, else by the graph."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, Field

from lifeline.errors import ConfigurationError, NotFoundError
from lifeline.model import JsonObject
from lifeline.planning import Progress, flood, storm
from lifeline.planning.criticality import model_of
from lifeline.planning.gasflow import GasService, gas_model
from lifeline.planning.hydraulics import Model
from lifeline.planning.pool import map_over
from lifeline.planning.recovery import Recovery, recover, repair_hours
from lifeline.planning.service import FOLLOWED_H, GraphService, Service, epanet_service
from lifeline.risk.assets import Floats, Ints
from lifeline.risk.deterioration import shipped_deterioration
from lifeline.settings import load_settings
from lifeline.storage import health, standing
from lifeline.storage.database import Connection
from lifeline.storage.standing import Columns, Elements
from lifeline.storage.stress import store_test

INCHES_PER_CM = 1 / 2.54
ALA_SLOPE = 0.00187 * 1000 / 304.8
"""Repairs per km for each in/s of peak ground velocity and K1 = 1: 0.00187 per 1000 ft (ALA 2001)."""
LISTED = 20
NOTHING: Ints = np.empty(0, np.int_)
DRAINAGE, GAS = "drainage", "gas"


class Parameters(BaseModel):
    """Of a job of kind ``stress``."""

    kind: Literal["storm", "loss", "earthquake"]
    network: str = Field("water", description="For a storm: drainage.")
    asset: str | None = Field(None, description="Of a loss: the id of the pump station, tank, regulator or pipe.")
    years: float = Field(
        20,
        gt=1,
        le=1000,
        description="Return period of the storm, and of that which falls while pumps of drainage are out.",
    )
    pgv_cm_s: float = Field(30, gt=0, le=300, description="Peak ground velocity of the earthquake, cm/s.")
    runs: int = Field(200, ge=1, le=20_000, description="Monte Carlo runs of an earthquake.")
    seed: int = Field(1, ge=0, description="The same seed gives the same answer, on any number of workers.")
    crews: int = Field(5, ge=1, le=1000, description="Repair crews.")
    repair_hours: float | None = Field(
        None, gt=0, le=8760, description="Of a loss: hours until the asset is back; default by its kind and size."
    )
    hours: int = Field(FOLLOWED_H, ge=12, le=720, description="Hours after the shock that are followed at most.")
    graph: bool = Field(False, description="Use no model, even where one was imported.")


class City(NamedTuple):
    """A network as a stress test sees it: columns of n assets, who serves, and how long each takes to mend."""

    found: Columns
    elements: Elements
    service: Service
    rank: Floats
    hours: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Shaking:
    """One Monte Carlo run of an earthquake; goes to workers. ``rate`` (n,) is repairs expected of each asset."""

    service: Service
    rate: Floats
    broken: float
    rank: Floats
    hours: Floats
    leak_hours: float
    crews: int

    def __call__(self, seed: np.random.SeedSequence) -> tuple[Recovery, Ints, Ints]:
        """What happened, which assets were out, and which leak."""
        rng = np.random.default_rng(seed)
        repairs = rng.poisson(self.rate)
        breaks = rng.binomial(repairs, self.broken) > 0
        out, leaking = np.flatnonzero(breaks), np.flatnonzero((repairs > 0) & ~breaks)
        hours = self.hours.copy()
        hours[leaking] = self.leak_hours
        return recover(self.service, out, leaking, hours, self.rank, self.crews), out, leaking


@cache
def tables() -> Mapping[str, Any]:
    """The figures of stress.toml."""
    text = resources.files("lifeline.planning").joinpath("stress.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def city_of(
    connection: Connection, network: str, now: datetime, *, graph: bool, given: tuple[str, str] | None = None,
    hours: int = FOLLOWED_H,
) -> City:  # fmt: skip
    """By the model ``given`` (name, text), else the one that was imported; gas by what its assets say of themselves.

    Raises NotFoundError for a network of nothing.
    """
    found, elements = standing.columns(connection, now, [network]), standing.elements(connection, network)
    if not len(found.asset_id):
        raise NotFoundError(f"there is no asset of network {network!r}")
    service: Service | None = None
    if not graph and network == GAS and not given:
        service = _gas_service(connection, found)
    elif not graph and network != DRAINAGE:
        model = Model(*given, 0) if given else model_of(connection, network, 0)
        service = None if model is None else epanet_service(model, elements, _holes(found), hours)
    if service is None:
        weight, _ = standing.service_weights(found)
        service = GraphService(standing.graph_of(network, found), weight)
    kinds = [str(kind) for kind in found.inventory.kind]
    rank = standing.graph_criticality(network, found).loss
    return City(found, elements, service, rank, repair_hours(kinds, found.inventory.diameter_mm, tables()["repair"]))


def _holes(found: Columns) -> Floats:
    """Area (n,) in square metres of one leak in each asset."""
    bore_mm = np.nan_to_num(found.inventory.diameter_mm, nan=0.0)
    return np.asarray(np.pi * bore_mm / 1000 * float(tables()["earthquake"]["leak_gap_mm"]) / 1000)


def _gas_service(connection: Connection, found: Columns) -> GasService | None:
    """By pressure where every supply says its own and every pipe its diameter, else None."""
    graph = standing.graph_of(GAS, found)
    ends = standing.ends_of(found)
    bore = found.inventory.diameter_mm.copy()
    fittings = np.array([str(kind) != "pipe" for kind in found.inventory.kind])
    bore[fittings & np.isnan(bore)] = np.nanmax(bore, initial=1.0)  # what stands in a pipe is as wide as the widest
    supply_bar, peak_m3h = standing.gas_figures(connection, found.asset_id)
    weight = _customers_of(found)
    model = gas_model(
        graph.sources, supply_bar, peak_m3h, weight, ends, found.inventory.length_m, bore, tables()["gas"]
    )
    return None if model is None else GasService(model)


def loss(city: City, asset: str | None, crews: int, repair_hours: float | None = None) -> JsonObject:
    """What the loss of one asset does. Raises NotFoundError."""
    at = _place(city, asset)
    out, hours = np.array([at]), city.hours.copy()
    hours[at] = repair_hours or hours[at]
    found = recover(city.service, out, NOTHING, hours, city.rank, crews)
    unserved = city.service.unserved(out)
    return {
        **_figures([found]),
        "customers_without": round(float((_customers(city) * unserved).sum())),
        "critical_without": int((city.elements.critical & (unserved > 0.5)).sum()),
        "weakest": _listed(city, _customers(city) * unserved, "customers_without"),
    }


def earthquake(city: City, asked: Parameters, *, cluster: str | None = None, workers: int | None = None,
               progress: Progress | None = None) -> JsonObject:  # fmt: skip
    """Monte Carlo over pipes that break by material, K1 of ALA (2001), and the mean of what follows."""
    table = tables()["earthquake"]
    names = [each.name for each in shipped_deterioration().classes]
    chosen = shipped_deterioration().class_of(city.found.inventory.material)
    k = np.array([float(table["k"][names[at]]) for at in chosen], dtype=np.float64)
    pipes = np.array([kind == "pipe" for kind in city.found.inventory.kind])
    km = np.where(pipes, np.nan_to_num(city.found.inventory.length_m, nan=0.0), 0.0) / 1000.0
    rate = k * ALA_SLOPE * asked.pgv_cm_s * INCHES_PER_CM * km
    shaking = Shaking(city.service, rate, float(table["broken"]), city.rank, city.hours,
                      float(tables()["repair"]["leak"]), asked.crews)  # fmt: skip
    seeds = np.random.SeedSequence(asked.seed).spawn(asked.runs)
    runs = map_over(shaking, seeds, cluster=cluster, workers=workers, progress=progress, what="shaking")
    blame = np.zeros(len(rate))
    for result, out, leaking in runs:
        _blame(blame, out, 1.0 - result.worst - result.leaked, city.rank[out] + 1e-9)
        _blame(blame, leaking, result.leaked, np.nan_to_num(city.found.inventory.diameter_mm[leaking], nan=0.0) + 1e-9)
    return {
        **_figures([result for result, _, _ in runs]),
        "broken": float(np.mean([len(out) for _, out, _ in runs])),
        "leaking": float(np.mean([len(leaking) for _, _, leaking in runs])),
        "share_leaked": float(np.mean([result.leaked for result, _, _ in runs])),
        "weakest": _listed(city, blame / len(runs), "share_lost"),
    }


def storm_on(city: City, asked: Parameters, formula: Mapping[str, Any], text: str | None,
             progress: Progress | None = None) -> JsonObject:  # fmt: skip
    """Ponding under a storm of a return period: in a SWMM model (its ``text``), else by the rational method."""
    rain = storm.hyetograph(asked.years, formula)
    if text is None:
        found = _reckoned(city, rain, asked.hours)
    else:
        found = flood.in_swmm(text, rain, most_hours=asked.hours, progress=progress)
    hours, volume = _at_assets(found, city.elements.external_id if text is None else city.elements.element)
    return {
        **_rain(rain),
        **_ponding(city, found, hours),
        "recovery_hours": found.dry_after,
        "weakest": _listed(city, volume, "ponding_m3", hours),
    }


def pumping_lost(city: City, asked: Parameters, text: str, progress: Progress | None = None) -> JsonObject:
    """A pump, or all pumps that a chamber holds, out while a storm falls: ponding, and how much of it is due to that.

    They are back after the hours of repair, and all is followed until it is dry. Raises NotFoundError, and
    ConfigurationError where the SWMM model ``text`` has no such pump.
    """
    at = _place(city, asked.asset)
    pumps = storm.pumps_of(text, city.elements.element[at])
    rain, repair = storm.hyetograph(asked.years, tables()["storm"]), asked.repair_hours or float(city.hours[at])
    intact = flood.in_swmm(text, rain, most_hours=asked.hours)
    lost = flood.in_swmm(
        storm.without_pumps(text, pumps), rain, mended=flood.Mended(text, repair), most_hours=asked.hours,
        progress=progress,
    )  # fmt: skip
    names = city.elements.element
    (hours, volume), (usual_hours, usual) = _at_assets(lost, names), _at_assets(intact, names)
    wet = hours > usual_hours
    return {
        **_rain(rain),
        **_ponding(city, lost, hours),
        "ponding_hours_intact": float(intact.hours.sum()),
        "ponding_m3_intact": float(intact.cubic_metres.sum()),
        "pumps": sorted(pumps),
        "customers_without": round(float(_customers(city)[wet].sum())),
        "critical_without": int((city.elements.critical & wet).sum()),
        "mended_hours": repair,
        "recovery_hours": max(repair, lost.dry_after),
        "weakest": _listed(city, np.maximum(volume - usual, 0.0), "ponding_m3_more", hours),
    }


def run_test(connection: Connection, asked: Parameters, now: datetime, requested_by: str, *,
             given: tuple[str, str] | None = None, cluster: str | None = None, workers: int | None = None,
             progress: Progress | None = None) -> tuple[int, JsonObject]:  # fmt: skip
    """Compute and keep one stress test; its number and result. Raises NotFoundError, ConfigurationError.

    ``given``: name and text of a model to use instead of the one that was imported (SWMM for drainage, else EPANET).
    """
    network = DRAINAGE if asked.kind == "storm" else asked.network
    if given and network == GAS:
        raise ConfigurationError(f"{given[0]} has no part in this: gas is computed from what its assets say")
    city = city_of(connection, network, now, graph=asked.graph, given=given, hours=asked.hours)
    drains = None
    if network == DRAINAGE and not asked.graph:
        drains = given or standing.model(connection, network, "swmm")
    pumps = asked.kind == "loss" and drains is not None and storm.pumps_of(drains[1], _element(city, asked.asset))
    by_graph = isinstance(city.service, GraphService)
    hydraulic = not by_graph or bool(pumps) or (asked.kind == "storm" and drains is not None)
    if given and not hydraulic:
        raise ConfigurationError(f"{given[0]} has no part in this: a SWMM model serves storms and the loss of pumps")
    if asked.kind == "storm":
        result = storm_on(city, asked, tables()["storm"], drains[1] if drains else None, progress)
    elif pumps and drains:
        result = pumping_lost(city, asked, drains[1], progress)
    elif asked.kind == "loss":
        result = loss(city, asked.asset, asked.crews, asked.repair_hours)
    else:
        result = earthquake(city, asked, cluster=cluster, workers=workers, progress=progress)
    method = "hydraulic" if hydraulic else "graph"
    with connection.transaction():
        number = store_test(
            connection, asked.kind, network, method, asked.model_dump(mode="json"), result, now, requested_by
        )
    return number, {"method": method, **result}


def run(connection: Connection, parameters: JsonObject, progress: Progress) -> JsonObject:
    """The job."""
    asked, now = Parameters.model_validate(parameters), health.database_clock(connection)
    cluster = load_settings().cluster or None
    number, result = run_test(connection, asked, now, "job", cluster=cluster, progress=progress)
    return {"stress_test": number, **result}


def _place(city: City, asset: str | None) -> int:
    if not asset:
        raise ConfigurationError("a loss needs the id of an asset")
    if asset not in city.elements.external_id:
        raise NotFoundError(f"there is no asset {asset!r} in this network")
    return city.elements.external_id.index(asset)


def _element(city: City, asset: str | None) -> str:
    return city.elements.element[_place(city, asset)]


def _at_assets(found: storm.Ponding, known_as: list[str]) -> tuple[Floats, Floats]:
    """Hours and cubic metres (n,) of ponding at each asset. Raises ConfigurationError where no name is known."""
    names = {name: at for at, name in enumerate(known_as)}
    hours, volume, met = np.zeros(len(known_as)), np.zeros(len(known_as)), 0
    for name, each, cubic in zip(found.names, found.hours.tolist(), found.cubic_metres.tolist(), strict=True):
        if name in names:
            hours[names[name]], volume[names[name]], met = each, cubic, met + 1
    if not met:
        raise ConfigurationError("no asset is a node of this SWMM model: import the model first (lifeline import)")
    return hours, volume


def _rain(rain: Floats) -> JsonObject:
    return {"rain_mm": float(rain.sum() * storm.STEP_MIN / 60), "peak_mm_h": float(rain.max())}


def _ponding(city: City, found: storm.Ponding, hours: Floats) -> JsonObject:
    weight, _ = standing.service_weights(city.found)
    dry = float(weight[hours == 0].sum() / weight.sum()) if weight.sum() > 0 else float((hours == 0).mean())
    return {
        "share_served": dry,
        "ponding_places": int((found.hours > 0).sum()),
        "ponding_hours": float(found.hours.sum()),
        "longest_ponding_hours": float(found.hours.max(initial=0.0)),
        "ponding_m3": float(found.cubic_metres.sum()),
        "ponding_left": found.left,
    }


def _reckoned(city: City, rain: Floats, most_hours: float) -> storm.Ponding:
    table, found = tables()["drain"], city.found
    pipes = np.array([kind == "pipe" for kind in found.inventory.kind])
    slope = np.where(np.isnan(found.slope), float(table["slope"]), found.slope)
    diameter = np.nan_to_num(found.inventory.diameter_mm, nan=float(table["unknown_mm"]))
    passes = storm.capacity(diameter, np.maximum(slope, 1e-4), float(table["roughness"]))
    by_length = np.where(pipes, np.nan_to_num(found.inventory.length_m, nan=0.0), 0.0) / 1000 * table["hectares_per_km"]
    area = np.nan_to_num(found.area_ha, nan=0.0) if not np.isnan(found.area_ha).all() else by_length
    graph = standing.graph_of(DRAINAGE, found)
    return storm.by_reckoning(
        city.elements.external_id, graph.head, graph.tail, area, np.where(pipes, passes, np.inf), rain,
        float(table["runoff"]), most_hours,
    )  # fmt: skip


def _blame(blame: Floats, assets: Ints, lost: float, worth: Floats) -> None:
    """Divide what was lost among assets by what each is worth."""
    if len(assets):
        blame[assets] += max(lost, 0.0) * worth / worth.sum()


def _figures(results: list[Recovery]) -> JsonObject:
    """Means over runs, and the bad case: one run in twenty is worse."""
    share, worst, resilience, nearly, hours, mended, lasts, _ = (
        np.array(column) for column in zip(*results, strict=True)
    )
    short = np.isfinite(lasts)
    return {
        "runs": len(results),
        "share_served": float(share.mean()),
        "share_served_bad": float(np.quantile(share, 0.05)),
        "share_worst": float(worst.mean()),
        "share_worst_bad": float(np.quantile(worst, 0.05)),
        "lasts_hours": float(lasts[short].mean()) if short.any() else None,
        "resilience": float(resilience.mean()),
        "recovery_hours_90": float(nearly.mean()),
        "mended_hours": float(mended.mean()),
        "recovery_hours": float(hours.mean()),
    }


def _listed(city: City, worth: Floats, what: str, hours: Floats | None = None) -> list[JsonObject]:
    """The weakest first, those with something to tell."""
    order = [at for at in np.argsort(-worth, kind="stable")[:LISTED].tolist() if worth[at] > 0]
    return [
        {"rank": rank, "asset": city.elements.external_id[at], "kind": city.elements.kind[at], what: float(worth[at]),
         **({"hours": float(hours[at])} if hours is not None else {})}
        for rank, at in enumerate(order, 1)
    ]  # fmt: skip


def _customers(city: City) -> Floats:
    return _customers_of(city.found)


def _customers_of(found: Columns) -> Floats:
    weight, counted = standing.service_weights(found)
    return weight if counted else np.zeros(len(weight))
