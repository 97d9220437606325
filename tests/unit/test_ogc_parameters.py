"""``datetime`` and ``bbox`` as OGC API Features defines them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.features import LAYERS, interval_of, layer_of
from api.problems import ProblemError
from lifeline.errors import NotFoundError

EIGHT = datetime(2026, 11, 21, 8, tzinfo=UTC)
NINE = datetime(2026, 11, 21, 9, tzinfo=UTC)
MOMENTS = st.datetimes(
    min_value=datetime(1970, 1, 2),
    max_value=datetime(2199, 12, 30),
    timezones=st.just(UTC),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, (None, None)),
        ("2026-11-21T08:00:00Z", (EIGHT, EIGHT)),
        ("2026-11-21T16:00:00+08:00", (EIGHT, EIGHT)),
        ("2026-11-21T08:00:00Z/2026-11-21T09:00:00Z", (EIGHT, NINE)),
        ("2026-11-21T08:00:00Z/..", (EIGHT, None)),
        ("2026-11-21T08:00:00Z/", (EIGHT, None)),
        ("../2026-11-21T09:00:00Z", (None, NINE)),
        ("/2026-11-21T09:00:00Z", (None, NINE)),
    ],
)
def test_an_interval_is_read_as_the_standard_writes_it(
    text: str | None, expected: tuple[datetime | None, datetime | None]
) -> None:
    assert interval_of(text) == expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "at least one moment"),
        ("..", "at least one moment"),
        ("../..", "at least one moment"),
        ("/", "at least one moment"),
        ("yesterday", "is no moment"),
        ("2026-11-21", "needs a time zone"),
        ("2026-11-21T08:00:00", "needs a time zone"),
        ("1066-10-14T09:00:00Z", "a year from 1970"),
        ("2026-11-21T09:00:00Z/2026-11-21T08:00:00Z", "before it ends"),
        ("2026-11-21T09:00:00Z/2026-11-21T10:00:00Z/x", "is no moment"),
    ],
)
def test_what_is_no_interval_is_refused_with_the_reason(text: str, complaint: str) -> None:
    with pytest.raises(ProblemError, match=complaint) as refused:
        interval_of(text)
    assert refused.value.status == 400


@given(MOMENTS, st.timedeltas(min_value=timedelta(0), max_value=timedelta(hours=20)))
def test_what_is_written_is_what_is_read(start: datetime, length: timedelta) -> None:
    end = start + length
    assert interval_of(f"{start.isoformat()}/{end.isoformat()}") == (start, end)
    assert interval_of(f"{start.isoformat()}/..") == (start, None)


def test_every_layer_has_a_name_in_both_languages() -> None:
    for name, layer in LAYERS.items():
        assert layer_of(name) is layer
        assert layer.title.isascii() is False
        assert layer.description


def test_a_layer_that_is_not_there_is_not_found() -> None:
    with pytest.raises(NotFoundError, match="no collection 'none'"):
        layer_of("none")
