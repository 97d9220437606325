"""The reader of GeoJSON files: its lines are right, and what is no FeatureCollection is refused with its line."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeline.errors import ImportRejectedError
from lifeline.exchange.geojson import feature_values

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=12,
)


def read(text: str) -> list[tuple[int, Any]]:
    return list(feature_values(text, "f.geojson"))


@given(
    features=st.lists(JSON, max_size=6),
    before=st.dictionaries(st.text().filter(lambda key: key not in ("type", "features")), JSON, max_size=3),
    indent=st.sampled_from([None, 0, 1, 4]),
    type_first=st.booleans(),
)
def test_every_collection_reads_as_json_reads_it(
    features: list[Any], before: dict[str, Any], indent: int | None, type_first: bool
) -> None:
    ends: list[tuple[str, Any]] = [("type", "FeatureCollection"), ("features", features)]
    text = json.dumps({**before, **dict(ends if type_first else ends[::-1])}, indent=indent)
    assert [value for _, value in read(text)] == features


@given(st.lists(st.integers(0, 5), min_size=1, max_size=20))
def test_each_feature_is_told_the_line_on_which_it_begins(gaps: list[int]) -> None:
    text, line, lines = '{"type": "FeatureCollection", "features": [', 1, []
    for number, gap in enumerate(gaps):
        text += ("," if number else "") + "\n" * gap
        line += gap
        lines.append(line)
        text += json.dumps({"n": number}, indent=1)
        line += 2
    assert [at for at, _ in read(text + "\n]}")] == lines


@given(st.text(max_size=60))
def test_no_text_breaks_the_reader(text: str) -> None:
    """It is read or it is refused; 60 characters are too few for a collection with a feature in it."""
    with suppress(ImportRejectedError):
        assert read(text) == []


@given(st.integers(0, 200), st.integers(0, 0x10FFFF).filter(lambda code: not 0xD800 <= code < 0xE000))
def test_a_file_that_was_cut_or_scratched_is_read_or_refused(at: int, code: int) -> None:
    whole = json.dumps({"type": "FeatureCollection", "features": [{"a": [1, 2.5, "x"]}, {"b": None}], "z": {"q": 1}})
    for text in (whole[:at], whole[:at] + chr(code) + whole[at + 1 :]):
        with suppress(ImportRejectedError):
            assert len(read(text)) <= 2


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("", 1, "must be a JSON object"),
        ("[]", 1, "must be a JSON object"),
        ("{}", 1, "'type' is missing"),
        ('{"type": "FeatureCollection"}', 1, "'features' is missing"),
        ('{"features": []}', 1, "'type' is missing"),
        ('{"type": "Feature", "features": []}', 1, "must be a FeatureCollection, not 'Feature'"),
        ('{"type": ["FeatureCollection"], "features": []}', 1, "must be a FeatureCollection"),
        ('{\n"type": "FeatureCollection",\n"features": {}}', 3, "must be an array"),
        ('{"type": "FeatureCollection", "features": [\n1\n2]}', 3, "',' or ']' is missing"),
        ('{"type": "FeatureCollection", "features": [1,\n]}', 2, "is not JSON"),
        ('{"type": "FeatureCollection" "features": []}', 1, "',' or '}' is missing"),
        ('{"type" "FeatureCollection"}', 1, "':' is missing"),
        ("{1: 2}", 1, "a key must be text"),
        ('{"type": "FeatureCollection", "features": []}\n\n{}', 3, "something follows the end"),
        ('{"type": "FeatureCollection",\n "features": [NaN]}', 2, "NaN is no JSON number"),
        ('{"type": "FeatureCollection", "features": [-Infinity]}', 1, "-Infinity is no JSON number"),
        ('{"type": "FeatureCollection", "features": [' + "[" * 100_000, 1, "nested too deeply"),
        ('{"type": "FeatureCollection", "features": [' + "9" * 5000 + "]}", 1, "is not JSON"),
    ],
)
def test_what_is_no_collection_is_refused_with_line_and_reason(text: str, line: int, reason: str) -> None:
    with pytest.raises(ImportRejectedError, match=r"nothing was stored") as refused:
        read(text)
    (problem,) = refused.value.problems
    assert problem.line == line
    assert reason in problem.message


def test_features_are_given_before_the_file_is_read_to_its_end() -> None:
    """A large file costs no memory for what comes later, and a mistake in it is found when it is reached."""
    found = feature_values('{"type": "FeatureCollection", "features": [1, 2, oops', "f")
    assert [next(found), next(found)] == [(1, 1), (1, 2)]
    with pytest.raises(ImportRejectedError):
        next(found)


def test_a_hundred_thousand_features_are_read_in_linear_time() -> None:
    text = '{"type": "FeatureCollection", "features": [' + ",\n".join(["{}"] * 100_000) + "]}"
    assert read(text)[-1] == (100_000, {})
