"""What a renewal and what a failure costs, from a table in TOML. The shipped one holds this project's defaults."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from lifeline.errors import ConfigurationError
from lifeline.model import RoadClass
from lifeline.planning.segments import Floats, Segments

_TABLES: dict[str, set[str]] = {
    "trench": {"per_m", "usual_depth_m", "per_m_deeper"},
    "surface": {*RoadClass, "unknown"},
    "work": {"mobilisation", "corridor_width_m"},
    "failure": {"least", "factor"},
}


@dataclass(frozen=True, slots=True)
class Costs:
    """A checked table of costs; money is in ``currency``."""

    currency: str
    renewal: Mapping[str, str]
    supply: Mapping[str, tuple[Floats, Floats]]
    trench: Mapping[str, float]
    surface: Mapping[str, float]
    removal: Mapping[str, float]
    work: Mapping[str, float]
    failure: Mapping[str, float]

    def new_material(self, network: str) -> str:
        return self.renewal.get(network, self.renewal["other"])

    def laying(self, segments: Segments) -> Floats:
        """Money (n,) for each pipe without the road above it: supply, trench, removal of the old one."""
        per_m = np.empty(len(segments))
        materials = np.array([self.new_material(network) for network in segments.network], dtype=object)
        diameter = np.nan_to_num(segments.inventory.diameter_mm, nan=150.0)
        for material in set(materials.tolist()):
            here = materials == material
            per_m[here] = _along(*self.supply.get(material, self.supply["other"]), diameter[here])
        usual = self.trench["usual_depth_m"]
        deeper = np.maximum(np.nan_to_num(segments.depth_m, nan=usual) - usual, 0.0)
        per_m += self.trench["per_m"] + self.trench["per_m_deeper"] * deeper
        per_m += np.array([self.removal.get(old or "", 0.0) for old in segments.inventory.material])
        return np.asarray(per_m * segments.length_m, dtype=np.float64)

    def surfacing(self, segments: Segments) -> Floats:
        """Money (n,) to break and reinstate the road above each pipe."""
        per_m = np.array([self.surface[road or "unknown"] for road in segments.road_class], dtype=np.float64)
        return per_m * segments.length_m

    def of_failure(self, cof: Floats) -> Floats:
        """Money (n,) that one failure costs, by its consequence class 1..5."""
        return np.asarray(self.failure["least"] * self.failure["factor"] ** (cof - 1.0), dtype=np.float64)


def load_costs(path: Path | None = None) -> Costs:
    """The shipped table, with what ``path`` says instead. Raises ConfigurationError that names file and entry."""
    shipped = resources.files("lifeline.planning").joinpath("costs.toml").read_text(encoding="utf-8")
    tables = tomllib.loads(shipped)
    if path is not None:
        try:
            own = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigurationError(f"{path}: {error}") from error
        tables = _merged(tables, own, str(path))
    return _checked(tables, str(path or "costs.toml"))


def _merged(shipped: dict[str, Any], own: dict[str, Any], source: str) -> dict[str, Any]:
    unknown = sorted(set(own) - set(shipped))
    if unknown:
        raise ConfigurationError(f"{source}: there is no [{unknown[0]}]; there are {', '.join(shipped)}")
    tables = dict(shipped)
    for name, value in own.items():
        if isinstance(shipped[name], dict) != isinstance(value, dict):
            raise ConfigurationError(
                f"{source}: {name} must be a {'table' if isinstance(shipped[name], dict) else 'text'}"
            )
        tables[name] = {**shipped[name], **value} if isinstance(value, dict) else value
    return tables


def _checked(tables: Mapping[str, Any], source: str) -> Costs:
    for name, keys in _TABLES.items():
        unknown = sorted(set(tables[name]) - keys)
        if unknown:
            raise ConfigurationError(f"{source}: [{name}] knows no {unknown[0]!r}; it knows {', '.join(sorted(keys))}")
    numbers = {
        name: {key: _number(value, f"{source}: [{name}] {key}") for key, value in tables[name].items()}
        for name in (*_TABLES, "removal")
    }
    supply = {name: _points(points, f"{source}: [supply] {name}") for name, points in tables["supply"].items()}
    for network, material in tables["renewal"].items():
        if not isinstance(material, str):
            raise ConfigurationError(f"{source}: [renewal] {network} must be a material")
    if numbers["failure"]["factor"] < 1:
        raise ConfigurationError(f"{source}: [failure] factor must be 1 or more")
    return Costs(str(tables["currency"]), tables["renewal"], supply, **numbers)


def _number(value: object, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
        raise ConfigurationError(f"{what} must be a number, 0 or more, not {value!r}")
    return float(value)


def _points(points: object, what: str) -> tuple[Floats, Floats]:
    wrong = ConfigurationError(f"{what} must be two or more pairs [diameter, money], diameters ascending")
    try:
        table = np.array(points, dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise wrong from error
    if table.ndim != 2 or table.shape[1] != 2 or len(table) < 2 or not np.isfinite(table).all():
        raise wrong
    if (np.diff(table[:, 0]) <= 0).any() or (table <= 0).any():
        raise wrong
    return table[:, 0], table[:, 1]


def _along(x: Floats, y: Floats, at: Floats) -> Floats:
    """Linear between the points, by the last slope beyond the last, the first value before the first."""
    slope = (y[-1] - y[-2]) / (x[-1] - x[-2])
    return np.asarray(np.interp(at, x, y) + np.maximum(at - x[-1], 0.0) * max(slope, 0.0), dtype=np.float64)
