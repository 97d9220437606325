"""Coordinates of any source as WGS 84: systems that pyproj knows, GCJ-02 and BD-09, and drawings that are nowhere.

GCJ-02 (国测局坐标, of Gaode and Tencent maps) and BD-09 (Baidu) are WGS 84 with an offset that is published only as a
forward formula (known from the open eviltransform and coordtransform projects); the inverse is found by iteration, to a
millimetre. Arrays are (n, 2), longitude or easting first.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifeline.errors import ConfigurationError
from lifeline.exchange.rows import Row

Floats = NDArray[np.float64]
Transform = Callable[[Floats], Floats]

WGS84 = "wgs84"
CHINESE = ("gcj02", "bd09")
"""Systems that no registry of coordinate systems has."""
DECIMALS = 8
"""Of degrees that were computed: a millimetre. What is exported in another system comes back as the same numbers."""

METRES_A_DEGREE = 111_195.08
"""Of latitude, on the sphere by which lifeline.geo measures."""

_A, _EE = 6_378_245.0, 0.006_693_421_622_965_943
"""Krassowsky's ellipsoid, which the formula of GCJ-02 uses."""
_CHINA = (72.004, 0.8293, 137.8347, 55.8271)
"""West, south, east, north: outside this box GCJ-02 is WGS 84."""
_X_PI = np.pi * 3000.0 / 180.0


def to_wgs84(crs: str) -> Transform | None:
    """How coordinates of ``crs`` become WGS 84 (None: they are already): `gcj02`, `bd09`, or what pyproj takes.

    Raises ConfigurationError where there is no such system.
    """
    name = plain_name(crs)
    if name == WGS84:
        return None
    if name in CHINESE:
        return gcj02_to_wgs84 if name == "gcj02" else bd09_to_wgs84
    return _projected(crs, crs, "EPSG:4326")


def from_wgs84(crs: str) -> Transform | None:
    """The way back: how WGS 84 becomes coordinates of ``crs``. Raises ConfigurationError."""
    name = plain_name(crs)
    if name == WGS84:
        return None
    if name in CHINESE:
        return wgs84_to_gcj02 if name == "gcj02" else wgs84_to_bd09
    return _projected(crs, "EPSG:4326", crs)


def plain_name(crs: str) -> str:
    """The one name of a system that has several; what is none of Lifeline's own stays as it is."""
    name = crs.strip().lower().replace("-", "").replace("_", "")
    if name in ("wgs84", "epsg:4326", "ogc:crs84", "urn:ogc:def:crs:ogc:1.3:crs84", "urn:ogc:def:crs:ogc::crs84"):
        return WGS84
    return {"bd09ll": "bd09"}.get(name, name)


def _projected(crs: str, source: str, target: str) -> Transform:
    try:
        import pyproj
    except ImportError as error:
        raise ConfigurationError(f"--crs {crs} needs pyproj: pip install 'lifeline[planning]'") from error
    try:
        transformer = pyproj.Transformer.from_crs(source, target, always_xy=True)
    except pyproj.exceptions.CRSError as error:
        raise ConfigurationError(
            f"--crs {crs!r} is no coordinate system: give an EPSG code as EPSG:4547 (CGCS2000, 114E), gcj02 or bd09"
        ) from error

    def transform(xy: Floats) -> Floats:
        return np.column_stack(transformer.transform(xy[:, 0], xy[:, 1]))

    return transform


def wgs84_to_gcj02(xy: Floats) -> Floats:
    """The published forward formula; outside China nothing changes."""
    x, y = xy[:, 0] - 105.0, xy[:, 1] - 35.0
    ripple = (20.0 * np.sin(6.0 * x * np.pi) + 20.0 * np.sin(2.0 * x * np.pi)) * 2.0 / 3.0
    north = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * np.sqrt(np.abs(x)) + ripple
    north += (20.0 * np.sin(y * np.pi) + 40.0 * np.sin(y / 3.0 * np.pi)) * 2.0 / 3.0
    north += (160.0 * np.sin(y / 12.0 * np.pi) + 320.0 * np.sin(y * np.pi / 30.0)) * 2.0 / 3.0
    east = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * np.sqrt(np.abs(x)) + ripple
    east += (20.0 * np.sin(x * np.pi) + 40.0 * np.sin(x / 3.0 * np.pi)) * 2.0 / 3.0
    east += (150.0 * np.sin(x / 12.0 * np.pi) + 300.0 * np.sin(x / 30.0 * np.pi)) * 2.0 / 3.0
    latitude = np.radians(xy[:, 1])
    magic = 1.0 - _EE * np.sin(latitude) ** 2
    north *= 180.0 / ((_A * (1.0 - _EE)) / (magic * np.sqrt(magic)) * np.pi)
    east *= 180.0 / (_A / np.sqrt(magic) * np.cos(latitude) * np.pi)
    west_, south_, east_, north_ = _CHINA
    inside = (xy[:, 0] >= west_) & (xy[:, 0] <= east_) & (xy[:, 1] >= south_) & (xy[:, 1] <= north_)
    return xy + np.where(inside[:, None], np.column_stack((east, north)), 0.0)


def gcj02_to_bd09(xy: Floats) -> Floats:
    """Baidu's second offset."""
    x, y = xy[:, 0], xy[:, 1]
    radius = np.hypot(x, y) + 0.000_02 * np.sin(y * _X_PI)
    angle = np.arctan2(y, x) + 0.000_003 * np.cos(x * _X_PI)
    return np.column_stack((radius * np.cos(angle) + 0.0065, radius * np.sin(angle) + 0.006))


def wgs84_to_bd09(xy: Floats) -> Floats:
    """Both offsets."""
    return gcj02_to_bd09(wgs84_to_gcj02(xy))


def gcj02_to_wgs84(xy: Floats) -> Floats:
    """The inverse of `wgs84_to_gcj02`, by iteration."""
    return _inverse(wgs84_to_gcj02, xy)


def bd09_to_wgs84(xy: Floats) -> Floats:
    """The inverse of both offsets, by iteration."""
    return gcj02_to_wgs84(_inverse(gcj02_to_bd09, xy))


def _inverse(forward: Transform, xy: Floats) -> Floats:
    """The offset changes by less than a hundredth of a step, so each round gains two digits."""
    guess = xy.copy()
    for _ in range(12):
        step = xy - forward(guess)
        guess += step
        if np.abs(step).max(initial=0.0) < 1e-9:
            break
    return guess


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a drawing without a coordinate system is put: its middle, metres a unit (None: found), its turn."""

    longitude: float
    latitude: float
    scale: float | None = None
    turn_degrees: float = 0.0

    @classmethod
    def parse(cls, text: str) -> "Placement":
        """``LON,LAT[,METRES_A_UNIT[,DEGREES]]``. Raises ConfigurationError."""
        try:
            longitude, latitude, *rest = (float(part) for part in text.split(","))
            if not (-180 <= longitude <= 180 and -85 <= latitude <= 85) or len(rest) > 2 or (rest and not rest[0] > 0):
                raise ValueError
        except ValueError as error:
            raise ConfigurationError(
                f"--place {text!r} must be LON,LAT or LON,LAT,METRES_A_UNIT or LON,LAT,METRES_A_UNIT,DEGREES, "
                "as 117.27,31.86"
            ) from error
        return cls(longitude, latitude, rest[0] if rest else None, rest[1] if len(rest) > 1 else 0.0)

    def transform(self, middle: tuple[float, float], scale: float) -> Transform:
        """How a drawing with this middle becomes WGS 84; ``scale`` in metres a unit."""
        angle = np.radians(self.turn_degrees)
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        degrees = scale / METRES_A_DEGREE / np.array([np.cos(np.radians(self.latitude)), 1.0])

        def transform(xy: Floats) -> Floats:
            placed: Floats = (xy - np.array(middle)) @ turn * degrees + np.array([self.longitude, self.latitude])
            return placed

        return transform


def transform_rows(rows: Sequence[Row], transform: Transform, decimals: int | None = DECIMALS) -> list[Row]:
    """The rows with every geometry transformed at once; a geometry that is wrong stays for the checks to find."""
    flat: list[list[Any]] = []
    spans: list[tuple[int, int] | None] = []
    for row in rows:
        begin = len(flat)
        good = row.geometry is not None and _flatten(row.geometry.get("coordinates"), flat)
        if not good:
            del flat[begin:]
        spans.append((begin, len(flat)) if good else None)
    found = transform(np.array(flat, dtype=np.float64).reshape(-1, 2)) if flat else np.empty((0, 2))
    moved = (found if decimals is None else np.round(found, decimals)).tolist()
    return [
        row
        if span is None or row.geometry is None
        else row._replace(geometry=_moved(row.geometry, moved[slice(*span)]))
        for row, span in zip(rows, spans, strict=True)
    ]


def _flatten(nested: object, flat: list[list[Any]]) -> bool:
    if not isinstance(nested, list | tuple) or not nested:
        return False
    if all(isinstance(each, int | float) and not isinstance(each, bool) for each in nested):
        flat.append(list(nested[:2]))
        return len(nested) >= 2
    return all(_flatten(each, flat) for each in nested)


def _moved(geometry: dict[str, Any], moved: list[list[float]]) -> dict[str, Any]:
    positions = iter(moved)

    def rebuilt(nested: Any) -> Any:
        if isinstance(nested[0], int | float):
            return next(positions)
        return [rebuilt(each) for each in nested]

    return {"type": geometry.get("type"), "coordinates": rebuilt(geometry["coordinates"])}
