"""What was learned of one part of the city: baselines, and the models of mains and drains. Bytes for the database.

Columns here are positions in the part's `sensor_ids`; `Knowledge` turns them into the inventory's.
"""

import hashlib
import io
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerts import baseline as baselines
from alerts.baseline import Baseline
from alerts.detectors import blockage, burst, peers, rain, residual

Floats = NDArray[np.float64]
Columns = NDArray[np.int64]

FORMAT = 6


class Mains(NamedTuple):
    """Pressures with the anchors that explain them; ``sudden`` (pressure,): the fall in m that no clean day
    showed; ``low`` and ``high`` (anchor,): between what the levels of tanks taught, infinite for flows."""

    pressures: Columns
    anchors: Columns
    model: burst.PressureModel
    sudden: Floats
    low: Floats
    high: Floats


class Catchment(NamedTuple):
    """Levels that one rain gauge explains; ``stores`` (store,): the most water that taught, in mm; ``surge`` (level,):
    the most in m that dry weather lifted each within an hour."""

    gauge: Columns
    levels: Columns
    response: rain.Response
    dry: blockage.DryWeather
    stores: Floats
    peers: peers.Peers
    surge: Floats


class District(NamedTuple):
    """A zone or joined network with metered inflow: ``directions`` (inlet,) 1 in, -1 out; the tanks' areas in m2; its
    minimum night flow by local day, m3/h, and which nights may teach; ``usual``: see balance.usual_day."""

    zone: NDArray[np.str_]
    inlets: Columns
    directions: Floats
    tanks: Columns
    areas: Floats
    days: Columns
    nights: Floats
    clean: NDArray[np.bool_]
    usual: Floats


@dataclass(frozen=True, slots=True)
class Part:
    """All that is known of some sensors. ``still`` (sensor,): the least range over six hours of its clean days."""

    baseline: Baseline
    still: Floats
    brief: Floats
    """(sensor,): the least range over one hour of its clean days."""
    least: Floats
    """(sensor,): what its clean days hardly ever went below."""
    draws: Floats
    """(sensor,): the least that a pump drew while it ran, A; NaN for what is none."""
    chart_limit: Floats
    """(sensor,): how far the chart of seasonal z went on clean days, with a margin."""
    mains: tuple[Mains, ...] = ()
    catchments: tuple[Catchment, ...] = ()
    districts: tuple[District, ...] = ()

    @property
    def version(self) -> str:
        """Hash of the content."""
        return hashlib.sha256(dump(replace(self, baseline=replace(self.baseline, learned_at=0.0)))).hexdigest()[:12]


_MODELS = ("mains", "catchments", "districts")


def dump(part: Part) -> bytes:
    """The part as a numpy archive of plain arrays."""
    parts: dict[str, NDArray[np.generic]] = {
        "part_format": np.array(FORMAT),
        "baseline": np.frombuffer(baselines.dump(part.baseline), np.uint8),
        "still": part.still,
        "brief": part.brief,
        "least": part.least,
        "draws": part.draws,
        "chart_limit": part.chart_limit,
    }
    for name in _MODELS:
        for number, model in enumerate(getattr(part, name)):
            parts |= _flat(f"{name}.{number}", model)
    file = io.BytesIO()
    np.savez(file, **parts)  # type: ignore[arg-type]
    return file.getvalue()


def load(content: bytes) -> Part:
    """A part from its bytes. Raises ValueError when they are not one, or of another format."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            parts = {name: archive[name] for name in archive.files}
        if int(parts["part_format"]) != FORMAT:
            raise ValueError("another format")
        return Part(
            baseline=baselines.load(parts["baseline"].tobytes()),
            still=parts["still"],
            brief=parts["brief"],
            least=parts["least"],
            draws=parts["draws"],
            chart_limit=parts["chart_limit"],
            mains=tuple(_mains(model) for model in _models(parts, "mains")),
            catchments=tuple(_catchment(model) for model in _models(parts, "catchments")),
            districts=tuple(District(**model) for model in _models(parts, "districts")),  # type: ignore[arg-type]
        )
    except (OSError, KeyError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"not a part of knowledge: {error}") from error


def _flat(prefix: str, model: object) -> dict[str, NDArray[np.generic]]:
    """Arrays of a model by dotted names: a model in a model has one more dot."""
    fields = getattr(model, "_fields", None) or tuple(getattr(model, "__dataclass_fields__", ()))
    flat: dict[str, NDArray[np.generic]] = {}
    for name in fields:
        value = getattr(model, name)
        flat |= {f"{prefix}.{name}": value} if isinstance(value, np.ndarray) else _flat(f"{prefix}.{name}", value)
    return flat


def _models(parts: Mapping[str, NDArray[np.generic]], name: str) -> Iterable[dict[str, NDArray[np.generic]]]:
    count = len({key.split(".")[1] for key in parts if key.startswith(f"{name}.")})
    for number in range(count):
        prefix = f"{name}.{number}."
        yield {key.removeprefix(prefix): value for key, value in parts.items() if key.startswith(prefix)}


def _inner(model: dict[str, NDArray[np.generic]], name: str) -> dict[str, NDArray[np.generic]]:
    return {key.removeprefix(f"{name}."): value for key, value in model.items() if key.startswith(f"{name}.")}


def _mains(model: dict[str, NDArray[np.generic]]) -> Mains:
    inner = burst.PressureModel(**_inner(model, "model"))  # type: ignore[arg-type]
    return Mains(model["pressures"], model["anchors"], inner, model["sudden"], model["low"], model["high"])  # type: ignore[arg-type]


def _catchment(model: dict[str, NDArray[np.generic]]) -> Catchment:
    response = rain.Response(**_inner(model, "response"))  # type: ignore[arg-type]
    dry = blockage.DryWeather(**_inner(model, "dry"))  # type: ignore[arg-type]
    beside = peers.Peers(**_inner(model, "peers"))  # type: ignore[arg-type]
    return Catchment(model["gauge"], model["levels"], response, dry, model["stores"], beside, model["surge"])  # type: ignore[arg-type]


class Known(NamedTuple):
    """A part with the inventory's column of each of its sensors; -1 for one that is gone."""

    part: Part
    columns: Columns

    def group(self, positions: Columns) -> Columns | None:
        """The inventory's columns of some of the part's sensors; None when one of them is gone."""
        columns = self.columns[positions]
        return columns if (columns >= 0).all() else None

    def residual_groups(self) -> list[tuple[Columns, residual.Model]]:
        """The part's groups whose sensors all still exist, as positions in the part."""
        groups = self.part.baseline.groups
        return [(positions, model) for positions, model in groups if self.group(positions) is not None]


class Knowledge:
    """The newest part of each, joined with an inventory."""

    def __init__(self, parts: Iterable[Part], sensor_ids: NDArray[np.int32]) -> None:
        self.parts = [Known(part, _place(sensor_ids, part.baseline.sensor_ids)) for part in parts]
        self.ready = np.zeros(len(sensor_ids), np.bool_)
        self.noise = np.full(len(sensor_ids), np.nan, np.float32)
        """Usual noise of each column, NaN where it is not known."""
        for known in self.parts:
            there = known.columns >= 0
            self.ready[known.columns[there]] = known.part.baseline.ready[there]
            self.noise[known.columns[there]] = np.where(
                known.part.baseline.ready[there], known.part.baseline.noise[there], np.nan
            )
        mains = [known.group(mains.pressures) for known in self.parts for mains in known.part.mains]
        self.of_mains = np.concatenate([np.empty(0, np.int64), *(group for group in mains if group is not None)])
        """Columns of pressures whose network's bursts are judged by what was learned."""


def _place(sensor_ids: NDArray[np.int32], wanted: NDArray[np.int64]) -> Columns:
    if not len(sensor_ids):
        return np.full(len(wanted), -1, np.int64)
    found = np.minimum(np.searchsorted(sensor_ids, wanted), len(sensor_ids) - 1)
    return np.where(sensor_ids[found] == wanted, found, -1).astype(np.int64)
