"""What starts drills inside `lifeline up`: one child at a time, and none left when it closes; roots of topics."""

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeline import wire
from lifeline.cli.drilldesk import Desk
from lifeline.cli.home import Home
from lifeline.cli.system import System
from lifeline.settings import Settings


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    for name in [name for name in os.environ if name.startswith("LIFELINE_")]:
        monkeypatch.delenv(name)
    home = Home(tmp_path / "home")
    home.make()
    return Desk(System(home, Settings()))


def wait_until_ended(desk: Desk) -> None:
    deadline = time.monotonic() + 60
    while desk._child is not None and desk._child.alive:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_nothing_due_starts_nothing(desk: Desk) -> None:
    desk.chore()
    assert desk._child is None


def test_a_drill_that_is_due_becomes_one_child_and_the_next_waits_for_its_end(desk: Desk) -> None:
    desk._due.put(3)
    desk._due.put(4)
    desk.chore()
    first = desk._child
    assert first is not None
    assert list(first.arguments)[:4] == ["lifeline.cli", "drill", "work", "3"]
    assert first.once
    if first.alive:
        desk.chore()
        assert desk._child is first
    wait_until_ended(desk)
    assert "no database" in first.end_of_log()
    desk.chore()
    second = desk._child
    assert second is not None
    assert second is not first
    assert list(second.arguments)[3] == "4"
    desk.close()
    assert not second.alive


def test_a_desk_is_closed_before_it_was_ever_opened(desk: Desk) -> None:
    desk.close()
    assert desk._ending.is_set()


def test_a_chore_is_done_at_each_look_of_the_system(desk: Desk) -> None:
    done = []
    desk._system.chores.append(lambda: done.append(1))
    desk._system.look()
    desk._system.look()
    assert done == [1, 1]


@given(st.integers(1, 10**12), st.sampled_from(["gas", "water"]), st.from_regex(r"[a-z][a-z0-9-]{0,9}", fullmatch=True))
def test_no_topic_of_a_drill_is_one_of_the_real_citys(drill: int, network: str, device: str) -> None:
    root = wire.exercise_root(drill)
    assert wire.is_root(root)
    assert wire.is_root(wire.ROOT)
    for topic in (wire.readings_topic(network, device, root), wire.status_topic(network, device, root)):
        assert topic.startswith("lifeline-exercise/")
        assert wire.parse_topic(topic) is None
        assert not matches(wire.READINGS_FILTER, topic)
        assert not matches(wire.STATUS_FILTER, topic)
    real = wire.readings_topic(network, device)
    assert wire.parse_topic(real) == wire.Topic(network, device, "readings")
    assert matches(wire.READINGS_FILTER, real)


def matches(topic_filter: str, topic: str) -> bool:
    """Whether a filter of single-level wildcards takes a topic."""
    wanted, given_ = topic_filter.split("/"), topic.split("/")
    return len(wanted) == len(given_) and all(w in ("+", g) for w, g in zip(wanted, given_, strict=True))


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("lifeline/v1", True),
        ("lifeline-exercise/1/v1", True),
        ("a", True),
        ("a.b_c/d-e", True),
        ("", False),
        ("/a", False),
        ("a/", False),
        ("a//b", False),
        ("a/#", False),
        ("+/a", False),
        ("$share/g/a", False),
        ("a b", False),
        ("管网/v1", False),
        ("a\n", False),
    ],
)
def test_a_root_is_plain_levels_and_nothing_that_a_broker_reads_otherwise(text: str, fits: bool) -> None:
    assert wire.is_root(text) == fits
