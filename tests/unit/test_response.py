"""The response's table of steps and its deadlines."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeline.errors import CatalogueError
from lifeline.model import Level
from lifeline.response import NEXT, Step, load_deadlines, may_follow, parse_deadlines


def test_the_way_of_a_real_alarm_and_of_a_false_one() -> None:
    real = ["received", "confirmed", "dispatched", "on_site", "handled", "fed_back", "archived"]
    false = ["received", "false_alarm", "fed_back", "archived"]
    for way in (real, false):
        assert all(may_follow(Step(after), Step(before)) for before, after in pairwise(way))


def test_what_turns_out_false_on_the_way_can_be_called_so() -> None:
    for step in (Step.RECEIVED, Step.CONFIRMED, Step.DISPATCHED, Step.ON_SITE):
        assert may_follow(Step.FALSE_ALARM, step)
    assert not may_follow(Step.FALSE_ALARM, Step.HANDLED)


@given(st.sampled_from(Step), st.lists(st.sampled_from(Step), max_size=30))
def test_every_way_ends_in_the_archive_and_none_goes_back(start: Step, wishes: list[Step]) -> None:
    seen = [start]
    for wish in wishes:
        if may_follow(wish, seen[-1]):
            seen.append(wish)
    assert len(set(seen)) == len(seen)
    while NEXT[seen[-1]]:
        seen.append(NEXT[seen[-1]][0])
    assert seen[-1] is Step.ARCHIVED


def test_the_shipped_deadlines_are_shorter_the_worse_the_level_is() -> None:
    deadlines = load_deadlines()
    for step in (step for step in Step if NEXT[step] and step is not Step.FED_BACK):
        seconds = [deadlines[step, level] for level in Level]
        assert seconds == sorted(seconds), step
    assert deadlines[Step.RECEIVED, Level.RED] == 300


@pytest.mark.parametrize(("text", "complaint"), [
    ("[deadline_s.asleep]\nred = 1", "no step"), ("[deadline_s.archived]\nred = 1", "no step"),
    ("[deadline_s.received]\npurple = 1", "unknown level"), ("[deadline_s.received]\nred = 0", "above zero"),
    ("[deadline_s.received]\nred = true", "above zero"), ("[deadline_s.received]\nred = 'soon'", "above zero"),
    ("nonsense", "not TOML"),
])  # fmt: skip
def test_a_wrong_file_of_deadlines_is_refused_with_its_mistake(text: str, complaint: str) -> None:
    with pytest.raises(CatalogueError, match=complaint):
        parse_deadlines(text)


def test_a_file_replaces_the_shipped_deadlines(tmp_path: Path) -> None:
    path = tmp_path / "response.toml"
    path.write_text("[deadline_s.received]\nred = 60\n")
    assert load_deadlines(path) == {(Step.RECEIVED, Level.RED): 60.0}
    with pytest.raises(CatalogueError):
        load_deadlines(tmp_path / "missing.toml")
