"""Leak or biogas: by the physics of a chamber and the statements of the Hefei study."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.detectors import biogas
from alerts.detectors.chambers import shared_rise

TIMES = 1.7e9 + 60.0 * np.arange(360)
ALONG = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], dtype=bool)


def chamber_leak(seed: int, start: int = 200, final: float = 3.0, gusts: float = 0.4) -> np.ndarray:
    """C(t) = C_bg + Q_leak/Q_vent (1 - exp(-Q_vent t / V)), with ventilation that gusts."""
    rng = np.random.default_rng(seed)
    t = np.maximum(np.arange(360) - start, 0) * 60
    gust = 1 + gusts * np.convolve(rng.normal(size=360), np.ones(10) / np.sqrt(10), "same")
    return 0.02 + final * (1 - np.exp(-t / 1200)) * np.maximum(gust, 0.1) + 0.005 * rng.normal(size=360)


def hot_day_biogas(seed: int, level: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Low, stable, following the temperature of the afternoon."""
    rng = np.random.default_rng(seed)
    temperature = 28 + 5 * np.sin(2 * np.pi * np.arange(360) / 720) + 0.1 * rng.normal(size=360)
    return level * (1 + 0.02 * (temperature - 28)) + 0.01 * rng.normal(size=360), temperature


@pytest.mark.parametrize("seed", range(20))
def test_a_leak_into_a_chamber_is_a_leak_and_biogas_in_hot_weather_is_not(seed):
    leak, near = chamber_leak(seed), chamber_leak(seed + 100, 220, 1.0)
    biogenic, temperature = hot_day_biogas(seed)
    methane = np.stack([leak, near, biogenic], axis=1)
    heat = np.stack([temperature] * 3, axis=1)
    sulphide = np.stack([np.zeros(360), np.zeros(360), np.full(360, 6.0)], axis=1)
    linked = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0]], dtype=bool)
    origin = biogas.classify(methane, TIMES, linked, heat, sulphide)
    assert (origin.leak[:2] > biogas.LEAK_FROM).all()
    assert origin.leak[2] < biogas.BIOGAS_BELOW


@pytest.mark.parametrize("seed", range(10))
def test_methane_alone_without_other_sensors_still_tells_them_apart(seed):
    biogenic, _ = hot_day_biogas(seed)
    methane = np.stack([chamber_leak(seed), biogenic], axis=1)
    origin = biogas.classify(methane, TIMES, np.zeros((2, 2), dtype=bool))
    assert origin.leak[0] > biogas.LEAK_FROM
    assert origin.leak[1] < biogas.BIOGAS_BELOW
    assert np.isnan(origin.votes[:, 3:]).all()


def beside(methane: np.ndarray, sulphide: np.ndarray) -> biogas.Origin:
    return biogas.classify(methane[:, None], TIMES, np.zeros((1, 1), bool), sulphide=sulphide[:, None])


@pytest.mark.parametrize(("gain", "vote"), [(0.5, 0.0), (1.5, -1.0), (20.0, -1.0)], ids=["little", "enough", "much"])
def test_hydrogen_sulphide_that_gains_with_methane_speaks_for_biogas_from_one_ppm_for_each_percent(gain, vote):
    methane = np.linspace(0.5, 2.5, 360)
    noise = 0.02 * np.random.default_rng(4).normal(size=360)
    column = biogas.FEATURES.index("with_sulphide")
    assert beside(methane, 1.0 + gain * methane + noise).votes[0, column] == pytest.approx(vote, abs=0.01)
    assert beside(methane, 60.0 - gain * methane + noise).votes[0, column] == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize("seed", range(10))
def test_hydrogen_sulphide_that_was_there_before_hides_no_leak(seed):
    steady = 20.0 + 0.5 * np.random.default_rng(seed).normal(size=360)
    assert beside(chamber_leak(seed), steady).leak[0] > biogas.LEAK_FROM


def test_clean_air_is_not_classified():
    air = 0.01 * np.abs(np.random.default_rng(1).normal(size=(360, 2)))
    assert np.isnan(biogas.classify(air, TIMES, np.zeros((2, 2), dtype=bool)).leak).all()


def test_every_feature_is_there_as_evidence():
    origin = biogas.classify(np.stack([chamber_leak(1)] * 3, axis=1), TIMES, ALONG)
    assert origin.features.shape == origin.votes.shape == (3, len(biogas.FEATURES))
    assert (np.abs(np.nan_to_num(origin.votes)) <= 1).all()
    assert origin.features[1, biogas.FEATURES.index("neighbours")] == 1


def test_neighbours_count_only_where_the_sensor_rises_itself():
    share = biogas.together(np.array([True, True, False]), ALONG)
    assert share.tolist() == [1.0, 0.5, 0.0]
    assert np.isnan(biogas.together(np.array([True]), np.array([[True]]))).all()


def test_chambers_that_rise_together_are_one_group():
    along = np.zeros((6, 6), dtype=bool)
    for left, right in ((0, 1), (1, 2), (3, 4)):
        along[left, right] = True
    assert biogas.rising_groups(np.array([True, True, True, True, False, True]), along) == [[0, 1, 2]]
    assert biogas.rising_groups(np.array([True, False, True, True, True, True]), along) == [[3, 4]]
    assert biogas.rising_groups(np.zeros(6, dtype=bool), along) == []


@given(st.floats(0.1, 20), st.floats(0, 2))
def test_the_rate_of_rise_is_in_percent_lel_per_minute(rate, level):
    methane = (level + 0.05 * rate * np.arange(30))[:, None]
    found = biogas.rate_of_rise(methane, TIMES[:30])
    np.testing.assert_allclose(found[4:, 0], rate, rtol=1e-6)


def test_one_step_is_not_a_rate_that_is_held():
    methane = np.zeros((60, 1))
    methane[30:] = 0.2
    held = (biogas.rate_of_rise(methane, TIMES[:60]) >= 1).sum()
    assert held <= 4


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 1), st.integers(0, 60), st.integers(0, 3))
def test_gaps_short_windows_and_no_sensors_are_no_error(missing, rows, sensors):
    methane = np.stack([chamber_leak(1)] * 3, axis=1)[:rows, :sensors]
    methane[np.random.default_rng(rows).random(methane.shape) < missing] = np.nan
    origin = biogas.classify(methane, TIMES[:rows], ALONG[:sensors, :sensors], methane * 10, methane)
    unknown = np.isnan(methane).all(axis=0)
    assert np.isnan(origin.leak[unknown]).all()
    said = origin.leak[~np.isnan(origin.leak)]
    assert ((said >= 0) & (said <= 1)).all()


@given(st.integers(0, 10_000), st.integers(1, 8), st.integers(0, 12))
def test_what_a_chamber_shares_is_the_lesser_of_its_rise_and_its_fastest_neighbours(seed, chambers, links):
    rng = np.random.default_rng(seed)
    rise = rng.normal(size=(5, chambers))
    rise[rng.random(rise.shape) < 0.2] = np.nan
    pairs = rng.integers(0, chambers, (links, 2))
    shared = shared_rise(rise, pairs)
    for row in range(len(rise)):
        for one in range(chambers):
            best = -np.inf
            for a, b in pairs.tolist():
                if one in (a, b):
                    best = np.fmax(best, np.fmin(rise[row, one], rise[row, b if one == a else a]))
            assert shared[row, one] == best
