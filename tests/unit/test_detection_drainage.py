"""Blockages, floods, overflows, pumps: what the detectors say of sewers, wells and rain."""

import numpy as np

from lifeline.model import Level
from lifeline.storage.window import AssetRow
from tests.unit.replayed_city import DAY_S, QUARTER_S, RULES, START, City, chain, minutes, sensor, water_week


def sewer(live: np.ndarray, rain: np.ndarray) -> list[tuple[str, int, Level]]:
    """Two levels on one sewer and a gauge: a week of dry weather with one shower, then ``live`` at a minute each."""
    rows = [sensor(1, "level", "drainage", 1), sensor(2, "level", "drainage", 3), sensor(3, "rain", "drainage")]
    city = City(rows, chain(3, "drainage"))
    times = START + QUARTER_S * np.arange(8 * 96) + QUARTER_S
    rng = np.random.default_rng(4)
    shower = np.zeros(len(times))
    shower[300:304] = 8.0
    depth = (
        0.2 + 0.03 * np.sin(2 * np.pi * times / DAY_S) + 0.02 * np.convolve(shower, np.exp(-np.arange(8)))[: len(times)]
    )
    levels = depth[:, None] + rng.normal(0, 0.002, (len(times), 2))
    history = np.column_stack([levels, shower])
    city.learn(history, times)
    more = np.column_stack([live, rain])
    return city.play(np.concatenate([history, more]), np.append(times, minutes(times[-1], len(live))), times[-1])


def test_high_above_and_low_below_in_dry_weather_is_a_blockage() -> None:
    live = np.full((90, 2), 0.2)
    live[20:, 0] = np.linspace(0.2, 1.0, 70)
    assert ("sewer.blockage", 1, Level.YELLOW) in sewer(live, np.zeros(90))


def test_high_everywhere_in_rain_is_no_blockage_and_a_storm_beyond_what_was_learned_has_no_expectation() -> None:
    live = np.full((90, 2), 0.2)
    live[20:] = np.linspace(0.2, 1.2, 70)[:, None]
    rules = {rule for rule, _, _ in sewer(live, np.where(np.arange(90) > 10, 60.0, 0.0))}
    assert "sewer.blockage" not in rules
    assert "sewer.response" not in rules


def test_a_manhole_that_fills_up_is_told_before_it_overflows() -> None:
    city = City([sensor(1, "level", "drainage")], [])
    values = np.concatenate([np.full(60, 1.0), 1.0 + 0.04 * np.arange(1, 51)])[:, None]
    times = minutes(START, len(values))
    city.play(values, times, START)
    (warned,) = [e for e in city.replay.book.episodes.values() if "sewer.overflow" in e.rules]
    (full,) = np.flatnonzero(values[:, 0] >= 2.99)[:1]
    assert warned.raised_at < times[full]


def test_the_limit_of_a_score_is_not_told_as_a_limit_of_the_value() -> None:
    """Minutes to the overflow are no metres: the page would say that 2 m are above the limit of 30 m."""
    city = City([sensor(1, "level", "drainage")], [], [rule for rule in RULES if rule.id == "sewer.overflow"])
    values = np.concatenate([np.full(60, 1.0), 1.0 + 0.04 * np.arange(1, 51)])[:, None]
    city.play(values, minutes(START, len(values)), START)
    (warned,) = city.replay.book.episodes.values()
    assert warned.alert.evidence["score_limit"] in (5.0, 15.0, 30.0, 60.0)
    assert "limit" not in warned.alert.evidence


def test_a_rise_within_the_pipe_is_no_forecast_of_an_overflow_and_one_in_the_shaft_is() -> None:
    """Manholes of 3 m on a sewer of 1.5 m: while its pipe is not nearly full there is room."""
    pipe = AssetRow(101, "P-1", "drainage", "pipe", 1, 2, 200.0, 1500.0, {})
    rows = [sensor(n, "level", "drainage", n) for n in (1, 2)]
    times = minutes(START, 110)
    for start, told in ((0.6, False), (1.3, True)):
        city = City(rows, [*chain(2, "drainage")[:2], pipe])
        rising = np.concatenate(
            [np.full(60, start), start + np.minimum(0.05 * np.arange(1, 51), 0.55 if not told else 1.2)]
        )
        city.play(np.column_stack([rising, np.full(110, 0.2)]), times, START)
        assert any("sewer.overflow" in one.rules for one in city.replay.book.episodes.values()) is told


def test_a_single_wild_reading_does_not_keep_a_forecast_of_an_overflow_once_the_water_is_low_again() -> None:
    city = City([sensor(n, "level", "drainage", n) for n in (1, 2)], chain(2, "drainage"))
    history, times = water_week(2)
    city.learn(history / 100, times)
    rng = np.random.default_rng(4)
    level = np.concatenate([np.full(60, 0.3), 0.3 + 0.06 * np.arange(1, 31), np.full(60, 0.3)])
    values = np.column_stack([level, np.full(150, 0.3)]) + rng.normal(0, 0.002, (150, 2))
    values[92, 0] = 2.95
    live = minutes(times[-1], 150)
    city.play(np.concatenate([history / 100, values]), np.concatenate([times, live]), times[-1])
    (warned,) = [one for one in city.replay.book.episodes.values() if "sewer.overflow" in one.rules]
    assert warned.raised_at <= live[90]
    assert warned.returned_at is not None
    assert warned.returned_at <= live[92] + 1200, "a quarter of an hour low is enough"


def test_a_loose_contact_that_is_now_and_then_beyond_a_limit_is_maintenance_and_no_flood() -> None:
    city = City([sensor(n, "level", "drainage", n) for n in (1, 2)], chain(2, "drainage"))
    history, times = water_week(2)
    city.learn(history / 100, times)
    live = minutes(times[-1], 180)
    rng = np.random.default_rng(4)
    values = 0.3 + rng.normal(0, 0.002, (180, 2))
    loose = rng.random(180) < 0.15
    values[loose, 0] = 2.99
    found = city.play(np.concatenate([history / 100, values]), np.concatenate([times, live]), times[-1])
    assert ("sensor.jumps", 1, Level.BLUE) in found
    assert "level.high" not in {rule for rule, _, _ in found}
    flood = City([sensor(n, "level", "drainage", n) for n in (1, 2)], chain(2, "drainage"))
    flood.learn(history / 100, times)
    values[90:, 0] = 2.99
    told = flood.play(np.concatenate([history / 100, values]), np.concatenate([times, live]), times[-1])
    assert ("level.high", 1, Level.RED) in told


def station(history: np.ndarray, values: np.ndarray, well: bool) -> set[tuple[str, int, Level]]:
    """A pump's current, and where ``well`` the level of the well that it draws from, which starts it at 1.6 m."""
    pump = AssetRow(2, "U-1", "drainage", "pump", 1, 3, None, None, {"start_level_m": 1.6} if well else {})
    nodes = [AssetRow(n, f"N-{n}", "drainage", "chamber", None, None, None, None, {}) for n in (1, 3)]
    rows = [sensor(1, "pump_current", "drainage", 2), sensor(2, "level", "drainage", 1 if well else 3)]
    city = City(rows, [nodes[0], pump, nodes[1]])
    times = START + QUARTER_S * np.arange(1, len(history) + 1)
    city.learn(history, times)
    live = minutes(times[-1], len(values))
    return set(city.play(np.concatenate([history, values]), np.concatenate([times, live]), times[-1]))


def cycling(count: int) -> np.ndarray:
    """A well that is pumped from 1.6 m to 0.6 m twice an hour, at a reading a quarter or a minute."""
    phase = np.arange(count) % 30 / 30
    running = phase > 0.7
    level = np.where(running, 1.6 - (phase - 0.7) / 0.3, 0.6 + phase / 0.7)
    noise = np.random.default_rng(5).normal(0, 0.02, count)
    return np.column_stack([np.where(running, 6.8, 0.0) + np.abs(noise), level + noise / 10])


def test_a_well_that_is_pumped_up_and_down_is_no_overflow_and_its_sensors_are_not_sick() -> None:
    assert station(cycling(8 * 96), cycling(240), well=True) == set()


def test_a_well_that_rises_a_little_further_until_its_pump_draws_is_no_overflow() -> None:
    values = cycling(240) * np.array([1.0, 1.08])
    assert values[:, 1].max() > 1.7, "ten centimetres above the level that starts the pump"
    assert station(cycling(8 * 96), values, well=True) == set()


def test_a_pump_that_stands_still_above_its_start_level_has_failed() -> None:
    values = cycling(240)
    values[150:, 0] = 0.0
    values[150:, 1] = np.minimum(1.2 + 0.02 * np.arange(90), 2.6)
    found = station(cycling(8 * 96), values, well=True)
    assert ("pump.failure", 1, Level.ORANGE) in found


def test_a_pump_that_runs_and_moves_nothing_is_told_in_the_rain_by_what_it_draws() -> None:
    """It rains so much that more may come than the pump moves: only its motor says that it lifts none of it."""
    pump = AssetRow(2, "U-1", "drainage", "pump", 1, 3, None, None, {"start_level_m": 1.6})
    nodes = [AssetRow(n, f"N-{n}", "drainage", "chamber", None, None, None, None, {}) for n in (1, 3)]
    rows = [sensor(1, "pump_current", "drainage", 2), sensor(2, "level", "drainage", 1), sensor(3, "rain", "drainage")]
    times = START + QUARTER_S * np.arange(1, 8 * 96 + 1)
    history = np.column_stack([cycling(8 * 96), np.zeros(8 * 96)])
    live = minutes(times[-1], 60)
    for amperes, told in ((6.8, False), (2.3, True)):
        city = City(rows, [nodes[0], pump, nodes[1]], [rule for rule in RULES if rule.id == "pump.failure"])
        city.learn(history, times)
        busy = np.column_stack([np.full(60, amperes), 1.7 + 0.015 * np.arange(60), np.full(60, 6.0)])
        busy[:30] = np.column_stack([cycling(30), np.full(30, 6.0)])
        city.play(np.concatenate([history, busy]), np.append(times, live), times[-1])
        found = list(city.replay.book.episodes.values())
        assert [one.alert.level for one in found] == [Level.ORANGE] * told
        for one in found:
            assert one.raised_at <= live[33]
            assert one.alert.evidence["fault"] == "moves nothing"
            assert 6.8 <= one.alert.evidence["expected"] < 6.82


def test_a_pump_that_always_ran_has_failed_where_it_stands_still_and_one_that_rests_now_and_then_has_not() -> None:
    always = np.column_stack([6.8 + 0.1 * np.sin(np.arange(8 * 96)), np.full(8 * 96, 0.3)])
    still = np.column_stack([np.where(np.arange(120) < 60, 6.8, 0.0), np.full(120, 0.3)])
    assert ("pump.failure", 1, Level.ORANGE) in station(always, still, well=False)
    resting = always.copy()
    resting[::5, 0] = 0.0
    assert "pump.failure" not in {rule for rule, _, _ in station(resting, still, well=False)}


def higher_by(metres: float, count: int, rows: int = 90) -> dict[str, Level]:
    """What is told of two levels that in dry weather stand so much higher for so many minutes."""
    live = np.full((rows, 2), 0.2)
    live[20 : 20 + count] += metres
    return {rule: level for rule, _, level in sewer(live, np.zeros(rows)) if rule == "sewer.response"}


def test_a_little_more_water_that_goes_by_is_blue_and_what_stays_is_yellow() -> None:
    assert higher_by(0.11, 8) == {"sewer.response": Level.BLUE}
    assert higher_by(0.11, 40) == {"sewer.response": Level.YELLOW}


def test_a_silent_gauge_means_that_nothing_is_known_of_dry_weather() -> None:
    live = np.full((90, 2), 0.2)
    live[20:, 0] = np.linspace(0.2, 1.0, 70)
    assert "sewer.blockage" not in {rule for rule, _, _ in sewer(live, np.full(90, np.nan))}


def as_gauged(mm_h: np.ndarray, every: int) -> np.ndarray:
    """Rain of each minute as a gauge tells it that speaks every so many minutes: the mean since it spoke last."""
    told = np.full(len(mm_h), np.nan)
    told[every - 1 :: every] = mm_h[: len(mm_h) // every * every].reshape(-1, every).mean(axis=1)
    return told


def test_rain_explains_a_sewer_before_a_slow_gauge_has_told_of_it() -> None:
    """Between two readings of a gauge that speaks every five minutes nobody knows whether it rains."""
    shower = np.where((np.arange(90) >= 20) & (np.arange(90) < 25), 24.0, 0.0)
    passed = np.clip(np.arange(90) - 24, 0, None) / 15
    live = np.repeat(0.2 + 0.032 * (np.cumsum(shower) / 24 * np.exp(-passed))[:, None], 2, axis=1)
    for every in (1, 5):
        assert sewer(live, as_gauged(shower, every)) == [], every
    assert {rule for rule, _, _ in sewer(live, as_gauged(0 * shower, 5))} == {"sewer.response"}
