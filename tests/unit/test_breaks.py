"""Break records from CSV: all or nothing, every mistake with its line."""

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeline.breaks import Break, is_break_file, parse_breaks
from lifeline.errors import ImportRejectedError

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def parse(text: str) -> list[Break]:
    return [entry.item for entry in parse_breaks(text.encode(), NOW)]


def problems(text: str) -> list[tuple[int, str]]:
    with pytest.raises(ImportRejectedError) as rejected:
        parse(text)
    return [(problem.line, problem.message) for problem in rejected.value.problems]


def test_records_are_read_with_their_numbers_or_get_one():
    found = parse("asset,at,cause,id\nP1,2024-05-17,腐蚀,B-7\nP2,2024-05-17T08:30:00+08:00,,\n\n")
    assert found == [
        Break("P1", datetime(2024, 5, 17, tzinfo=UTC), "腐蚀", "B-7"),
        Break("P2", datetime(2024, 5, 17, 0, 30, tzinfo=UTC), "", "P2@2024-05-17T00:30:00Z"),
    ]


def test_columns_may_come_in_any_order_and_a_mark_of_utf8_is_no_part_of_them():
    assert parse("\ufeffat,asset\n2020-01-01,P1\n")[0].asset == "P1"


def test_ten_planted_mistakes_are_ten_lines():
    text = (
        "asset,at,cause,id\n,2024-01-01,,1\nP 1,2024-01-01,,2\nP1,yesterday,,3\nP1,,,4\nP1,2030-01-01,,5\n"
        f"P1,1700-01-01,,6\nP1,2024-01-01,{'x' * 501},7\nP1,2024-01-01,,8,more\nP1,2024-01-01,,9\nP1,2024-02-01,,9\n"
        "P1,0000-13-99,,11\n"
    )
    found = problems(text)
    assert [line for line, _ in found] == [2, 3, 4, 5, 6, 7, 8, 9, 11, 12]
    assert "in the future" in found[4][1]
    assert "already on line 10" in found[8][1]


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "empty"), ("asset\nP1\n", "'at' is missing"), ("asset,at,colour\n", "'colour' is not one of"),
     ("asset,at,at\n", "named twice"), ('asset,at\n"P1,2024\n', "not CSV")],
)  # fmt: skip
def test_a_file_of_another_shape_is_refused_with_the_reason(text, says):
    assert any(says in message for _, message in problems(text))


def test_bytes_that_are_no_text_are_refused_with_their_line():
    with pytest.raises(ImportRejectedError, match="line 2: is not UTF-8"):
        parse_breaks(b"asset,at\n\xff\n", NOW)


def test_a_break_file_is_told_from_a_sensor_file_by_its_header():
    assert is_break_file(b"\xef\xbb\xbfasset,at,cause\nP1,2024-01-01,x\n")
    assert not is_break_file(b"device,network,channel,asset\n")
    assert not is_break_file(b"asset,at,colour\n")
    assert not is_break_file(b"\xff\xfe")


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_and_nothing_else(data):
    with contextlib.suppress(ImportRejectedError):
        parse_breaks(data, NOW)
    is_break_file(data)
