"""key=value of the commands that edit: what is a field, what an attribute, and what is no such thing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeline.cli import edits
from lifeline.cli.export import box_of
from lifeline.errors import ConfigurationError
from lifeline.geo import Box
from lifeline.storage.editing import Edit


@pytest.mark.parametrize(
    ("what", "given_fields", "wanted"),
    [
        ("assets", ["material=pe"], {"material": "pe"}),
        ("assets", ["install_year=2026"], {"install_year": "2026"}),
        ("assets", ["in_service=false"], {"in_service": "false"}),
        ("assets", ["material="], {"material": None}),
        ("assets", ["owner=一公司"], {"owner": "一公司"}),
        ("assets", ["wall_mm=3.5"], {"wall_mm": 3.5}),
        ("assets", ["inspected=true"], {"inspected": True}),
        ("assets", ['tags=["a","b"]'], {"tags": ["a", "b"]}),
        ("assets", ["formula=a=b"], {"formula": "a=b"}),
        ("assets", ["name=12"], {"name": "12"}),
        ("assets", ["a=1", "b=2"], {"a": 1, "b": 2}),
        ("sensors", ["high=1.2", "low=0"], {"high": "1.2", "low": "0"}),
        ("sensors", ["longitude=117.2", "latitude=31.8"], {"longitude": "117.2", "latitude": "31.8"}),
        ("sensors", ["balance=D1:in;D2:out"], {"balance": "D1:in;D2:out"}),
        ("zones", ["status=rejected", "note=later"], {"status": "rejected", "note": "later"}),
    ],
)
def test_fields_are_text_for_the_checks_and_attributes_what_they_read_as(
    what: str, given_fields: list[str], wanted: dict[str, object]
) -> None:
    assert edits.parsed(what, given_fields) == wanted


@pytest.mark.parametrize(
    ("what", "given_fields", "message"),
    [
        ("assets", ["material"], "'material' must be key=value"),
        ("assets", ["=pe"], "'=pe' must be key=value"),
        ("assets", ["material=pe", "material=steel"], "'material' is given twice"),
        ("sensors", ["colour=red"], "'colour' is none of device, network"),
        ("sensors", ["heigh=3"], "'heigh' is none of"),
    ],
)
def test_what_is_no_field_is_refused_in_one_line(what: str, given_fields: list[str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as refused:
        edits.parsed(what, given_fields)
    assert "\n" not in str(refused.value)


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,12}", fullmatch=True), st.text(min_size=1), max_size=5))
def test_whatever_is_behind_the_first_sign_is_the_value(fields: dict[str, str]) -> None:
    own = {f"x_{name}": text for name, text in fields.items()}
    found = edits.parsed("assets", [f"{name}={text}" for name, text in own.items()])
    assert found.keys() == own.keys()
    for name, text in own.items():
        assert found[name] == text or not isinstance(found[name], str), "text, or what reads as JSON"


def test_a_change_is_shown_before_and_after(capsys: pytest.CaptureFixture[str]) -> None:
    changes = {"material": ["pe", "steel"], "owner": [None, "一公司"], "geometry": [{"a": "x" * 90}, None]}
    edits.show(Edit("assets", "P1", "changed", changes))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "asset P1: changed"
    assert [line.split() for line in lines[2:4]] == [["material", "pe", "steel"], ["owner", "-", "一公司"]]
    assert "..." in lines[4]
    assert max(map(len, lines)) < 120


def test_that_nothing_has_changed_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    edits.show(Edit("zones", "Z1", None, {}))
    assert capsys.readouterr().out == "zone Z1: nothing has changed\n"


def test_a_box_is_four_numbers_on_the_globe() -> None:
    assert box_of(None) is None
    assert box_of("117.1,31.7,117.3,31.9") == Box(117.1, 31.7, 117.3, 31.9)
    for wrong in ("", "1,2,3", "1,2,3,4,5", "a,b,c,d", "3,2,1,4", "1,4,3,2", "nan,0,1,1", "0,0,181,1", "0,-91,1,1"):
        with pytest.raises(ConfigurationError, match="must be WEST,SOUTH,EAST,NORTH"):
            box_of(wrong)
