"""`lifeline score`: which alert belongs to which event, and what is said of it."""

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeline.cli.score import duration, read_truth
from lifeline.cli.scoreplot import plot
from lifeline.errors import ConfigurationError
from lifeline.model import AlertKind, Level
from lifeline.scoring import (
    AFTER_S,
    CAUSES,
    EXPLAINED_M,
    LEVELS,
    RIGHT_M,
    SHOWS,
    Happened,
    Outcome,
    Raised,
    Score,
    lines,
    metres,
    score,
)
from simulators.kinds import KINDS, Nature

HERE = (117.23, 31.82)
LEAK = Happened(
    "s-1-1", "gas_leak", "physical", "gas", "s", 1, begin=1000.0, end=2000.0, visible=1060.0, asset="G-P-1", at=HERE
)
METHANE = Raised(
    1, "methane.level", AlertKind.RISK, "gas", 1090.0, Level.YELLOW, "methane", HERE, "G-C-1", "gas-1", "methane",
    "gas_leak",
)  # fmt: skip
STUCK = Happened(
    "s-1-2", "flatline", "fault", "water", "s", 1, begin=1000.0, end=9000.0, visible=1500.0, sensor="w-1/pressure",
    devices=("w-1",), at=HERE,
)  # fmt: skip
FLAT = Raised(
    2, "sensor.flatline", AlertKind.MAINTENANCE, "water", 5000.0, Level.BLUE, "pressure", HERE, None, "w-1", "pressure"
)


def north(of_m: float) -> tuple[float, float]:
    return HERE[0], HERE[1] + of_m / 111_320.0


def one(event: Happened, *alerts: Raised) -> Outcome:
    (outcome,) = score([event], alerts).outcomes
    return outcome


# ------------------------------------------------------------------------------------------------- found and missed


def test_an_alert_of_the_event_finds_it_and_the_delay_counts_from_when_it_could_be_seen() -> None:
    outcome = one(LEAK, METHANE)
    assert outcome.found
    assert not outcome.missed
    assert outcome.delay_s == 30.0
    assert (outcome.right_place, outcome.right_cause, outcome.right_level) == (True, True, True)


def test_without_a_moment_from_which_it_could_be_seen_the_delay_counts_from_its_beginning() -> None:
    assert one(replace(LEAK, visible=None), METHANE).delay_s == 90.0


def test_what_nobody_reported_is_missed_unless_nobody_could_see_it_or_it_was_harmless() -> None:
    assert one(LEAK).missed
    assert not one(replace(LEAK, visible=None)).missed
    assert not one(replace(LEAK, harmless=True)).missed
    assert one(LEAK).delay_s is None


@pytest.mark.parametrize("raised", [999.0, 2000.0 + AFTER_S + 1])
def test_what_was_raised_before_or_long_after_does_not_belong(raised: float) -> None:
    found = score([LEAK], [replace(METHANE, raised_at=raised)])
    assert not found.outcomes[0].found
    assert len(found.false_risk) == 1


@pytest.mark.parametrize("raised", [1000.0, 2000.0, 2000.0 + AFTER_S])
def test_what_was_raised_meanwhile_or_shortly_after_belongs(raised: float) -> None:
    assert one(LEAK, replace(METHANE, raised_at=raised)).found


@pytest.mark.parametrize(
    ("quantity", "belongs"), [("methane", True), ("gas_flow", True), ("level", False), (None, False)]
)
def test_an_alert_must_speak_of_what_such_an_event_does(quantity: str | None, belongs: bool) -> None:
    assert one(LEAK, replace(METHANE, quantity=quantity)).found is belongs


@pytest.mark.parametrize(("away", "belongs"), [(0.0, True), (EXPLAINED_M - 5, True), (EXPLAINED_M + 5, False)])
def test_an_alert_must_lie_within_reach(away: float, belongs: bool) -> None:
    assert one(LEAK, replace(METHANE, at=north(away))).found is belongs


def test_an_event_that_is_everywhere_and_an_alert_without_a_place_are_near() -> None:
    storm = replace(LEAK, kind="storm", at=None)
    assert one(storm, replace(METHANE, quantity="level")).found
    assert one(LEAK, replace(METHANE, at=None)).found


def test_a_maintenance_alert_finds_no_leak_but_the_battery_of_a_power_cut() -> None:
    assert not one(LEAK, replace(METHANE, kind=AlertKind.MAINTENANCE)).found
    cut = replace(LEAK, kind="power_cut")
    assert one(cut, replace(METHANE, kind=AlertKind.MAINTENANCE, quantity="battery")).found


def test_the_first_alert_counts_whatever_order_they_come_in() -> None:
    later = replace(METHANE, id=9, raised_at=1500.0)
    assert [alert.id for alert in one(LEAK, later, METHANE).alerts] == [1, 9]


# ------------------------------------------------------------------------------------------------------- false


def test_a_risk_alert_without_an_event_is_false() -> None:
    found = score([], [METHANE, FLAT])
    assert [alert.id for alert in found.false_risk] == [1]
    assert [alert.id for alert in found.false_maintenance] == [2]


def test_an_alarm_because_of_something_harmless_is_false_unless_something_else_explains_it() -> None:
    rain = replace(LEAK, id="rain", kind="storm", at=None, harmless=True)
    level = replace(METHANE, quantity="level")
    assert len(score([rain], [level]).false_risk) == 1
    blockage = replace(LEAK, id="b", kind="blockage")
    assert score([rain, blockage], [level]).false_risk == []


def test_one_alert_may_belong_to_two_events() -> None:
    found = score([LEAK, replace(LEAK, id="s-1-9", begin=1050.0)], [METHANE])
    assert [outcome.found for outcome in found.outcomes] == [True, True]


# ---------------------------------------------------------------------------------------- sick sensors and devices


def test_a_sick_sensor_is_found_by_what_is_said_of_itself() -> None:
    assert one(STUCK, FLAT).delay_s == 3500.0
    assert not one(STUCK, replace(FLAT, channel="flow")).found
    assert not one(STUCK, replace(FLAT, device="w-2")).found


def test_an_alert_on_a_whole_device_speaks_of_its_sensors_too() -> None:
    assert one(STUCK, replace(FLAT, channel=None)).found


def test_a_dead_gateway_is_found_by_alerts_on_what_is_behind_it() -> None:
    dead = replace(STUCK, kind="gateway_dead", nature="device", sensor=None, devices=("gw", "w-1"))
    assert one(dead, replace(FLAT, rule="silence.gateway", device="gw", channel=None)).found
    assert one(dead, replace(FLAT, rule="silence.sensor")).found
    assert not one(dead, replace(FLAT, device="w-3")).found


# ------------------------------------------------------------------------------------------------------- right


@pytest.mark.parametrize(("away", "right"), [(RIGHT_M - 5, True), (RIGHT_M + 5, False)])
def test_a_place_is_right_within_walking_distance_or_by_the_assets_name(away: float, right: bool) -> None:
    assert one(LEAK, replace(METHANE, at=north(away))).right_place is right
    assert one(LEAK, replace(METHANE, at=north(away), asset="G-P-1")).right_place is True


def test_a_cause_is_right_when_any_of_its_incidents_names_it() -> None:
    wrong = replace(METHANE, cause="biogas")
    assert one(LEAK, wrong).right_cause is False
    assert one(LEAK, wrong, METHANE).right_cause is True
    assert one(LEAK, replace(METHANE, cause=None)).right_cause is None


def test_a_level_is_right_between_the_worst_and_the_mildest_that_fit() -> None:
    assert one(LEAK, replace(METHANE, level=Level.BLUE)).right_level is False
    assert one(LEAK, replace(METHANE, level=Level.RED)).right_level is True
    biogas = replace(LEAK, kind="biogas")
    assert one(biogas, replace(METHANE, level=Level.RED)).right_level is False


def test_nothing_is_right_or_wrong_about_what_was_not_found() -> None:
    assert (one(LEAK).right_place, one(LEAK).right_cause, one(LEAK).right_level) == (None, None, None)


def test_the_tables_speak_of_kinds_that_there_are_and_of_every_physical_one() -> None:
    physical = {kind for kind, entry in KINDS.items() if entry.nature is Nature.PHYSICAL}
    assert set(SHOWS) == set(CAUSES) == physical
    assert set(LEVELS) <= physical
    for kind, entry in KINDS.items():
        if kind in SHOWS:
            assert {sight.quantity for sight in entry.sights} <= SHOWS[kind], kind


def test_every_cause_is_one_that_alerts_can_name_or_is_named_nowhere_yet() -> None:
    import tomllib

    text = (Path(__file__).parents[2] / "alerts" / "causes.toml").read_text(encoding="utf-8")
    known = {cause["id"] for cause in tomllib.loads(text)["cause"]}
    for kind, causes in CAUSES.items():
        assert causes & known, kind


# ------------------------------------------------------------------------------------------------------- the table


@given(st.lists(st.tuples(st.sampled_from(sorted(SHOWS)), st.booleans(), st.integers(0, 3)), min_size=1, max_size=12))
def test_every_event_is_in_one_line_and_counts_add_up(given_: list[tuple[str, bool, int]]) -> None:
    outcomes = []
    for number, (kind, seen, count) in enumerate(given_):
        event = replace(LEAK, id=f"e{number}", kind=kind, visible=1060.0 if seen else None)
        outcomes.append(Outcome(event, tuple(replace(METHANE, id=n) for n in range(count))))
    for by in ("kind", "scenario", "seed", "detector"):
        table = lines(outcomes, by)
        assert sum(line.events for line in table) == len(outcomes)
        assert sum(line.found for line in table) == sum(outcome.found for outcome in outcomes)
        assert sum(line.missed for line in table) == sum(outcome.missed for outcome in outcomes)
        assert all(line.found + line.missed <= line.events for line in table)
        assert [line.name for line in table] == sorted(line.name for line in table)


def test_a_line_tells_median_and_longest_delay_and_who_was_first() -> None:
    events = [
        replace(LEAK, id=f"e{n}", begin=10_000.0 * n, end=10_000.0 * n + 50, visible=10_000.0 * n) for n in range(4)
    ]
    raised = [replace(METHANE, id=n, raised_at=10_000.0 * n + 10 * n) for n in range(3)]
    (line,) = lines(score(events, raised).outcomes, "kind")
    assert (line.events, line.found, line.missed) == (4, 3, 1)
    assert (line.delay_median_s, line.delay_longest_s) == (10.0, 20.0)
    assert list(line.rules) == [("methane.level", 3)]
    by_rule = {one.name: one.events for one in lines(score(events, raised).outcomes, "detector")}
    assert by_rule == {"methane.level": 3, "(nobody)": 1}


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "-"), (0, "0 s"), (-20, "-20 s"), (599, "599 s"), (1200, "20 min"), (90_000, "25 h")]
)
def test_a_delay_is_told_in_the_unit_that_fits(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_distances_are_metres() -> None:
    assert metres(HERE, north(1000)) == pytest.approx(1000, rel=0.001)
    assert metres(HERE, (HERE[0] + 0.01, HERE[1])) == pytest.approx(945, rel=0.01)


# ------------------------------------------------------------------------------------------------------- the picture


def test_the_picture_is_well_formed_and_shows_every_event_alert_and_what_was_missed() -> None:
    found = Score([one(LEAK, METHANE), one(replace(LEAK, id="lost")), one(STUCK, FLAT)], [METHANE], [])
    text = plot(found)
    root = ET.fromstring(text)
    circles = root.findall("{http://www.w3.org/2000/svg}circle")
    assert len(circles) == 3
    assert "MISSED" in text
    assert text.count("gas_leak") == 2
    titles = [circle[0].text for circle in circles]
    assert any(title and title.startswith("sensor.flatline blue") for title in titles)


def test_a_name_with_an_angle_bracket_does_not_break_the_picture() -> None:
    ET.fromstring(plot(Score([one(replace(LEAK, id="<&>"), METHANE)], [], [])))


# ------------------------------------------------------------------------------------------------------- truth files


def test_a_truth_file_is_read_line_by_line(tmp_path: Path) -> None:
    record = {"id": "a", "from": "2026-01-01T00:00:00Z", "to": "2026-01-01T00:10:00Z", "kind": "burst", "scenario": "s"}
    file = tmp_path / "truth.jsonl"
    file.write_text(json.dumps(record) + "\n\n" + json.dumps(record | {"id": "b"}) + "\n")
    assert [one["id"] for one in read_truth(file)] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [('{"id": 3}', "line 1: not a line of the simulators' truth"), ("[]", "line 1: not a line"), ("{", "Expecting"),
     (None, "No such file")],
)  # fmt: skip
def test_what_is_no_truth_file_is_refused_by_name(tmp_path: Path, text: str | None, complaint: str) -> None:
    file = tmp_path / "truth.jsonl"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigurationError, match=complaint) as caught:
        read_truth(file)
    assert "truth.jsonl" in str(caught.value)
