"""The ladder: hysteresis and delays from the window alone. Threshold and rate on a window of few sensors."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.detectors import rate, threshold
from alerts.inventory import Inventory, build_inventory
from alerts.rules import Rate, Threshold, parse_rules
from alerts.window import Window
from lifeline.catalogue import shipped_catalogue
from lifeline.model import Finding, JsonObject, Level, Subject, SubjectKind
from lifeline.storage.window import DeviceRow, SensorRow

CATALOGUE = shipped_catalogue()
NOW = datetime(2026, 11, 21, 12, 0, 30, tzinfo=UTC)
WORDS = """title = { en = "t", zh = "t" }
advice = { en = "a", zh = "a" }
"""


def rule(text: str) -> Any:
    (parsed,) = parse_rules(f'[[rule]]\nid = "r"\nkind = "risk"\n{WORDS}{text}', CATALOGUE, 3600)
    return parsed


def city(*quantities: str, depth_m: float | None = None, limits: JsonObject | None = None) -> Inventory:
    network = {"methane": "gas", "pressure": "water"}
    rows = [
        SensorRow(n, 1, quantity, network.get(quantity, "drainage"), True, depth_m, limits or {})
        for n, quantity in enumerate(quantities, 1)
    ]
    return build_inventory(rows, [DeviceRow(1, None, "unknown", None)], CATALOGUE)


def window_of(inventory: Inventory, readings: list[tuple[int, float, float]], now: datetime = NOW) -> Window:
    """Readings are (sensor, seconds from now, value)."""
    window = Window(inventory.sensor_ids, 3600)
    if readings:
        sensors, ago, values = zip(*readings, strict=True)
        ts = now.timestamp() + np.array(ago, float)
        window.merge(np.array(sensors, np.int32), ts, np.array(values, float), now.timestamp())
    window.advance(now.timestamp())
    return window


def judge(
    one: Threshold | Rate,
    readings: list[tuple[float, float]],
    held: Level | None = None,
    quantity: str = "methane",
    **options: Any,
) -> Finding | None:
    """What the rule finds at one sensor; readings are (seconds from now, value)."""
    inventory = city(quantity, **options)
    window = window_of(inventory, [(1, ago, value) for ago, value in readings])
    detect: Any = threshold.detect if isinstance(one, Threshold) else rate.detect
    found = detect(one, window, inventory, CATALOGUE, {1: held} if held else {}, NOW)
    assert len(found) <= 1
    return found[0] if found else None


METHANE = rule("""detector = "threshold"
quantity = "methane"
percent_of = 5.0
limits = { blue = 5, yellow = 10, orange = 20, red = 50 }
deadband = 1
off_delay_s = 300
""")
HELD_FOR = rule("""detector = "threshold"
quantity = "methane"
limits = { yellow = 1.0 }
deadband = 0.2
on_delay_s = 180
off_delay_s = 300
""")
LOW = rule("""detector = "threshold"
quantity = "pressure"
when = "below"
limits = { yellow = 14, red = 5 }
deadband = 1
off_delay_s = 60
""")
RISE = rule("""detector = "rate"
quantity = "methane"
percent_of = 5.0
limits = { yellow = 1 }
deadband = 0.5
span_s = 120
on_delay_s = 300
off_delay_s = 300
""")


@pytest.mark.parametrize(
    ("value", "level"),
    [(0.24, None), (0.25, Level.BLUE), (0.5, Level.YELLOW), (1.0, Level.ORANGE), (2.5, Level.RED), (100, Level.RED)],
)
def test_each_limit_counts_from_its_very_value(value: float, level: Level | None) -> None:
    found = judge(METHANE, [(-10, value)])
    assert (found.level if found else None) is level


def test_a_breach_between_two_ticks_is_seen_however_short() -> None:
    found = judge(METHANE, [(-40, 0.1), (-39, 3.0), (-38, 0.1)])
    assert found is not None
    assert found.level is Level.RED
    assert found.evidence["peak"] == 3.0
    assert found.evidence["value"] == 0.1


def test_within_the_deadband_the_level_stays_as_it_was() -> None:
    swinging = [(-60.0 * n, 1.0 + 0.04 * (-1) ** n) for n in range(60)]
    assert judge(METHANE, [(ago, value - 0.05) for ago, value in swinging], held=Level.ORANGE).level is Level.ORANGE  # type: ignore[union-attr]
    inside = [(-60.0 * n, 0.23) for n in range(60)]
    assert judge(METHANE, inside) is None
    kept = judge(METHANE, inside, held=Level.BLUE)
    assert kept is not None
    assert kept.level is Level.BLUE


def test_normal_for_the_off_delay_and_not_sooner_returns() -> None:
    calm = [(-60.0 * n, 0.1) for n in range(4)]
    assert judge(METHANE, [*calm, (-300, 0.6)], held=Level.YELLOW).level is Level.YELLOW  # type: ignore[union-attr]
    calm = [(-60.0 * n, 0.1) for n in range(7)]
    returned = judge(METHANE, [*calm, (-900, 0.6)], held=Level.YELLOW)
    assert returned is not None
    assert returned.level is None


def test_the_level_falls_rung_by_rung() -> None:
    half_calm = [(-60.0 * n, 0.6) for n in range(8)]
    found = judge(METHANE, [*half_calm, (-600, 3.0)], held=Level.RED)
    assert found is not None
    assert found.level is Level.YELLOW


def test_a_silent_sensor_keeps_its_level() -> None:
    assert judge(METHANE, [], held=Level.RED).level is Level.RED  # type: ignore[union-attr]
    assert judge(METHANE, [(-3000, 2.8)]).level is Level.RED  # type: ignore[union-attr]


def test_with_an_on_delay_only_what_lasts_is_a_breach() -> None:
    assert judge(HELD_FOR, [(-60, 5.0), (0, 0.1)]) is None
    assert judge(HELD_FOR, [(-100, 5.0), (-40, 5.0)]) is None
    found = judge(HELD_FOR, [(-190, 5.0), (-130, 5.0), (-70, 5.0), (-10, 5.0)])
    assert found is not None
    assert found.level is Level.YELLOW
    assert found.first_seen == NOW - timedelta(seconds=190)


@pytest.mark.parametrize(("after", "raised"), [([], True), ([0.5], False), ([1.2], True)])
def test_a_reading_stands_until_the_next_one_and_no_longer(after: list[float], raised: bool) -> None:
    """A minute of delay and a reading a minute: one alone that is calm again at once has not lasted that minute. Where
    two sensors are compared and one speaks a second before the hour and the other after it, there is such a one."""
    lasts = rule("""detector = "threshold"
quantity = "methane"
limits = { yellow = 1.0 }
on_delay_s = 60
off_delay_s = 900
""")
    readings = [(-120.0, 0.5), (-60.0, 1.5), *((0.0, value) for value in after)]
    assert (judge(lasts, readings) is not None) == raised


def test_one_reading_below_the_limit_starts_the_on_delay_anew() -> None:
    assert judge(HELD_FOR, [(-240, 5.0), (-180, 5.0), (-120, 0.9), (-60, 5.0), (0, 5.0)]) is None


def test_a_second_process_comes_to_the_same_judgement_without_any_memory() -> None:
    """Raised 50 minutes ago, inside the deadband ever since: the window alone still says so, alert or not."""
    readings = [(-3000.0, 0.6)] + [(-60.0 * n, 0.47) for n in range(49)]
    alone, with_alert = judge(METHANE, readings), judge(METHANE, readings, held=Level.YELLOW)
    assert alone is not None
    assert with_alert is not None
    assert alone.level is with_alert.level is Level.YELLOW


def test_below_is_above_upside_down() -> None:
    assert judge(LOW, [(-10, 14.2)], quantity="pressure") is None
    assert judge(LOW, [(-10, 14.0)], quantity="pressure").level is Level.YELLOW  # type: ignore[union-attr]
    found = judge(LOW, [(-70, 4.0), (-10, 20.0)], quantity="pressure", held=Level.RED)
    assert found is not None
    assert found.level is Level.RED
    assert found.evidence["peak"] == 4.0
    assert found.evidence["limit"] == 5.0


def test_limits_may_be_percent_of_the_depth_of_the_asset() -> None:
    deep = rule('detector = "threshold"\nquantity = "level"\npercent_of = "depth"\nlimits = { orange = 90 }\n')
    assert judge(deep, [(0, 1.75)], quantity="level", depth_m=2.0) is None
    assert judge(deep, [(0, 1.85)], quantity="level", depth_m=2.0).level is Level.ORANGE  # type: ignore[union-attr]
    assert judge(deep, [(0, 99)], quantity="level", depth_m=None) is None


def test_a_sensor_may_have_limits_of_its_own_or_none() -> None:
    assert judge(METHANE, [(0, 0.6)], limits={"rules": {"r": {"red": 0.55}}}).level is Level.RED  # type: ignore[union-attr]
    assert judge(METHANE, [(0, 9)], limits={"rules": {"r": False}}) is None
    assert judge(METHANE, [(0, 9)], limits={"rules": {"r": {"red": "much"}}}).level is Level.RED  # type: ignore[union-attr]


def test_a_rise_that_is_kept_up_is_found_before_any_high_limit() -> None:
    slow = [(-60.0 * n, 0.9 - 0.045 * n) for n in range(10)]
    assert judge(RISE, slow) is None
    fast = [(-60.0 * n, 0.9 - 0.055 * n) for n in range(10)]
    found = judge(RISE, fast)
    assert found is not None
    assert found.level is Level.YELLOW
    assert found.evidence["value"] == pytest.approx(0.055, abs=1e-4)
    assert found.evidence["unit"] == "%VOL/min"


def test_a_step_however_high_is_not_a_kept_up_rise() -> None:
    for since in range(1, 12):
        readings = [(-60.0 * n, 4.0 if n < since else 0.1) for n in range(20)]
        assert judge(RISE, readings) is None


def test_a_rise_that_ends_returns_after_the_off_delay() -> None:
    risen = [(-60.0 * n, 0.5) for n in range(10)] + [(-60.0 * n, 0.5 - 0.06 * (n - 9)) for n in range(10, 17)]
    returned = judge(RISE, risen, held=Level.YELLOW)
    assert returned is not None
    assert returned.level is None


def risen_after_a_pause(until: int) -> list[tuple[float, float]]:
    """Calm every five minutes, then every ten seconds, and from the second minute of that on a fast rise."""
    rare = [(-200.0 - 300 * n, 0.1) for n in range(8)]
    often = [(float(at), 0.1 + max(at - 70, 0) * 0.4 / 60) for at in range(0, until + 1, 10)]
    return [(at - until, value) for at, value in rare + often]


def test_a_device_that_speaks_more_often_as_it_rises_does_not_end_what_its_pause_had_raised() -> None:
    """What is compared over the pause has risen for long; compared over two minutes, for two minutes."""
    raised = judge(RISE, risen_after_a_pause(110))
    assert raised is not None
    for until in range(120, 400, 10):
        kept = judge(RISE, risen_after_a_pause(until), held=Level.YELLOW)
        assert kept is not None
        assert kept.level is Level.YELLOW


@pytest.mark.parametrize("at", range(60, 260, 20))
def test_one_that_has_begun_again_ends_when_it_is_calm_for_the_off_delay_and_not_sooner(at: int) -> None:
    calm_before, breach = [(-60.0 * n - 900, 0.1) for n in range(10)], [(-60.0 * n - at - 60, 5.0) for n in range(2)]
    found = judge(HELD_FOR, [*calm_before, *breach, (-at, 0.1)], held=Level.YELLOW)
    assert found is not None
    assert found.level is Level.YELLOW
    long_ago = [(ago - 310, value) for ago, value in [*breach, (-at, 0.1)]]
    ended = judge(HELD_FOR, [*calm_before, *long_ago], held=Level.YELLOW)
    assert ended is not None
    assert ended.level is None


def test_a_rise_is_seen_in_rare_readings_too() -> None:
    assert judge(RISE, [(-1800, 0.1), (-900, 0.1), (0, 1.0)]) is not None
    assert judge(RISE, [(-1800, 0.1), (-900, 0.1), (0, 0.5)]) is None


READINGS = st.lists(
    st.tuples(
        st.floats(-5000, 500, allow_nan=False),
        st.one_of(st.floats(-100, 100), st.just(float("nan")), st.just(float("inf"))),
    ),
    max_size=40,
)


@given(READINGS, st.sampled_from([None, *Level]), st.sampled_from([METHANE, HELD_FOR, RISE]))
def test_gaps_nan_one_sample_and_clock_jumps_do_no_harm(
    readings: list[tuple[float, float]], held: Level | None, one: Threshold | Rate
) -> None:
    found = judge(one, readings, held)
    if held is None and found is not None:
        assert found.level is not None
        finite = [value for _, value in readings if np.isfinite(value)]
        seen = max(finite) - min(finite) if isinstance(one, Rate) else max(finite)  # a rise may start below nothing
        assert seen >= 0.05
    if found is not None:
        assert found.first_seen <= NOW


@given(READINGS)
def test_the_order_in_which_readings_come_and_their_repetition_change_nothing(
    readings: list[tuple[float, float]],
) -> None:
    unique = list({ago: (ago, value) for ago, value in readings}.values())
    assert judge(METHANE, unique) == judge(METHANE, [*unique[::-1], *unique])


@given(st.floats(0, 99), st.integers(1, 60))
def test_a_constant_series_never_moves(value: float, count: int) -> None:
    assert judge(RISE, [(-60.0 * n, value) for n in range(count)]) is None


@given(st.lists(st.floats(0, 2), min_size=5, max_size=50), st.floats(-20, 20))
def test_a_rate_is_indifferent_to_a_shift(values: list[float], shift: float) -> None:
    values = [round(value, 2) for value in values]
    plain = judge(RISE, [(-60.0 * n, value) for n, value in enumerate(values)])
    shifted = judge(RISE, [(-60.0 * n, value + round(shift)) for n, value in enumerate(values)])
    assert (plain is None) == (shifted is None) or _near_a_limit(values)


def _near_a_limit(values: list[float]) -> bool:
    """Single precision may decide otherwise on the very limit: 0.05 %VOL a minute over two minutes."""
    steps = np.abs(np.subtract.outer(values, values))
    return bool((np.abs(steps % 0.05) < 1e-4).any() or (np.abs(steps % 0.05 - 0.05) < 1e-4).any())


def test_a_hundred_sensors_are_judged_each_by_itself() -> None:
    inventory = city(*["methane"] * 100)
    window = window_of(inventory, [(n, -5, 3.0 if n % 10 == 0 else 0.1) for n in range(1, 101)])
    found = threshold.detect(METHANE, window, inventory, CATALOGUE, {}, NOW)
    assert [finding.subject.id for finding in found] == list(range(10, 101, 10))


FALL = rule("""detector = "rate"
quantity = "pressure"
when = "below"
limits = { yellow = -2, orange = -5 }
deadband = 1
span_s = 120
off_delay_s = 1200
""")


def test_a_burst_is_a_sudden_fall_and_a_slow_one_is_not() -> None:
    burst = [(-60.0 * n, 30.0 if n < 3 else 36.0) for n in range(20)]
    found = judge(FALL, burst, quantity="pressure")
    assert found is not None
    assert found.level is Level.YELLOW
    assert found.evidence["peak"] == pytest.approx(-3, abs=0.01)
    assert found.evidence["limit"] == -2
    assert judge(FALL, [(-60.0 * n, 20 + 1.5 * n) for n in range(20)], quantity="pressure") is None
    assert judge(FALL, [(-60.0 * n, 40.0 if n < 3 else 30.0) for n in range(20)], quantity="pressure") is None


def test_columns_name_their_sensor_quantity_and_network() -> None:
    inventory = city("methane", "pressure", "level")
    assert inventory.quantities.tolist() == ["methane", "pressure", "level"]
    assert inventory.networks.tolist() == ["gas", "water", "drainage"]
    assert list(inventory.subjects) == [Subject(SubjectKind.SENSOR, number) for number in (1, 2, 3)]
    assert inventory.subjects is inventory.subjects, "they are made once"
    assert not inventory.has_own_rules
    assert city("level", limits={"rules": {"r": False}}).has_own_rules
    nobody = city()
    assert (len(nobody.subjects), len(nobody.quantities), len(nobody.networks)) == (0, 0, 0)
