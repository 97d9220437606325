"""Calibration: known parameters come back from simulated records, and few breaks leave the catalogue nearly alone."""

import math
from dataclasses import replace

import numpy as np
import pytest

from lifeline.errors import ConfigurationError
from lifeline.planning import calibration_plot
from lifeline.planning.calibration import FORMS, Record, by_age, calibrate, content, expected
from lifeline.risk.deterioration import shipped_deterioration

CATALOGUE = shipped_deterioration()
NAMES = ("grey_cast_iron", "steel", "ductile_iron", "asbestos_cement")


def simulated(form: str, rate: float, at_age: float, slope: float, pipes: int, years: float, seed: int) -> Record:
    """Breaks of a Poisson process with that rate, on pipes observed for some years up to a random age."""
    rng = np.random.default_rng(seed)
    last = rng.uniform(5, 90, pipes)
    first = np.maximum(last - years, 0)
    km = rng.uniform(0.05, 0.4, pipes)
    ages = []
    top = {"exponential": lambda age: rate * math.exp(slope * (age - at_age)),
           "power": lambda age: rate * (age / at_age) ** (slope - 1)}[form]  # fmt: skip
    for low, high, length in zip(first, last, km, strict=True):
        most = max(top(high), top(low)) * length  # thinning: both forms are monotone
        for age in rng.uniform(low, high, rng.poisson(most * (high - low))):
            if rng.random() < top(age) * length / most:
                ages.append(age)
    return Record(first, last, km, np.array(ages))


@pytest.mark.parametrize(
    ("form", "rate", "slope", "tolerance"), [("exponential", 0.3, 0.05, 0.006), ("power", 0.3, 2.2, 0.25)]
)
def test_known_parameters_come_back_and_the_true_form_wins(form, rate, slope, tolerance):
    record = simulated(form, rate, 60.0, slope, 6000, 12, seed=3)
    assert len(record.ages) > 1000
    (fit,) = calibrate({"grey_cast_iron": record}, CATALOGUE)
    assert fit.form == form
    assert fit.fits[form].rate == pytest.approx(rate, rel=0.1)
    assert fit.fits[form].slope == pytest.approx(slope, abs=tolerance)
    assert fit.fits[form].p_value > 0.01
    other = next(each for each in FORMS if each != form)
    assert fit.fits[other].aic > fit.fits[form].aic


def test_a_class_with_few_breaks_is_drawn_to_the_catalogue_and_one_with_many_is_not():
    known = CATALOGUE.classes[CATALOGUE.index["steel"]]
    errors = []
    for pipes in (10, 4000):
        record = simulated("exponential", known.rate * 6, known.at_age, known.growth, pipes, 10, seed=5)
        (fit,) = calibrate({"steel": record}, CATALOGUE)
        errors.append(abs(math.log(fit.fits["exponential"].rate / (known.rate * 6))))
    assert errors[1] < 0.15 < errors[0] < math.log(6) + 0.1


def test_a_class_without_a_break_keeps_the_catalogues_form_and_a_lower_rate():
    silent = replace(simulated("exponential", 0.1, 40, 0.03, 300, 10, seed=2), ages=np.array([]))
    broken = simulated("exponential", 0.3, 60, 0.04, 300, 10, seed=1)
    fits = {fit.name: fit for fit in calibrate({"pe": silent, "steel": broken}, CATALOGUE)}
    known = CATALOGUE.classes[CATALOGUE.index["pe"]]
    assert fits["pe"].form == known.form
    assert 0 < fits["pe"].fits["exponential"].rate < known.rate


def test_cities_unlike_the_catalogue_widen_the_prior_for_the_class_with_few_breaks():
    def rate_of_last(factor: float) -> float:
        records = {
            name: simulated("exponential", CATALOGUE.classes[CATALOGUE.index[name]].rate * factor,
                            CATALOGUE.classes[CATALOGUE.index[name]].at_age, 0.035, 1500, 10, seed=at)
            for at, name in enumerate(NAMES[:3])
        }  # fmt: skip
        few = Record(np.full(40, 35.0), np.full(40, 45.0), np.full(40, 0.1), np.full(9, 40.0))
        fits = {fit.name: fit for fit in calibrate({**records, "asbestos_cement": few}, CATALOGUE)}
        return math.log(fits["asbestos_cement"].fits["exponential"].rate)

    own = math.log(9 / (40 * 0.1 * 10))
    assert abs(rate_of_last(5.0) - own) < abs(rate_of_last(1.0) - own)


def test_a_wrong_form_shows_in_the_goodness_of_fit():
    rng = np.random.default_rng(1)
    n = 4000
    last, first, km = np.full(n, 80.0), np.zeros(n), np.full(n, 0.2)
    bathtub = np.concatenate([rng.uniform(0, 3, 1500), rng.uniform(70, 80, 1500), rng.uniform(0, 80, 200)])
    (fit,) = calibrate({"steel": Record(first, last, km, bathtub)}, CATALOGUE)
    assert fit.fits[fit.form].p_value < 1e-6


def test_breaks_and_exposure_are_counted_by_age():
    record = Record(np.array([0.0, 10.0]), np.array([20.0, 30.0]), np.array([1.0, 2.0]), np.array([5.0, 15.0, 25.0]))
    breaks, exposure = by_age(record, np.array([0.0, 10.0, 20.0, 30.0]))
    assert breaks.tolist() == [1, 1, 1]
    assert exposure.tolist() == [10, 30, 20]


def test_what_is_stored_is_read_back_as_the_catalogue_that_was_fitted():
    record = simulated("power", 0.4, 60, 2.0, 800, 12, seed=9)
    fits = calibrate({"grey_cast_iron": record}, CATALOGUE)
    fitted = CATALOGUE.fitted(content(fits, CATALOGUE)["classes"], 4)
    known = fitted.classes[fitted.index["grey_cast_iron"]]
    assert known.form == fits[0].form
    assert known.rate == fits[0].fits[known.form].rate
    assert known.shape == fits[0].fits["power"].slope
    assert expected("power", 1.0, 10.0, 2.0, np.array([10.0]))[0] == pytest.approx(5.0)


def test_without_a_break_there_is_nothing_to_fit():
    record = replace(simulated("exponential", 0.3, 60, 0.04, 20, 10, seed=1), ages=np.array([]))
    with pytest.raises(ConfigurationError, match="no break on record"):
        calibrate({"steel": record}, CATALOGUE)


def test_the_plot_names_its_classes_and_says_which_file_it_cannot_write(tmp_path):
    records = {name: simulated("exponential", 0.3, 60, 0.04, 300, 10, seed=1) for name in NAMES[:2]}
    fits = calibrate(records, CATALOGUE)
    calibration_plot.draw(tmp_path / "rates.svg", fits, records, CATALOGUE)
    text = (tmp_path / "rates.svg").read_text()
    assert all(f"{name}: " in text for name in NAMES[:2])
    assert "failures per km and year" in text
    with pytest.raises(ConfigurationError, match=r"rates\.xyz"):
        calibration_plot.draw(tmp_path / "rates.xyz", fits, records, CATALOGUE)
