"""From scores to findings, and the detectors that need a scene: chambers, mains, drains, health."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.detection import DETECTORS, Detection
from alerts.learning import PART_MOST, _packed, learn_part, parts_of
from alerts.replay import Replay, long_form
from alerts.rules import AnyRule, load_rules, parse_rules
from lifeline.catalogue import shipped_catalogue
from lifeline.errors import CatalogueError
from lifeline.model import Level
from lifeline.storage.window import AssetRow, DeviceRow, Readings, SensorRow

CATALOGUE = shipped_catalogue()
RULES = load_rules(CATALOGUE, 3600)
START = datetime(2026, 6, 1, tzinfo=UTC).timestamp()
DAY_S = 86_400.0
QUARTER_S = 900.0


def sensor(number: int, quantity: str, network: str, asset: int | None = None, metres: float = 0.0) -> SensorRow:
    place = 31.86 + metres / 111_195.0
    return SensorRow(number, 1, quantity, network, True, 3.0, {}, asset, 117.27, place, f"rtu/{quantity}.{number}")


def chain(count: int, network: str) -> list[AssetRow]:
    nodes = [AssetRow(n, f"N-{n}", network, "junction", None, None, None, None, {}) for n in range(1, count + 1)]
    pipes = [AssetRow(100 + n, f"P-{n}", network, "pipe", n, n + 1, 200.0, 150.0, {}) for n in range(1, count)]
    return nodes + pipes


class City:
    """A replay of one inventory at a reading a minute; played, it gives (rule, sensor id, worst level)."""

    def __init__(self, sensors: list[SensorRow], assets: list[AssetRow], rules: list[AnyRule] = RULES) -> None:
        self.detection = Detection(rules, CATALOGUE, 3600)
        self.detection.set_inventory(sensors, [DeviceRow(1, None, "unknown", None)], assets)
        self.ids = np.array([row.sensor_id for row in sensors], np.int32)
        self.replay = Replay(self.detection, lambda _now: [DeviceRow(1, None, "unknown", None)])

    def learn(self, values: np.ndarray, times: np.ndarray) -> None:
        detection, parts = self.detection, []
        for columns in parts_of(detection.inventory, detection.topology).values():
            part = learn_part(
                detection.inventory, detection.topology, columns, values[:, columns], times, [], times[-1]
            )
            parts.append(part)
        detection.set_knowledge(parts)

    def play(
        self, values: np.ndarray, times: np.ndarray, first: float, every_s: float = 60.0
    ) -> list[tuple[str, int, Level]]:
        readings = long_form(values, times, self.ids)
        self.replay.start(readings, first)
        self.replay.run(readings, first, float(times[-1]), every_s)
        episodes = self.replay.book.episodes.values()
        return [(rule, one.alert.subject.id, one.worst) for one in episodes for rule in one.rules]


def water_week(sensors: int, days: float = 8.0) -> tuple[np.ndarray, np.ndarray]:
    """Pressures that share a daily cycle, with noise of 5 cm."""
    times = START + QUARTER_S * np.arange(int(days * 96)) + QUARTER_S
    rng = np.random.default_rng(1)
    cycle = 30 + 3 * np.sin(2 * np.pi * times / DAY_S)
    return cycle[:, None] + np.arange(sensors) + rng.normal(0, 0.05, (len(times), sensors)), times


def minutes(begin: float, count: int) -> np.ndarray:
    return begin + 60.0 * np.arange(1, count + 1)


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


def test_two_chambers_that_rise_together_are_one_alert_more() -> None:
    calm = np.full(120, 0.02)
    rise = np.concatenate([calm, 0.02 + 0.03 * np.arange(40)])
    found = methane(rise, np.concatenate([calm, 0.02 + 0.02 * np.arange(40)]))
    assert [one for one in found if one[0] == "methane.neighbours"] == [("methane.neighbours", 1, Level.ORANGE)]
    assert "methane.neighbours" not in {rule for rule, _, _ in methane(rise)}


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


def test_a_pump_that_always_ran_has_failed_where_it_stands_still_and_one_that_rests_now_and_then_has_not() -> None:
    always = np.column_stack([6.8 + 0.1 * np.sin(np.arange(8 * 96)), np.full(8 * 96, 0.3)])
    still = np.column_stack([np.where(np.arange(120) < 60, 6.8, 0.0), np.full(120, 0.3)])
    assert ("pump.failure", 1, Level.ORANGE) in station(always, still, well=False)
    resting = always.copy()
    resting[::5, 0] = 0.0
    assert "pump.failure" not in {rule for rule, _, _ in station(resting, still, well=False)}


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


def test_a_silent_gauge_means_that_nothing_is_known_of_dry_weather() -> None:
    live = np.full((90, 2), 0.2)
    live[20:, 0] = np.linspace(0.2, 1.0, 70)
    assert "sewer.blockage" not in {rule for rule, _, _ in sewer(live, np.full(90, np.nan))}


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
        (
            ('unless = ["pump.failure", "flow', 'unless = ["pump.falure", "flow'),
            "unless names 'pump.falure', and there is no such rule",
        ),
        (("confirmed_s = 14400", 'confirmed_s = 14400\nunless = ["pump.failure"]'), "blockage takes no unless"),
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
