"""A drawing of a calibration: observed rates by age with their intervals, both fits, and the catalogue's."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lifeline.errors import ConfigurationError
from lifeline.planning.calibration import ClassFit, Record, by_age, expected
from lifeline.risk.assets import Floats
from lifeline.risk.deterioration import Deterioration

BIN_YEARS = 10.0
COLOURS = {"exponential": "#1f77b4", "power": "#d62728"}


def draw(path: Path, fits: Sequence[ClassFit], records: Mapping[str, Record], catalogue: Deterioration) -> None:
    """Write the picture (SVG, PNG or PDF by its ending). Raises ConfigurationError where that cannot be done."""
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigurationError("--plot needs the extra: pip install 'lifeline[planning]'") from error
    shown = [fit for fit in fits if fit.breaks] or list(fits)
    rows = -(-len(shown) // 2)
    figure = Figure(figsize=(10, 3.2 * rows), layout="constrained")
    for at, fit in enumerate(shown):
        _draw_class(figure.add_subplot(rows, min(len(shown), 2), at + 1), fit, records[fit.name], catalogue)
    try:
        with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "lifeline"}):
            figure.savefig(path)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: {error}") from error


def _draw_class(axes: object, fit: ClassFit, record: Record, catalogue: Deterioration) -> None:
    from matplotlib.axes import Axes
    from scipy.stats import chi2

    assert isinstance(axes, Axes)
    known = catalogue.classes[catalogue.index[fit.name]]
    oldest = max(float(record.last.max()), BIN_YEARS)
    edges = np.arange(0.0, oldest + BIN_YEARS, BIN_YEARS)
    breaks, exposure = by_age(record, edges)
    seen = exposure > 0
    middle, rate = (edges[:-1] + BIN_YEARS / 2)[seen], breaks[seen] / exposure[seen]
    low = chi2.ppf(0.025, 2 * breaks[seen]) / 2 / exposure[seen]  # exact interval of a Poisson count
    high = chi2.ppf(0.975, 2 * breaks[seen] + 2) / 2 / exposure[seen]
    axes.errorbar(
        middle, rate, [rate - np.nan_to_num(low), high - rate], fmt="o", color="black", label="observed, 95 %"
    )
    ages = np.linspace(0.5, oldest, 200)
    for form, one in fit.fits.items():
        axes.plot(ages, _slope(form, one.rate, known.at_age, one.slope, ages), color=COLOURS[form],
                  lw=2.4 if form == fit.form else 1.0, label=f"{form}, AIC {one.aic:.1f}")  # fmt: skip
    start = known.growth if known.form == "exponential" else known.shape
    axes.plot(ages, _slope(known.form, known.rate, known.at_age, start, ages), "--", color="grey", label="catalogue")
    axes.set(title=f"{fit.name}: {fit.breaks} breaks", xlabel="age, years", ylabel="failures per km and year")
    axes.set_ylim(0, max(float(high.max()) if len(high) else 0.0, 1e-3) * 1.1)
    axes.legend(fontsize=7)


def _slope(form: str, rate: float, at_age: float, slope: float, ages: Floats) -> Floats:
    step = 0.25
    return (expected(form, rate, at_age, slope, ages + step) - expected(form, rate, at_age, slope, ages - step)) / (
        2 * step
    )
