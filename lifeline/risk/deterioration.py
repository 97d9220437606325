"""The catalogue of deterioration: rates by class of material and the factors on them. Data, checked when it is read."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from lifeline.errors import CatalogueError
from lifeline.risk.assets import Floats, Ints

UNKNOWN = "unknown"
FORMS = ("exponential", "power")


@dataclass(frozen=True, slots=True)
class MaterialClass:
    """One class of material: failures per km and year as a function of age, in two forms of which ``form`` is used."""

    name: str
    rate: float
    at_age: float
    growth: float
    shape: float
    form: str
    metal: bool
    source: str


@dataclass(frozen=True, slots=True)
class Deterioration:
    """Classes in a fixed order, names and aliases to their index, and the factors as they stand in the file."""

    classes: tuple[MaterialClass, ...]
    index: Mapping[str, int]
    factors: Mapping[str, Any]
    version: int = 0
    """0: as shipped; else the number of the calibration."""

    def class_of(self, materials: Sequence[str | None]) -> Ints:
        """Index of the class of each material; what is not known, or unknown to the catalogue, is class "unknown"."""
        unknown = self.index[UNKNOWN]
        return np.array(
            [self.index.get(each.strip().lower(), unknown) if each else unknown for each in materials], dtype=np.int_
        )

    def column(self, name: str) -> Floats:
        """A figure of every class."""
        return np.array([getattr(each, name) for each in self.classes], dtype=np.float64)

    def fitted(self, fits: Mapping[str, Mapping[str, Any]], version: int) -> "Deterioration":
        """With the rates of a calibration: ``fits`` holds rate, growth, shape and form by class; others stay."""
        kept = ("rate", "at_age", "growth", "shape", "form")
        classes = tuple(
            replace(each, **{key: fits[each.name][key] for key in kept}, source=f"calibration {version}")
            if each.name in fits
            else each
            for each in self.classes
        )
        return replace(self, classes=classes, version=version)


def cumulative(classes: Deterioration, chosen: Ints, age_years: Floats) -> Floats:
    """Failures per km up to an age: the integral of the rate from 0, in the form that each class uses.

    Exponential (Shamir and Howard 1979): rate exp(A (t - t0)); NHPP power law: rate (t / t0)^(beta - 1). Before it is
    laid (age < 0) nothing fails.
    """
    age = np.maximum(age_years, 0.0)
    rate, at, growth, shape = (classes.column(name)[chosen] for name in ("rate", "at_age", "growth", "shape"))
    power = np.array([each.form == "power" for each in classes.classes])[chosen]
    return np.where(power, power_law(rate, at, shape, age), exponential(rate, at, growth, age))


def exponential(rate: Floats, at_age: Floats, growth: Floats, age: Floats) -> Floats:
    """Integral from 0 to ``age`` of rate exp(growth (t - at_age))."""
    flat = np.abs(growth) < 1e-9
    slope = np.where(flat, 1.0, growth)
    grown = rate * np.exp(-slope * at_age) * np.expm1(slope * age) / slope
    return np.asarray(np.where(flat, rate * age, grown), dtype=np.float64)


def power_law(rate: Floats, at_age: Floats, shape: Floats, age: Floats) -> Floats:
    """Integral from 0 to ``age`` of rate (t / at_age)^(shape - 1)."""
    return np.asarray(rate * at_age / shape * (age / at_age) ** shape, dtype=np.float64)


def parse_deterioration(text: str, source: str = "deterioration.toml") -> Deterioration:
    """Read the catalogue from TOML. Raises CatalogueError that names the entry and what is wrong with it."""
    try:
        data = tomllib.loads(text)
        entries = data.pop("class")
        classes = tuple(_class(name, entry) for name, entry in entries.items())
        aliases = {alias: at for at, entry in enumerate(entries.values()) for alias in entry["aliases"]}
    except tomllib.TOMLDecodeError as error:
        raise CatalogueError(f"{source}: not TOML: {error}") from error
    except KeyError as error:
        raise CatalogueError(f"{source}: {error.args[0]!r} is missing") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise CatalogueError(f"{source}: {error}") from error
    index = {each.name: at for at, each in enumerate(classes)}
    doubled = index.keys() & aliases.keys()
    if doubled or UNKNOWN not in index:
        raise CatalogueError(f"{source}: {sorted(doubled)} twice" if doubled else f"{source}: no class {UNKNOWN!r}")
    return Deterioration(classes, index | aliases, data)


def _class(name: str, entry: Mapping[str, Any]) -> MaterialClass:
    made = MaterialClass(
        name=name,
        rate=float(entry["rate"]),
        at_age=float(entry["at_age"]),
        growth=float(entry["growth"]),
        shape=float(entry["shape"]),
        form=str(entry["form"]),
        metal=bool(entry["metal"]),
        source=str(entry["source"]),
    )
    if min(made.rate, made.at_age, made.shape) <= 0:
        raise ValueError(f"class {name!r}: rate, at_age and shape must be above zero")
    if made.form not in FORMS:
        raise ValueError(f"class {name!r}: form {made.form!r} is none of {', '.join(FORMS)}")
    return made


@cache
def shipped_deterioration() -> Deterioration:
    """The catalogue that ships with Lifeline."""
    text = resources.files("lifeline.risk").joinpath("deterioration.toml").read_text(encoding="utf-8")
    return parse_deterioration(text)
