"""What is normal, learned from history: per sensor by season, and per group of sensors by what they say of each other.

A scheduled job learns a baseline, stores its bytes under its version, and hands it to the detectors. It never learns
from periods that are marked as anomalous, and a sensor without enough history says so (`days`, `ready`) and keeps to
the rules that need none. The bytes hold plain arrays (no pickled objects), so that they can be read by anything.
"""

import hashlib
import io
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerts.detectors import health, residual, robust, seasonal

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

READY_DAYS = 7.0
"""Days with readings from which a season is believed: each class of day has been seen."""
FORMAT = 2
_DAY_S = 86400.0


class Marked(NamedTuple):
    """A period that must not teach: epoch seconds [first, last], of one column, or of all where `column` is None."""

    first: float
    last: float
    column: int | None = None


@dataclass(frozen=True, slots=True)
class Baseline:
    """Learned from (time, sensor) readings; arrays are in the order of `sensor_ids`."""

    version: str
    """Hash of the content: the same history teaches the same version."""
    learned_at: float
    first: float
    last: float
    sensor_ids: NDArray[np.int64]
    days: Floats
    """Days with readings, of each sensor."""
    noise: Floats
    """Usual noise of the readings, for health.noise."""
    sigma: Floats
    """Usual robust spread, for health.flatline."""
    seasonal: seasonal.Seasonal
    groups: tuple[tuple[NDArray[np.int64], residual.Model], ...]
    """Columns of each group with its model."""

    @property
    def ready(self) -> Bools:
        """Sensors with history enough for seasonal judgement, (sensor,)."""
        return self.days >= READY_DAYS


def without(values: Floats, times: Floats, marked: Iterable[Marked]) -> Floats:
    """A copy of (time, sensor) readings with the marked periods set to NaN."""
    kept = values.astype(float, copy=True)
    for period in marked:
        rows = (times >= period.first) & (times <= period.last)
        kept[rows, slice(None) if period.column is None else period.column] = np.nan
    return kept


def learn(
    sensor_ids: NDArray[np.int64],
    values: Floats,
    times: Floats,
    resolution: Floats,
    groups: Sequence[NDArray[np.int64]],
    marked: Iterable[Marked],
    now: float,
    utc_offset_s: float = 0.0,
) -> Baseline:
    """The baseline of a history of (time, sensor) readings, at `now`.

    `groups` hold the columns of sensors that are to explain each other (a DMA, a catchment, a station: tens to a few
    hundred); one that is in none is judged by its season alone.
    """
    clean = without(values, times, marked)
    season = seasonal.learn(clean, times, resolution, utc_offset_s=utc_offset_s)
    models = tuple(
        (np.asarray(columns), residual.learn(clean[:, columns], times, resolution[columns])) for columns in groups
    )
    parts = {
        "learned": np.array([times[0], times[-1]] if len(times) else [np.nan, np.nan]),
        "sensor_ids": np.asarray(sensor_ids, dtype=np.int64),
        "days": _days(clean, times),
        "noise": health.noise_sigma(clean),
        "sigma": robust.spread(clean).sigma,
        **_season_parts(season),
        **_group_parts(models),
    }
    return _assembled(parts, now)


def dump(baseline: Baseline) -> bytes:
    """The baseline as bytes (a numpy archive) for the database."""
    parts = {
        "format": np.array(FORMAT),
        "learned_at": np.array(baseline.learned_at),
        "learned": np.array([baseline.first, baseline.last]),
        "sensor_ids": baseline.sensor_ids,
        "days": baseline.days,
        "noise": baseline.noise,
        "sigma": baseline.sigma,
        **_season_parts(baseline.seasonal),
        **_group_parts(baseline.groups),
    }
    file = io.BytesIO()
    np.savez_compressed(file, **parts)  # type: ignore[arg-type]
    return file.getvalue()


def load(content: bytes) -> Baseline:
    """A baseline from its bytes. Raises ValueError when they are not one, or of another format."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            parts = {name: archive[name] for name in archive.files}
        if int(parts.pop("format")) != FORMAT:
            raise ValueError("a baseline of another format")
        return _assembled(parts, float(parts.pop("learned_at")))
    except (OSError, KeyError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"not a baseline: {error}") from error


def _days(values: Floats, times: Floats) -> Floats:
    day = np.floor(np.asarray(times, dtype=float) / _DAY_S)
    present = ~np.isnan(values)
    counted = np.zeros(values.shape[1])
    for number in np.unique(day):
        counted += present[day == number].any(axis=0)
    return counted


def _season_parts(season: seasonal.Seasonal) -> dict[str, NDArray[np.generic]]:
    return {
        "season_median": season.median,
        "season_sigma": season.sigma,
        "season_count": season.count,
        "season_clock": np.array([season.slot_s, season.utc_offset_s]),
    }


_MODEL_PARTS = ("centre", "scale", "precision", "explained", "limit", "limit_ewma", "limit_lasting")


def _group_parts(groups: Sequence[tuple[NDArray[np.int64], residual.Model]]) -> dict[str, NDArray[np.generic]]:
    parts: dict[str, NDArray[np.generic]] = {}
    for number, (columns, model) in enumerate(groups):
        parts[f"group{number}_columns"] = columns
        parts[f"group{number}_harmonics"] = np.array(model.harmonics)
        parts |= {f"group{number}_{name}": getattr(model, name) for name in _MODEL_PARTS}
    return parts


def _assembled(parts: dict[str, NDArray[np.generic]], learned_at: float) -> Baseline:
    digest = hashlib.sha256()
    for name in sorted(parts):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(parts[name]).tobytes())
    count = sum(name.endswith("_columns") for name in parts)
    groups = tuple((parts[f"group{number}_columns"].astype(np.int64), _model(parts, number)) for number in range(count))
    slot_s, utc_offset_s = (float(value) for value in _floats(parts["season_clock"]))
    season = seasonal.Seasonal(
        _floats(parts["season_median"]),
        _floats(parts["season_sigma"]),
        parts["season_count"].astype(np.int64),
        slot_s,
        utc_offset_s,
    )
    first, last = (float(value) for value in _floats(parts["learned"]))
    return Baseline(
        version=digest.hexdigest()[:12],
        learned_at=learned_at,
        first=first,
        last=last,
        sensor_ids=parts["sensor_ids"].astype(np.int64),
        days=_floats(parts["days"]),
        noise=_floats(parts["noise"]),
        sigma=_floats(parts["sigma"]),
        seasonal=season,
        groups=groups,
    )


def _model(parts: dict[str, NDArray[np.generic]], number: int) -> residual.Model:
    arrays = {name: _floats(parts[f"group{number}_{name}"]) for name in _MODEL_PARTS}
    return residual.Model(**arrays, harmonics=int(_floats(parts[f"group{number}_harmonics"])))


def _floats(part: NDArray[np.generic]) -> Floats:
    return part.astype(np.float64)
