"""What drives the engines: weather, demand by the hour, and the track of an engine's steps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators import demand
from simulators.engine import Floats, Track
from simulators.weather import DAY_S, LOCAL_S, Storm, Weather
from tests.unit.play import Dry

START = 1_795_000_500.0


# ------------------------------------------------------------------------------------------------------------ weather


@given(st.floats(60, 86_400), st.floats(0.5, 300), st.floats(0.05, 0.95), st.floats(0, 2e9))
def test_a_storm_is_the_same_whenever_it_comes_and_swells_to_its_peak(
    lasts: float, depth: float, share: float, start: float
) -> None:
    start = round(start)
    storm, twice, now = (
        Storm(start, lasts, depth, share),
        Storm(start, lasts, 2 * depth, share),
        Storm(0, lasts, depth, share),
    )
    times = np.linspace(0, 1, 41)[:-1] * lasts
    rain = np.array([storm.intensity(start + time) for time in times])
    np.testing.assert_allclose(rain, [now.intensity(time) for time in times], rtol=1e-4)
    np.testing.assert_allclose(2 * rain, [twice.intensity(start + time) for time in times])
    rising = times < share * lasts * 0.999
    assert (np.diff(rain[rising]) >= -1e-9).all()
    assert (np.diff(rain[times > share * lasts * 1.001]) <= 1e-9).all()


def test_showers_come_about_one_day_in_three_and_stay_showers() -> None:
    weather = Weather(5)
    rain = np.array([weather.rain(START + 900 * step) for step in range(96 * 400)]).reshape(400, 96)
    wet = (rain > 0).any(axis=1).mean()
    assert 0.3 < wet < 0.6  # a shower past midnight wets two days
    assert (rain.sum(axis=1) / 4).max() < 30
    assert rain.min() == 0.0


def test_storms_add_up_and_one_that_is_not_there_can_be_taken_away() -> None:
    weather = Dry(1)
    weather.add("a", Storm(START, 3600, 10))
    weather.add("b", Storm(START, 3600, 20))
    both = weather.rain(START + 1000)
    weather.remove("a")
    assert weather.rain(START + 1000) == pytest.approx(both * 2 / 3)
    weather.remove("a")
    weather.remove("never")
    weather.add("b", Storm(START, 3600, 5))
    assert weather.rain(START + 1000) == pytest.approx(both / 6)


def test_the_year_is_hottest_in_july_and_the_day_in_the_afternoon_of_hefei() -> None:
    weather = Weather(2)
    days = np.array([np.mean([weather.air_c(DAY_S * day + 3600 * h) for h in range(0, 24, 6)]) for day in range(3652)])
    smooth = np.convolve(np.tile(days[: 10 * 365].reshape(10, 365).mean(axis=0), 3), np.ones(31) / 31, "same")[365:730]
    assert 190 <= smooth.argmax() <= 212
    assert days.mean() == pytest.approx(16.5, abs=0.3)
    hours = np.array([[weather.air_c(DAY_S * day + 3600 * h - LOCAL_S) for h in range(24)] for day in range(300)])
    assert hours.mean(axis=0).argmax() in (14, 15, 16)


# ----------------------------------------------------------------------------------------------------- demand, tracks


@given(st.floats(-1e9, 4e9), st.sampled_from(list(demand.SHAPES)))
def test_demand_repeats_every_week_and_has_no_jumps(time: float, kind: str) -> None:
    factors = demand.week(kind, np.random.default_rng(1))
    here = demand.at(factors, time)
    assert factors.min() <= here <= factors.max()
    assert demand.at(factors, time + 7 * DAY_S) == pytest.approx(here, abs=1e-6)
    assert demand.at(factors, time + 1) == pytest.approx(here, abs=0.002)
    assert 0 <= demand.week_step(time) < 672


def test_works_rest_at_the_weekend_and_shops_do_not() -> None:
    def weekend_share(kind: str) -> float:
        days = demand.week(kind, np.random.default_rng(3)).reshape(7, 96).mean(axis=1)
        return float(days[5:].mean() / days[:5].mean())

    assert weekend_share("industrial") == pytest.approx(0.55, rel=0.05)
    assert weekend_share("commercial") == pytest.approx(1.15, rel=0.05)


class Square:
    """An engine whose value is the square of the time."""

    def __init__(self) -> None:
        self.closed = False

    def step(self, to: float) -> Floats:
        return np.array([to * to])

    def disturb(self, effect: str, asset: str, amount: float) -> None:
        raise KeyError(effect)

    def close(self) -> None:
        self.closed = True


def test_a_track_gives_the_older_of_its_two_steps_for_any_time_before_them() -> None:
    track = Track(Square(), 0.0, 10.0)
    assert track.at(25.0)[0] == pytest.approx((400 + 900) / 2)
    assert track.at(-1e9)[0] == track.at(20.0)[0] == 400.0


def test_a_track_that_steps_more_finely_from_now_on_finishes_its_step_first() -> None:
    track = Track(Square(), 0.0, 300.0)
    track.at(100.0)
    track.every_s = 10.0
    assert track.at(299.0)[0] == pytest.approx(300.0 * 299)
    assert track.at(315.0)[0] == pytest.approx((310**2 + 320**2) / 2)


def test_a_track_that_starts_anew_forgets_the_step_ahead() -> None:
    track = Track(Square(), 0.0, 300.0)
    track.at(100.0)
    track.restart(120.0)
    assert track.at(120.0)[0] == 120.0**2
    assert track.at(210.0)[0] == pytest.approx((120**2 + 300**2) / 2)
