"""Mapping files: columns, words, units and constants of a source in Lifeline's terms."""

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeline.errors import ConfigurationError
from lifeline.exchange.mapping import UNITS, WORDS, ColumnMap, apply, missing_columns, read_mapping
from lifeline.exchange.rows import Row
from lifeline.model import AssetKind, FacilityKind, RoadClass, ZoneKind


def read(folder: Path, text: str) -> ColumnMap:
    path = folder / "map.toml"
    path.write_text(text, encoding="utf-8")
    return read_mapping(path)


def mapped(columns: ColumnMap, **values: Any) -> dict[str, Any]:
    return dict(apply(columns, [Row(1, values, None)])[0].values)


def test_columns_are_renamed_whatever_their_case_and_others_are_kept() -> None:
    columns = ColumnMap(fields={"id": "CODE", "material": "guancai"})
    assert mapped(columns, code="P1", GuanCai="pe", note="x") == {"id": "P1", "material": "pe", "note": "x"}


def test_a_word_of_the_mapping_file_comes_before_a_known_one() -> None:
    columns = ColumnMap(values={"material": {"钢": "galvanised_steel", "3": "pe"}})
    assert mapped(columns, material="钢")["material"] == "galvanised_steel"
    assert mapped(columns, material=3)["material"] == "pe"
    assert mapped(columns, material="铸铁")["material"] == "cast_iron"
    assert mapped(columns, material="竹")["material"] == "竹"


def test_constants_fill_only_what_is_empty() -> None:
    columns = ColumnMap(constants={"network": "water", "kind": "pipe"})
    assert mapped(columns, network="", kind="valve") == {"network": "water", "kind": "valve"}


@given(st.floats(0.01, 1e4), st.sampled_from(sorted(UNITS)))
def test_a_diameter_in_any_unit_is_the_same_in_millimetres(value: float, unit: str) -> None:
    columns = ColumnMap(factors={"diameter_mm": UNITS[unit] / 0.001})
    assert mapped(columns, diameter_mm=str(value))["diameter_mm"] == pytest.approx(value * UNITS[unit] * 1000)


@pytest.mark.parametrize("value", ["wide", "", None, True, [1]])
def test_what_is_no_number_is_left_for_the_checks(value: object) -> None:
    assert mapped(ColumnMap(factors={"diameter_mm": 10.0}), diameter_mm=value)["diameter_mm"] == value


def test_units_of_a_file_become_factors(tmp_path: Path) -> None:
    columns = read(tmp_path, '[units]\ndiameter_mm = "in"\nlength_m = "km"\ncustomers = 3')
    assert columns.factors == pytest.approx({"diameter_mm": 25.4, "length_m": 1000.0, "customers": 3.0})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "'x' is none of as, crs"),
        ('as = "pipes"', "as = 'pipes' is none of assets, sensors, zones"),
        ("crs = 4547", "crs must be text"),
        ("fields = 1", r"\[fields\] must be a table"),
        ("[fields]\nid = 1", "fields.id must be the name of a column"),
        ('[values]\nmaterial = "pe"', "values.material must be a table of words"),
        ('[units]\ndiameter_mm = "furlong"', "units.diameter_mm = 'furlong' must be a number to multiply with"),
        ('[units]\ncustomers = "cm"', "units.customers = 'cm' must be"),
        ("[units]\nlength_m = -1", "units.length_m = -1 must be"),
        ("=", "map.toml"),
    ],
)
def test_a_mapping_file_that_is_wrong_says_where_and_how(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read(tmp_path, text)


def test_a_mapping_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "map.toml"
    path.write_bytes("管".encode("gb18030"))
    with pytest.raises(ConfigurationError, match=r"map\.toml"):
        read_mapping(path)


def test_every_known_word_means_something_that_lifeline_has() -> None:
    text = resources.files("lifeline.risk").joinpath("deterioration.toml").read_text(encoding="utf-8")
    classes = tomllib.loads(text)["class"]
    known = classes.keys() | {alias for each in classes.values() for alias in each.get("aliases", ())}
    assert set(WORDS["material"].values()) <= known
    assert set(WORDS["kind"].values()) <= set(AssetKind) | set(ZoneKind) | set(FacilityKind)
    assert set(WORDS["road_class"].values()) <= set(RoadClass)
    assert set(WORDS["network"].values()) <= {"gas", "water", "drainage"}


def test_columns_that_no_row_has_are_told() -> None:
    columns = ColumnMap(fields={"id": "Code", "material": "guancai"})
    assert missing_columns(columns, [Row(1, {"code": "P1"}, None)]) == ["guancai"]
    assert missing_columns(columns, []) == []
