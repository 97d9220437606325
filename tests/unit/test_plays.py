"""What a town lived through is kept by what it follows from, and told by what its sensors could know."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from alerts.replay import Episode
from alerts.verdicts import Event
from lifeline.model import Alert, AlertKind, AlertState, Level, Subject, SubjectKind
from simulators.planning import make_town
from simulators.streets import to_wgs84
from tests.benchmarks import plays
from tests.benchmarks.cases import Cases, wet_of
from tests.benchmarks.phenomena import asked
from tests.benchmarks.plays import Past, needed

TOWN = make_town(3)
START = 1_795_305_600.0
TIMES = START + 60.0 * np.arange(0, 12 * 60)


def past(**columns: np.ndarray) -> Past:
    """A town in which nothing happens but what is given, by quantity."""
    values = np.zeros((len(TIMES), len(TOWN.instruments)))
    for quantity, given in columns.items():
        for place, one in enumerate(TOWN.instruments):
            if one.quantity == quantity:
                values[:, place] = given
    return Past(TOWN, TIMES, values, START, [])


def test_a_play_follows_from_the_physics_and_not_from_how_devices_speak() -> None:
    names = {file.stem for file in needed(Path(plays.__file__))}
    assert {"world", "water", "drainage", "gas", "weather", "town", "effects", "device"} <= names
    assert not names & {"fleet", "gateway", "service", "historian", "commands"}


def pump_failure(begin: float = 3600.0, lasts_s: float = 1800.0, pump: str = "D-U-1") -> Event:
    at = to_wgs84(TOWN.position(pump))
    return Event("e", "pump_failure", START + begin, START + begin + lasts_s, START, at)


def test_a_pump_that_fails_is_visible_once_its_well_asks_for_it() -> None:
    start = float(TOWN.drainage.nodes["D-U-1"].attributes["start_level_m"])
    rises = past(level=np.where(START + 4500 <= TIMES, start + 0.1, start - 0.5))
    assert asked(rises, pump_failure()).visible == START + 4500
    assert asked(past(level=np.zeros(len(TIMES))), pump_failure()).visible is None, "nobody can see it"
    works = pump_failure(pump="W-U-1")
    assert asked(rises, works) is works
    burst = replace(works, kind="burst")
    assert asked(rises, burst) is burst


@pytest.mark.parametrize(("minutes", "wet"), [(0, False), (1, False), (3, True), (100, True)])
def test_an_alert_is_wet_from_two_millimetres_on(minutes: int, wet: bool) -> None:
    """60 mm/h from an hour on, and an alert that began so many minutes later, just before a moment is over."""
    begun = START + 3600 + 60 * minutes
    rain = np.where((TIMES > START + 3600) & (begun + 1 > TIMES), 60.0, 0.0)
    assert wet_of(past(rain=rain))(begun) is wet


def test_an_episode_tells_its_level_at_any_moment() -> None:
    now = datetime.fromtimestamp(START, UTC)
    alert = Alert(
        1,
        Subject(SubjectKind.SENSOR, 1),
        "level.high",
        AlertKind.RISK,
        "",
        Level.BLUE,
        AlertState.UNACK,
        now,
        now,
        1,
        {},
    )
    episode = Episode(alert, START, START, Level.RED, levels=[(START, Level.BLUE), (START + 60, Level.RED)])
    moments = [START - 1, START, START + 59, START + 60, START + 900]
    assert [episode.level_at(one) for one in moments] == [Level.BLUE] * 3 + [Level.RED] * 2


def test_messages_of_an_event_are_those_of_its_incidents() -> None:
    cases = Cases({1: 7, 2: 7, 3: 8})
    cases.messages.update({7: 3, 8: 2})
    now = datetime.fromtimestamp(START, UTC)

    def episode(number: int) -> Episode:
        subject = Subject(SubjectKind.SENSOR, number)
        alert = Alert(number, subject, "x", AlertKind.RISK, "", Level.BLUE, AlertState.UNACK, now, now, 1, {})
        return Episode(alert, START, START, Level.BLUE)

    assert cases.among([episode(1), episode(2)]) == {7}
    assert cases.told([episode(1), episode(3), episode(4)]) == 5
