"""EPANET and SWMM files: sections, units, ids, what is noted and what is left out."""

import pytest

from lifeline.errors import ImportRejectedError
from lifeline.exchange.coordinates import Placement
from lifeline.exchange.epanet import LITRES_A_SECOND, read_epanet
from lifeline.exchange.models import Rows, rows_of
from lifeline.exchange.sections import read_sections
from lifeline.exchange.swmm import read_swmm

TOWN = """
[TITLE]
any [words] here
[JUNCTIONS]
;a comment
 J1  100  5   ; and one behind
 J2  100  5
[RESERVOIRS]
 R1  200
[TANKS]
 T1  150 10 0 20 40 0
[PIPES]
 P1  R1  J1  1000  12  120  0  Open
 P2  J1  J2  500   8   120  0  CV
[PUMPS]
 PU1 J2 T1 HEAD 1
[VALVES]
 ~@V1 J1 T1 1000 PRV 40 0
[DEMANDS]
 J2  1
 J2  2
[OPTIONS]
 Units GPM
[COORDINATES]
 J1  100 0
 J2  150 0
 R1  0   0
 T1  150 50
[VERTICES]
 P1  50  10
"""


def rows(text: str, prefix: str = "") -> Rows:
    model = read_epanet(read_sections(text.encode(), "town.inp"), "town.inp", "water")
    found = rows_of(model, crs=None, placement=Placement(117.27, 31.86), prefix=prefix, name="town")
    assert model.problems == []
    return found


def test_american_units_become_metres_millimetres_and_litres() -> None:
    values = {row.values["id"]: row.values for row in rows(TOWN).assets}
    assert values["P1"]["length_m"] == pytest.approx(304.8)
    assert values["P1"]["diameter_mm"] == pytest.approx(304.8)
    assert values["J1"]["demand_lps"] == pytest.approx(5 * 0.0630902, abs=1e-6)
    assert values["J2"]["demand_lps"] == pytest.approx(3 * 0.0630902, abs=1e-6)
    assert values["J1"]["elevation_m"] == pytest.approx(30.48)
    assert values["T1"]["tank_diameter_m"] == pytest.approx(12.192)
    assert values["R1"]["source"] is True
    assert values["P2"]["status"] == "cv"


def test_metric_units_stay_as_they_are() -> None:
    values = {row.values["id"]: row.values for row in rows(TOWN.replace("GPM", "LPS")).assets}
    assert (values["P1"]["length_m"], values["P1"]["diameter_mm"]) == (1000.0, 12.0)
    assert values["J1"]["demand_lps"] == 5.0


def test_one_litre_a_second_is_the_same_in_every_unit() -> None:
    in_a_day = {"CMH": 3.6, "CMD": 86.4, "LPM": 60.0, "MLD": 0.0864, "CMS": 0.001, "GPM": 15.850323}
    assert {unit: LITRES_A_SECOND[unit] * n for unit, n in in_a_day.items()} == pytest.approx(
        dict.fromkeys(in_a_day, 1.0), rel=1e-6
    )


def test_a_placeholder_for_a_diameter_is_left_out_and_noted() -> None:
    model = read_epanet(read_sections(TOWN.encode(), "t"), "t", "water")
    assert model.incredible == ["~@V1"]
    assert "diameter_mm" not in model.links[-1].values


def test_a_link_goes_through_its_vertices_from_end_to_end() -> None:
    pipe = next(row for row in rows(TOWN).assets if row.values["id"] == "P1")
    assert pipe.geometry is not None
    assert len(pipe.geometry["coordinates"]) == 3
    assert (pipe.values["from"], pipe.values["to"]) == ("R1", "J1")


def test_a_name_that_no_id_can_be_is_cleaned_and_kept() -> None:
    valve = next(row.values for row in rows(TOWN).assets if row.values["element"] == "~@V1")
    assert (valve["id"], valve["name"], valve["model"]) == ("x__V1", "~@V1", "town")
    assert {row.values["id"] for row in rows(TOWN, "w-").assets} >= {"w-__V1", "w-P1", "w-J1"}


def test_links_get_their_kind_in_front_where_one_has_a_nodes_name() -> None:
    found = rows(TOWN.replace(" P1  R1", " J1  R1").replace(" P1  50", " J1  50")).assets
    assert {row.values["id"] for row in found} >= {"J1", "pipe-J1", "pipe-P2", "pump-PU1"}


def test_the_scale_is_found_from_the_lengths() -> None:
    scale = rows(TOWN).scale
    assert scale is not None
    assert 2.9 < scale < 3.1


def test_degrees_are_taken_as_such_only_where_the_lengths_agree() -> None:
    text = TOWN.replace("GPM", "LPS")
    for name, x, y in (("J1", "100", "0"), ("J2", "150", "0"), ("R1", "0  ", "0")):
        lon, lat = 117.0 + float(x) / 10_000, 31.0
        text = text.replace(f" {name}  {x} {y}", f" {name}  {lon} {lat}")
    text = text.replace(" T1  150 50", " T1  117.015 31.005").replace(" P1  50  10", " P1  117.005 31.001")
    model = read_epanet(read_sections(text.encode(), "t"), "t", "water")
    assert rows_of(model, crs=None, placement=None, prefix="", name="t").scale is None
    drawing = read_epanet(read_sections(TOWN.encode(), "t"), "t", "water")
    with pytest.raises(ImportRejectedError, match="--place LON,LAT"):
        rows_of(drawing, crs=None, placement=None, prefix="", name="t")


def test_a_file_in_latin1_is_read_and_one_without_a_section_refused() -> None:
    assert read_sections("[TITLE]\nZürich".encode("latin-1"), "t")["TITLE"][0].fields == ("Zürich",)
    with pytest.raises(ImportRejectedError, match="no EPANET or SWMM"):
        read_sections(b"hello", "t")


def test_swmm_in_american_units_and_without_polygons() -> None:
    text = """[JUNCTIONS]
M1 10 5
[OUTFALLS]
O1 5 FREE
[CONDUITS]
C1 M1 O1 100 0.013 0 0
[XSECTIONS]
C1 CIRCULAR 2 0 0 0
[SUBCATCHMENTS]
A1 RG M1 10 50 100 1 0
[COORDINATES]
M1 0 0
O1 10 0
"""
    model = read_swmm(read_sections(text.encode(), "t"), "t", "drainage")
    assert model.areas == {}
    assert model.links[0].values == {"roughness": 0.013, "length_m": 30.48, "diameter_mm": 609.6}
    assert model.nodes[0].values == {"elevation_m": 3.048, "depth_m": 1.524}
    assert model.problems == []
