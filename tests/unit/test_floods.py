"""Floods: more than ten in ten minutes, until less than five in ten minutes."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from lifeline.storage.performance import FLOOD_SPAN, Flood, find_floods, most_within

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
END = NOON + timedelta(days=2)


def at(*minutes: float) -> list[datetime]:
    return [NOON + timedelta(minutes=each) for each in minutes]


def naive(times: list[datetime], end: datetime) -> list[Flood]:
    """By the definition, second by second of the moments at which the count can change."""
    floods, start, began = [], None, 0
    moments = sorted({*times, *(time + FLOOD_SPAN for time in times)})
    for moment in moments:
        inside = [time for time in times if moment - FLOOD_SPAN < time <= moment]
        if start is None and len(inside) > 10:
            # A storm that was told of before does not count twice.
            start, began = moment, times.index(inside[0])
        elif start is not None and len(inside) < 5:
            told = sum(1 for time in times if time < moment or (time == moment and time in inside)) - began
            floods.append(Flood(start, min(moment, end), told))
            start = None
    return floods


def test_ten_in_ten_minutes_are_no_flood_and_eleven_are() -> None:
    assert find_floods(at(*range(10)), END) == []
    assert find_floods(at(*[minute * 0.9 for minute in range(11)]), END) == [
        Flood(*at(9, 15.4), 11),
    ]


def test_a_flood_ends_when_less_than_five_are_left_in_ten_minutes() -> None:
    # Eleven at once, then one every two minutes: five in ten minutes keep it going, until they stop.
    (flood,) = find_floods(at(*[0] * 11, 2, 4, 6, 8, 10, 12), END)
    assert flood.start == NOON
    assert flood.end == NOON + timedelta(minutes=14)


def test_two_storms_with_calm_between_are_two_floods() -> None:
    assert [flood.annunciations for flood in find_floods(at(*[0] * 12, *[60] * 20), END)] == [12, 20]


def test_a_flood_that_still_runs_ends_with_the_period() -> None:
    (flood,) = find_floods(at(*[0] * 12), NOON + timedelta(minutes=3))
    assert flood.end == NOON + timedelta(minutes=3)


@given(st.lists(st.integers(0, 3600), min_size=0, max_size=60).map(sorted))
def test_floods_are_those_of_the_definition(seconds: list[int]) -> None:
    times = [NOON + timedelta(seconds=each) for each in seconds]
    found = find_floods(times, END)
    assert [(flood.start, flood.end) for flood in found] == [(one.start, one.end) for one in naive(times, END)]
    assert all(flood.annunciations > 10 and flood.end > flood.start for flood in found)


@given(st.lists(st.integers(0, 8000), max_size=40).map(sorted))
def test_the_most_within_an_hour_is_that_of_the_definition(seconds: list[int]) -> None:
    times = [NOON + timedelta(seconds=each) for each in seconds]
    hour = timedelta(hours=1)
    counts = [sum(1 for other in times if time - hour < other <= time) for time in times]
    assert most_within(times, hour) == max(counts, default=0)
