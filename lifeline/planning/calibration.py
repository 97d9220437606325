"""Rates of failure fitted to break records: both forms by maximum likelihood, drawn towards the catalogue.

A class with few breaks would be fitted to noise: its logarithm of the rate and its growth have a normal prior around
the catalogue's, as wide as the well-known classes lie from theirs (empirical Bayes), else as wide as ``PRIOR_SD``. With
many breaks the prior is forgotten. AIC says which form fits better, a chi-square over ages whether it fits at all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lifeline.errors import ConfigurationError
from lifeline.model import JsonObject
from lifeline.risk.assets import Floats
from lifeline.risk.deterioration import Deterioration, MaterialClass, exponential, power_law

FORMS = ("exponential", "power")
PRIOR_SD = {"exponential": (0.7, 0.02), "power": (0.7, 0.4)}
"""Of the logarithm of the rate, and of growth or of the logarithm of shape (default)."""
NARROWEST = 0.25
"""The empirical prior is never narrower than this share of the default: few classes cannot prove that all are alike."""
ENOUGH_BREAKS = 20
"""Classes with so many breaks say how far a city lies from the catalogue."""
FEWEST_BREAKS = 5
"""With fewer breaks the catalogue's form is kept."""
BOUNDS = {"exponential": ((-14.0, 5.0), (-0.1, 0.25)), "power": ((-14.0, 5.0), (-1.2, 2.0))}
EXPECTED_IN_BIN = 5.0


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of one class: pipes that were observed from age ``first`` to ``last``, and ages at breaks.

    ``km`` is each pipe's length times every factor on its rate but age (diameter, soil, condition): its exposure.
    """

    first: Floats
    last: Floats
    km: Floats
    ages: Floats


class Fit(NamedTuple):
    """One form fitted: rate at the class's age, growth or shape, AIC, p of a chi-square over ages (None: too few)."""

    rate: float
    slope: float
    aic: float
    p_value: float | None


class ClassFit(NamedTuple):
    """A class of material: its breaks, km x years of exposure, both fits and the form that is used."""

    name: str
    breaks: int
    exposure: float
    fits: Mapping[str, Fit]
    form: str


def calibrate(records: Mapping[str, Record], catalogue: Deterioration) -> list[ClassFit]:
    """Fit every class that has exposure. Raises ConfigurationError where scipy is missing or nothing has failed."""
    known = {name: record for name, record in records.items() if record.km.sum() > 0}
    if not any(len(record.ages) for record in known.values()):
        raise ConfigurationError("there is no break on record: import some first (lifeline import breaks.csv)")
    classes = {each.name: each for each in catalogue.classes}
    priors = {form: _prior_sd(form, known, classes) for form in FORMS}
    return [_fit_class(name, record, classes[name], priors) for name, record in sorted(known.items())]


def content(fits: Sequence[ClassFit], catalogue: Deterioration) -> JsonObject:
    """The calibration as it is stored; ``Deterioration.fitted`` reads ``classes`` back."""
    at_age = {each.name: each.at_age for each in catalogue.classes}
    return {
        "classes": {
            each.name: {
                "rate": each.fits[each.form].rate,
                "at_age": at_age[each.name],
                "growth": each.fits["exponential"].slope,
                "shape": each.fits["power"].slope,
                "form": each.form,
                "breaks": each.breaks,
                "km_years": each.exposure,
                "fits": {form: fit._asdict() for form, fit in each.fits.items()},
            }
            for each in fits
        }
    }


def expected(form: str, rate: float, at_age: float, slope: float, age: Floats) -> Floats:
    """Failures per km up to an age in one of the forms."""
    columns = (np.full(age.shape, rate), np.full(age.shape, at_age), np.full(age.shape, slope))
    return exponential(*columns, age) if form == "exponential" else power_law(*columns, age)


def _fit_class(name: str, record: Record, known: MaterialClass, priors: Mapping[str, tuple[float, float]]) -> ClassFit:
    fits = {form: _fit(form, record, known, priors[form]) for form in FORMS}
    form = known.form if len(record.ages) < FEWEST_BREAKS else min(FORMS, key=lambda each: fits[each].aic)
    exposure = float(((record.last - record.first) * record.km).sum())
    return ClassFit(name, len(record.ages), exposure, fits, form)


def _fit(form: str, record: Record, known: MaterialClass, prior: tuple[float, float]) -> Fit:
    centre = _centre(form, known)
    best = _minimum(_loss(form, record, known.at_age, (centre, prior)), form, centre)
    free = _minimum(_loss(form, record, known.at_age, None), form, best) if len(record.ages) else best
    aic = 2 * 2 + 2 * _loss(form, record, known.at_age, None)(free)
    rate, slope = float(np.exp(best[0])), float(best[1] if form == "exponential" else np.exp(best[1]))
    return Fit(rate, slope, float(aic), _p_value(form, rate, known.at_age, slope, record))


def _centre(form: str, known: MaterialClass) -> Floats:
    return np.array([np.log(known.rate), known.growth if form == "exponential" else np.log(known.shape)])


def _loss(
    form: str, record: Record, at_age: float, prior: tuple[Floats, tuple[float, float]] | None
) -> Callable[[Floats], float]:
    """Minus the logarithm of the likelihood of a Poisson process, and of the prior: sum of log rates - expected."""
    ages = np.maximum(record.ages, 0.5)  # the power law has no rate at age 0

    def loss(theta: Floats) -> float:
        slope = theta[1] if form == "exponential" else np.exp(theta[1])
        grown = slope * (ages - at_age) if form == "exponential" else (slope - 1.0) * np.log(ages / at_age)
        up_to_last = expected(form, 1.0, at_age, slope, record.last)
        due = (record.km * (up_to_last - expected(form, 1.0, at_age, slope, record.first))).sum()
        value = np.exp(theta[0]) * due - theta[0] * len(ages) - grown.sum()
        if prior is not None:
            centre, sd = prior
            value += 0.5 * (((theta - centre) / np.array(sd)) ** 2).sum()
        return float(value)

    return loss


def _minimum(loss: Callable[[Floats], float], form: str, start: Floats) -> Floats:
    try:
        from scipy.optimize import minimize
    except ImportError as error:
        raise ConfigurationError("a calibration needs the extra: pip install 'lifeline[planning]'") from error
    bounds = BOUNDS[form]
    inside = np.clip(start, [low for low, _ in bounds], [high for _, high in bounds])
    found = minimize(loss, inside, method="Nelder-Mead", bounds=bounds, options={"xatol": 1e-7, "fatol": 1e-7})
    return np.asarray(found.x, dtype=np.float64)


def _prior_sd(form: str, records: Mapping[str, Record], classes: Mapping[str, MaterialClass]) -> tuple[float, float]:
    """How far well-known classes lie from the catalogue (root mean square); the default with fewer than three."""
    default = PRIOR_SD[form]
    apart = [
        _minimum(_loss(form, record, classes[name].at_age, None), form, _centre(form, classes[name]))
        - _centre(form, classes[name])
        for name, record in records.items()
        if len(record.ages) >= ENOUGH_BREAKS
    ]
    if len(apart) < 3:
        return default
    spread = np.sqrt(np.mean(np.square(apart), axis=0))
    return max(float(spread[0]), NARROWEST * default[0]), max(float(spread[1]), NARROWEST * default[1])


def by_age(record: Record, edges: Floats) -> tuple[Floats, Floats]:
    """Breaks and exposure (km x years) in each interval of age between ``edges``."""
    breaks, _ = np.histogram(record.ages, edges)
    spans = np.minimum(record.last[:, None], edges[None, 1:]) - np.maximum(record.first[:, None], edges[None, :-1])
    return breaks.astype(np.float64), (np.maximum(spans, 0.0) * record.km[:, None]).sum(axis=0)


def _p_value(form: str, rate: float, at_age: float, slope: float, record: Record) -> float | None:
    """P of a chi-square as large, over bins of age of about five expected breaks or more; None under four bins."""
    from scipy.stats import chi2

    grid = np.linspace(0.0, max(float(record.last.max()), 1.0), 121)
    low, high = (
        np.clip(grid[None, at], record.first[:, None], record.last[:, None]) for at in (slice(0, -1), slice(1, None))
    )
    due = expected(form, rate, at_age, slope, high) - expected(form, rate, at_age, slope, low)
    fine = (due * record.km[:, None]).sum(axis=0)
    bins = int(fine.sum() // EXPECTED_IN_BIN)
    if bins < 4:
        return None
    share = np.cumsum(fine) / fine.sum()
    edges = np.unique(np.searchsorted(share, np.linspace(0, 1, min(bins, 10) + 1)[1:-1]) + 1)
    due_in = np.add.reduceat(fine, np.concatenate([[0], edges[edges < len(fine)]]))
    seen_fine, _ = np.histogram(record.ages, grid)
    seen_in = np.add.reduceat(seen_fine, np.concatenate([[0], edges[edges < len(fine)]]))
    kept = due_in > 0
    freedom = int(kept.sum()) - 2
    if freedom < 1:
        return None
    return float(chi2.sf((((seen_in - due_in)[kept]) ** 2 / due_in[kept]).sum(), freedom))
