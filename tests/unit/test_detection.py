"""From scores to findings, and the detectors that need a scene: chambers, mains, health."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.detection import DETECTORS
from alerts.learning import PART_MOST, _packed
from alerts.rules import parse_rules
from alerts.scene import one_of
from lifeline.errors import CatalogueError
from lifeline.model import Level
from lifeline.storage.window import Readings
from tests.unit.replayed_city import CATALOGUE, DAY_S, QUARTER_S, RULES, START, City, chain, minutes, sensor, water_week


@pytest.fixture
def mains() -> tuple[City, np.ndarray, np.ndarray, float]:
    """Six pressures on one main, learned; and three hours more at a reading a minute."""
    city = City([sensor(n, "pressure", "water", n) for n in range(1, 7)], chain(6, "water"))
    history, times = water_week(6)
    city.learn(history, times)
    live = minutes(times[-1], 180)
    rng = np.random.default_rng(2)
    cycle = 30 + 3 * np.sin(2 * np.pi * live / DAY_S)
    values = cycle[:, None] + np.arange(6) + rng.normal(0, 0.05, (180, 6))
    return city, np.concatenate([history, values]), np.concatenate([times, live]), times[-1]


def test_every_rule_that_ships_has_a_detector() -> None:
    assert {rule.detector for rule in RULES} == DETECTORS.keys()


def test_a_burst_felt_by_several_sensors_is_one_alert_that_names_the_nearest_pipe(
    mains: tuple[City, np.ndarray, np.ndarray, float],
) -> None:
    city, values, times, live = mains
    values[times > live + 3600] -= np.array([0.1, 0.4, 2.0, 6.0, 2.0, 0.4])
    found = city.play(values, times, live)
    assert ("pressure.burst", 4, Level.ORANGE) in found
    assert [rule for rule, _, _ in found].count("pressure.burst") == 1
    (alert,) = [e.alert for e in city.replay.book.episodes.values() if e.alert.rule == "pressure.burst"]
    assert alert.evidence["pipes"][0]["asset"] in ("P-3", "P-4")
    assert alert.evidence["baseline"]


def test_a_quiet_day_and_a_change_that_all_sensors_share_raise_nothing(
    mains: tuple[City, np.ndarray, np.ndarray, float],
) -> None:
    city, values, times, live = mains
    values[times > live + 3600] -= 3.0
    assert [rule for rule, _, _ in city.play(values, times, live) if rule == "pressure.burst"] == []


def test_one_sensor_that_falls_alone_is_no_burst(mains: tuple[City, np.ndarray, np.ndarray, float]) -> None:
    city, values, times, live = mains
    values[times > live + 3600, 2] -= 6.0
    assert "pressure.burst" not in {rule for rule, _, _ in city.play(values, times, live)}


def test_the_sudden_fall_rule_speaks_only_until_the_burst_detector_has_learned() -> None:
    values = np.full((120, 1), 30.0)
    values[60:] = 15.0
    times = minutes(START, 120)
    untaught = City([sensor(1, "pressure", "water", 1)], chain(2, "water"))
    assert "pressure.fall" in {rule for rule, _, _ in untaught.play(values, times, START)}


def methane(last: np.ndarray, others: np.ndarray | None = None) -> list[tuple[str, int, Level]]:
    """Three hours of methane in a chamber, and beside it of a neighbour 100 m away."""
    rows = [sensor(1, "methane", "gas"), sensor(2, "methane", "gas", metres=100.0)]
    calm = np.full(len(last), 0.02) if others is None else others
    times = minutes(START, len(last))
    return City(rows, []).play(np.column_stack([last, calm]), times, START)


def test_low_steady_methane_is_biogas_and_blue_whatever_the_ladder_says() -> None:
    rng = np.random.default_rng(3)
    slow = np.linspace(0.3, 0.6, 600) + rng.normal(0, 0.004, 600)
    assert set(methane(slow)) == {("methane.level", 1, Level.BLUE)}


def test_a_sewer_that_gives_off_a_little_on_a_warm_day_is_no_event() -> None:
    rng = np.random.default_rng(5)
    day = 0.24 - 0.05 * np.cos(2 * np.pi * np.arange(1440) / 1440) + rng.normal(0, 0.004, 1440)
    assert (day > 0.26).mean() > 0.2, "it is above the lowest limit for hours"
    assert methane(day) == []


def test_a_little_gas_of_which_nothing_is_known_yet_is_told() -> None:
    assert methane(np.full(20, 0.3)) == [("methane.level", 1, Level.BLUE)]


def test_a_leak_that_grows_keeps_its_level() -> None:
    leak = np.concatenate([np.full(120, 0.02), np.linspace(0.02, 3.0, 10), 3 + 0.5 * np.sin(np.arange(50))])
    found = methane(leak)
    assert ("methane.level", 1, Level.RED) in found


def sewer(sulphide: np.ndarray) -> dict[str, Level]:
    """Worst level by rule: methane in a manhole rises to 44 %LEL, at last by 1.3 %LEL a minute; H2S in ppm."""
    rng = np.random.default_rng(7)
    gas = SEWER * (1 + rng.normal(0, 0.004, len(SEWER)))
    rows = [sensor(1, "methane", "drainage", 1), sensor(2, "h2s", "drainage", 1)]
    times = minutes(START, len(SEWER))
    found = City(rows, chain(1, "drainage")).play(np.column_stack([gas, sulphide]), times, START)
    return {rule: level for rule, number, level in found if number == 1}


SEWER = np.concatenate([np.linspace(0.2, 1.6, 170), 1.6 + 0.065 * np.arange(1, 11), np.full(20, 2.25)])
"""%VOL, minute by minute."""


def test_methane_that_comes_with_hydrogen_sulphide_is_biogas_however_fast_and_beside_a_steady_one_a_leak() -> None:
    assert sewer(4.0 * SEWER) == {"methane.level": Level.YELLOW}
    steady = 9.0 + np.random.default_rng(8).normal(0, 0.2, len(SEWER))
    assert sewer(steady) == {"methane.level": Level.ORANGE, "methane.rise": Level.ORANGE}


def test_a_leak_into_a_chamber_without_a_sensor_of_hydrogen_sulphide_grows_milder_at_no_moment() -> None:
    rng = np.random.default_rng(6)
    gas = np.concatenate([np.full(120, 0.02), 0.02 + 0.06 * np.arange(30)]) + rng.normal(0, 0.004, 150)
    city = City([sensor(1, "methane", "gas")], [])
    city.play(gas[:, None], minutes(START, 150), START)
    (alert,) = city.replay.book.episodes.values()
    assert "methane.rise" in alert.rules
    told = [level for _, level in alert.levels]
    assert told == sorted(told, reverse=True)


def test_two_chambers_that_rise_together_are_one_alert_more() -> None:
    calm = np.full(120, 0.02)
    rise = np.concatenate([calm, 0.02 + 0.03 * np.arange(40)])
    found = methane(rise, np.concatenate([calm, 0.02 + 0.02 * np.arange(40)]))
    assert [one for one in found if one[0] == "methane.neighbours"] == [("methane.neighbours", 1, Level.ORANGE)]
    assert "methane.neighbours" not in {rule for rule, _, _ in methane(rise)}


def test_a_pressure_that_stands_still_is_sick_within_the_hour_and_no_evidence_of_a_burst(
    mains: tuple[City, np.ndarray, np.ndarray, float],
) -> None:
    city, values, times, live = mains
    stuck = times > live + 1800
    values[stuck, 2] = values[np.flatnonzero(stuck)[0], 2]
    found = city.play(values, times, live)
    assert {(rule, sensor_id) for rule, sensor_id, _ in found} == {("sensor.flatline", 3)}
    (alert,) = city.replay.book.episodes.values()
    assert alert.raised_at - live - 1800 <= 75 * 60


def anomaly(off: np.ndarray, hours: int = 6) -> set[tuple[str, int]]:
    """Six pressures on one main, of which some leave both their hour and their neighbours, by ``off`` metres."""
    city = City([sensor(n, "pressure", "water", n) for n in range(1, 7)], chain(6, "water"))
    history, times = water_week(6)
    city.learn(history, times)
    live = minutes(times[-1], hours * 60)
    cycle = 30 + 3 * np.sin(2 * np.pi * live / DAY_S)
    values = cycle[:, None] + np.arange(6) + np.random.default_rng(3).normal(0, 0.05, (len(live), 6))
    values[live > live[0] + 3600] += off
    both = np.concatenate([history, values]), np.concatenate([times, live])
    return {(rule, sensor_id) for rule, sensor_id, _ in city.play(*both, times[-1], every_s=300.0)}


def test_what_two_sensors_of_a_network_show_is_one_anomaly_and_one_alone_is_none() -> None:
    assert {one for one in anomaly(np.array([0, 0, 2.0, 2.0, 0, 0])) if one[0] == "network.anomaly"} in (
        {("network.anomaly", 3)}, {("network.anomaly", 4)},
    )  # fmt: skip
    assert "network.anomaly" not in {rule for rule, _ in anomaly(np.array([0, 0, 2.0, 0, 0, 0]))}


def test_while_a_burst_is_open_its_network_is_not_reported_a_second_time() -> None:
    found = anomaly(-np.array([0.1, 0.4, 4.0, 6.0, 2.0, 0.4]))
    assert {rule for rule, _ in found} == {"pressure.burst"}


@pytest.mark.parametrize(
    ("times_usual", "settles", "found"), [(1.4, False, True), (1.4, True, False), (3.5, True, True)]
)
def test_a_network_that_settles_must_fall_twice_as_deep_before_that_is_a_burst(
    mains: tuple[City, np.ndarray, np.ndarray, float], times_usual: float, settles: bool, found: bool
) -> None:
    """Two of six pressures fall by so many times what no clean day showed, an hour after a pump had failed."""
    city, values, times, live = mains
    ((learned,),) = [known.part.mains for known in city.replay.detection.knowledge.parts]
    values[times > live + 3600, 2:4] -= times_usual * learned.sudden[2:4]
    if settles:
        city.replay.detection._open_at["pump.failure", 0] = live
    told = {rule for rule, _, _ in city.play(values[times <= live + 5400], times[times <= live + 5400], live)}
    assert ("pressure.burst" in told) is found


def test_after_a_burst_the_network_settles_for_hours_and_that_is_no_anomaly() -> None:
    """The burst is mended after an hour; what stays off is smaller than what was found."""
    city = City([sensor(n, "pressure", "water", n) for n in range(1, 7)], chain(6, "water"))
    history, times = water_week(6)
    city.learn(history, times)
    live = minutes(times[-1], 8 * 60)
    cycle = 30 + 3 * np.sin(2 * np.pi * live / DAY_S)
    values = cycle[:, None] + np.arange(6) + np.random.default_rng(3).normal(0, 0.05, (len(live), 6))
    hours = (live - live[0]) / 3600
    values[(hours > 1) & (hours < 2)] -= np.array([0.1, 0.4, 4.0, 6.0, 2.0, 0.4])
    values[hours >= 2] += np.array([0, 0, 2.0, 2.0, 0, 0])
    both = np.concatenate([history, values]), np.concatenate([times, live])
    assert {rule for rule, _, _ in city.play(*both, times[-1], every_s=300.0)} == {"pressure.burst"}


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 5000), min_size=1, max_size=12), st.integers(0, 300))
def test_parts_hold_whole_networks_and_no_more_sensors_than_they_may(sizes: list[int], unjoined: int) -> None:
    component = np.concatenate([np.full(unjoined, -1), *(np.full(size, n) for n, size in enumerate(sizes))])
    columns = np.arange(len(component))
    parts = _packed(columns, component)
    assert np.concatenate(parts).tolist() == columns.tolist()
    assert max(map(len, parts)) <= PART_MOST
    for number, size in enumerate(sizes):
        holding = sum(bool((component[part] == number).any()) for part in parts)
        assert holding == -(-size // PART_MOST) or size > PART_MOST


def test_a_small_leak_that_a_second_sensor_feels_now_and_then_is_one_alert(
    mains: tuple[City, np.ndarray, np.ndarray, float],
) -> None:
    """A fall that only the first sensor keeps up: the second feels it in every third quarter of an hour."""
    city, values, times, live = mains
    quarter = ((times - live) // QUARTER_S).astype(int)
    ((learned,),) = [known.part.mains for known in city.replay.detection.knowledge.parts]
    values[times > live + 1800, 2] -= 1.3 * learned.sudden[2]
    values[(times > live + 1800) & (quarter % 3 == 0), 3] -= 0.9 * learned.sudden[3]
    city.play(values, times, live)
    told = [one for one in city.replay.book.episodes.values() if "pressure.burst" in one.rules]
    assert len(told) == 1
    assert told[0].returned_at is None


SCORES = st.lists(
    st.lists(st.one_of(st.floats(-5, 5), st.just(float("nan"))), min_size=4, max_size=4), min_size=1, max_size=9
)


@given(SCORES, st.integers(-1, 3))
def test_one_sensor_speaks_for_its_group_and_hides_nothing_while_its_alert_is_open(
    rows: list[list[float]], held: int
) -> None:
    values = np.array(rows)
    told = one_of(values, np.arange(4) == held)
    spoke = np.flatnonzero(~np.isnan(told).all(axis=0))
    assert len(spoke) <= 1
    if held >= 0:
        assert set(spoke.tolist()) <= {held}
        assert np.array_equal(told[:, held], np.fmax.reduce(values, axis=1), equal_nan=True)
    elif len(spoke):
        assert np.array_equal(told[:, spoke[0]], values[:, spoke[0]], equal_nan=True)
        assert np.nanmax(told) == np.nanmax(values)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.one_of(st.floats(-1e4, 1e4), st.just(float("nan"))), min_size=1, max_size=40), st.integers(1, 7200))
def test_no_reading_whatever_breaks_a_tick(values: list[float], step: int) -> None:
    rows = [sensor(1, "methane", "gas"), sensor(2, "pressure", "water"), sensor(3, "level", "drainage")]
    times = START + step * np.arange(1.0, len(values) + 1)
    City(rows, []).play(np.column_stack([values] * 3), times, START, every_s=max(float(step), 60.0))


def test_a_clock_that_runs_backwards_breaks_nothing() -> None:
    city = City([sensor(1, "methane", "gas")], [])
    for at in (START, START + 600, START - 5000, START + 900):
        now = datetime.fromtimestamp(at, UTC) + timedelta(seconds=1)
        city.replay.run(Readings(np.array([1], np.int32), np.array([at]), np.array([3.0])), at - 60, at, 60.0)
        assert now


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("limits = { orange = 0.2 }", "limits = { orange = -1 }"), "limits of a score are above zero"),
        (("limits = { orange = 0.2 }", "limits = {}"), "limits are missing"),
        (("confirmed_s = 14400", "confirmed_s = 0"), "confirmed_s must lie between"),
        (("confirmed_s = 600 ", "confirmed_s = -600 "), "sewer.response.*confirmed_s must lie between"),
        (
            ('unless = ["pump.failure", "flow', 'unless = ["pump.falure", "flow'),
            "unless names 'pump.falure', and there is no such rule",
        ),
        (("confirmed_s = 14400", 'confirmed_s = 14400\nunless = ["pump.failure"]'), "blockage takes no unless"),
        (("c = 0.811", "c = -0.811"), "rain.heavy.*a, c and n of the formula are above zero"),
        (("c = 0.811", "c = 0"), "a, c and n of the formula are above zero"),
        (("b = 8, n", "b = -8, n"), "b of the formula is not below zero"),
        (
            ("blue = 0.5, yellow = 1, o", "blue = 0.05, yellow = 1, o"),
            "by the formula nothing falls once in 0.058 years",
        ),
        (("b = 8, n = 0.711", "b = 8"), "formula"),
        (('kind = "maintenance"\nfault', 'kind = "risk"\nfault'), "never a risk alert"),
        (('fault = "noise"', 'fault = "noise"\non_delay_s = 60'), "takes no delays"),
        (('quantities = ["pressure"', 'quantities = ["presure"'), "unknown quantity 'presure'"),
        (("deadband = 0.1\non_delay_s = 300", "deadband = 0.1\non_delay_s = 3000"), "delays must fit"),
    ],
)
def test_a_mistake_in_a_rule_is_named(change: tuple[str, str], told: str) -> None:
    from importlib import resources

    text = resources.files("alerts").joinpath("rules.toml").read_text(encoding="utf-8")
    assert change[0] in text
    with pytest.raises(CatalogueError, match=told):
        parse_rules(text.replace(*change), CATALOGUE, 3600)
