"""Scenario files as people write them: whatever stands in one, it is played or it is refused with a reason."""

import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeline.errors import ConfigurationError
from simulators.scenario import KINDS, EventSpec, Scenario, hastened, load_scenario, parse_scenario

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "scenarios.md"
BURST = "[[event]]\nkind = 'burst'\nat_s = {at}\nlasts_s = {lasts}\n"


def parse(text: str) -> Scenario:
    return parse_scenario(text, "test", "test.toml")


def refused(text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse(text)
    message = str(caught.value)
    assert message.startswith("test.toml: ")
    return message


# ------------------------------------------------------------------------------------------------- forms that are right


def test_the_example_of_the_reference_is_a_scenario() -> None:
    text, *_ = re.findall(r"```toml\n(.*?)```", REFERENCE.read_text(encoding="utf-8"), re.DOTALL)
    scenario = parse(text)
    assert [event.kind for event in scenario.events] == ["gas_leak", "storm"]
    assert scenario.cycle_s == 1800


def test_an_empty_file_is_a_quiet_day_named_after_its_file(tmp_path: Path) -> None:
    (tmp_path / "sunday.toml").write_text("")
    assert load_scenario(str(tmp_path / "sunday.toml")) == Scenario("sunday", "sunday", (), None)


def test_line_ends_of_windows_and_events_in_a_list_are_as_good_as_any() -> None:
    plain = "title = 'x'\n[[event]]\nkind = 'burst'\nat_s = 1\nlasts_s = 2\n"
    assert parse(plain.replace("\n", "\r\n")) == parse(plain)
    assert parse("title = 'x'\nevent = [{kind = 'burst', at_s = 1, lasts_s = 2}]") == parse(plain)


def test_whole_numbers_are_as_good_as_broken_ones() -> None:
    whole, broken = (parse("cycle_s=60\n" + BURST.format(at=at, lasts=9)) for at in ("5", "5.0"))
    assert whole == broken
    assert isinstance(whole.cycle_s, float)
    assert all(isinstance(value, float) for value in whole.events[0].parameters.values())


def test_events_of_the_same_second_keep_the_order_of_the_file() -> None:
    kinds = ["storm", "burst", "inflow", "blockage"]
    text = "".join(f"[[event]]\nkind='{kind}'\nat_s=7\nlasts_s=60\n" for kind in kinds)
    assert [event.kind for event in parse(text).events] == kinds


PARAMETERS = [(kind, key) for kind, entry in KINDS.items() for key in entry.parameters]


@pytest.mark.parametrize(("kind", "key"), PARAMETERS)
def test_every_parameter_is_taken_at_its_bounds_and_refused_beyond_them(kind: str, key: str) -> None:
    bounds = KINDS[kind].parameters[key]
    text = f"[[event]]\nkind='{kind}'\nat_s=0\nlasts_s=60\n{key} = "
    for value in (bounds.low, bounds.default, bounds.high):
        assert parse(text + repr(value)).events[0].parameters[key] == value
    for value in (bounds.low - 1e-6, bounds.high * 1.000001, "inf", "nan", "true", "'1'", "[1]", "2026-01-01"):
        assert f"event 1: {key} must be {bounds.low:g} to {bounds.high:g}" in refused(text + str(value))


@given(st.sampled_from(list(KINDS)), st.floats(0, 1e8), st.floats(1, 1e8), st.data())
def test_what_is_written_in_range_is_what_is_played(kind: str, at: float, lasts: float, data: st.DataObject) -> None:
    chosen = {key: data.draw(st.floats(p.low, p.high)) for key, p in KINDS[kind].parameters.items()}
    place = data.draw(st.sampled_from(["any", "W-P-001", "没有"])) if KINDS[kind].place else "any"
    lines = [f"kind = '{kind}'", f"at_s = {at!r}", f"lasts_s = {lasts!r}", *(f"{k} = {v!r}" for k, v in chosen.items())]
    lines += [f"place = '{place}'"] if KINDS[kind].place else []
    assert parse("[[event]]\n" + "\n".join(lines)).events == (EventSpec(kind, at, lasts, place, chosen),)


# ------------------------------------------------------------------------------------------------ forms that are wrong


def parsed_or_refused(text: str) -> tuple[EventSpec, ...]:
    """The events, or none where the scenario is refused in the one way in which it may be."""
    with suppress(ConfigurationError):
        return parse(text).events
    return ()


@given(st.text(max_size=200))
def test_any_text_is_a_scenario_or_a_clear_error(text: str) -> None:
    assert all(event.kind in KINDS for event in parsed_or_refused(text))


FRAGMENTS = st.sampled_from(
    ["[[event]]", "[event]", "kind='burst'", "kind='storm'", "kind=1", "at_s=1", "at_s=-0.0", "lasts_s=60",
     "place='any'", "place=[]", "cycle_s=60", "cycle_s=nan", "cycle_s=''", "title=''", "event=[]", "event=[[]]",
     "hole_mm=5", "a.b.c=1", "#", "at_s=1" + "0" * 400, "at_s=inf", "lasts_s=1e9",
     "depth_mm=1979-05-27T07:32:00Z"]
)  # fmt: skip


@given(st.lists(FRAGMENTS, max_size=8).map("\n".join))
def test_any_lines_of_a_scenario_in_any_order_are_one_or_a_clear_error(text: str) -> None:
    assert all(event.lasts_s >= 1 for event in parsed_or_refused(text))


@pytest.mark.parametrize("key", ["at_s", "lasts_s", "hole_mm"])
@pytest.mark.parametrize("sign", ["", "-"])
def test_a_number_of_four_hundred_digits_is_out_of_range_and_no_crash(key: str, sign: str) -> None:
    entry = {"at_s": "1", "lasts_s": "1"} | {key: sign + "1" + "0" * 400}
    text = "[[event]]\nkind='burst'\n" + "\n".join(f"{name}={value}" for name, value in entry.items())
    assert f"event 1: {key} must be" in refused(text)


def test_a_cycle_of_four_hundred_digits_is_refused() -> None:
    assert "cycle_s must be a number of seconds" in refused("cycle_s=1" + "0" * 400)


@pytest.mark.parametrize("text", ["cycle_s=1" + "0" * 5000, "a=" + "[" * 5000, "a=" + "{b=" * 5000])
def test_numbers_and_brackets_without_end_are_refused(text: str) -> None:
    assert "not TOML" in refused(text)


def test_one_table_instead_of_a_list_of_tables_is_told_how_to_write_it() -> None:
    assert "[[event]]" in refused("[event]\nkind='burst'\nat_s=1\nlasts_s=1\n")
    assert "[[event]]" in refused("event=[1, 2]")


def test_a_misspelt_key_is_told_together_with_those_that_there_are() -> None:
    message = refused(BURST.format(at=1, lasts=1) + "holl_mm = 5\nplaces = 'any'\n")
    assert "unknown key 'holl_mm'; burst takes kind, at_s, lasts_s, place, near, hole_mm, grow_s" in message
    assert "unknown key 'places'" in message


def test_the_number_of_an_event_is_that_of_the_file_and_not_of_its_time() -> None:
    late_and_wrong = BURST.format(at=100, lasts=0) + BURST.format(at=1, lasts=5)
    assert "event 1: lasts_s" in refused(late_and_wrong)


@pytest.mark.parametrize(("at", "fits"), [("59.999", True), ("60", False), ("61", False)])
def test_an_event_must_begin_within_its_cycle(at: str, fits: bool) -> None:
    text = "cycle_s = 60\n" + BURST.format(at=at, lasts=500)
    if fits:
        assert parse(text).cycle_s == 60
    else:
        assert "event 1: at_s must lie before the cycle's end at 60 s" in refused(text)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00t", b"title = '\xe7\x88'", bytes(range(256))])
def test_a_file_that_is_no_text_is_refused_by_its_name(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "binary.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"binary\.toml"):
        load_scenario(str(file))


def test_a_folder_and_a_name_that_leads_elsewhere_are_no_scenarios(tmp_path: Path) -> None:
    folder = tmp_path / "folder.toml"
    folder.mkdir()
    with pytest.raises(ConfigurationError, match=r"folder\.toml"):
        load_scenario(str(folder))
    for name in ("", ".", "../scenarios/demo", "demo/", "DEMO", "/etc/passwd"):
        with pytest.raises(ConfigurationError, match="no scenario"):
            load_scenario(name)


def test_a_file_of_ones_own_may_bear_the_name_of_a_shipped_one(tmp_path: Path) -> None:
    file = tmp_path / "demo.toml"
    file.write_text("title = 'mine'")
    assert load_scenario(str(file)).title == "mine"
    assert load_scenario("demo").title != "mine"


def test_a_scenario_is_hastened_and_what_happens_in_it_takes_as_long() -> None:
    slow = parse("cycle_s = 600\n" + BURST.format(at=120, lasts=500))
    fast = hastened(slow, 4.0)
    assert (fast.events[0].at_s, fast.events[0].lasts_s, fast.cycle_s) == (30.0, 500.0, 150.0)
    assert hastened(slow, 1.0) == slow
    assert hastened(slow, 100.0).cycle_s == 60.0
    assert hastened(load_scenario("quiet"), 3.0) == load_scenario("quiet")
