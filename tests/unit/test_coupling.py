"""Couplings between networks: what reaches what, and the chains that are told."""

import json
import math
from pathlib import Path

import pytest

from lifeline.errors import CatalogueError
from lifeline.risk import coupling
from lifeline.risk.coupling import Place, Surroundings, parse, shipped

METRE = 1 / 111_194.93
"""A metre of latitude in degrees."""
SHIPPED = (Path(coupling.__file__).parent.parent / "coupling.toml").read_text(encoding="utf-8")


def line(north_m: float, length_m: float = 100) -> str:
    """A pipe that runs east."""
    south = 31.8 + north_m * METRE
    east = 117.2 + length_m * METRE / math.cos(math.radians(31.8))
    return json.dumps({"type": "LineString", "coordinates": [[117.2, south], [east, south]]})


def point(north_m: float) -> str:
    return json.dumps({"type": "Point", "coordinates": [117.2, 31.8 + north_m * METRE]})


def street(*things: tuple[str, Place]) -> Surroundings:
    geometries, places = zip(*things, strict=True)
    return Surroundings(geometries, places, shipped())


def place(network: str, kind: str = "pipe", cof: float = 2.0, road: str = "") -> Place:
    return Place(network, kind, cof, road)


def test_a_gas_leak_gathers_in_the_chamber_nearby_and_fades_with_distance() -> None:
    near, far = (
        street((line(0), place("gas")), (point(metres), place("drainage", "chamber"))) for metres in (1.0, 20.0)
    )
    (close,) = [each for each in near.reached(0, "gas_leak") if each.links]
    (distant,) = [each for each in far.reached(0, "gas_leak") if each.links]
    assert close.hazard == distant.hazard == "gas_gathered"
    assert close.product == pytest.approx(0.6 * math.exp(-0.1), rel=1e-3)
    assert distant.product == pytest.approx(0.6 * math.exp(-2.0), rel=1e-3)


def test_what_is_out_of_reach_or_of_another_kind_is_not_reached() -> None:
    here = street(
        (line(0), place("gas")),
        (point(26), place("drainage", "chamber")),
        (point(1), place("gas", "chamber")),
        (point(1), place("water", "valve")),
    )
    assert [each.links for each in here.reached(0, "gas_leak")] == [()]


def test_a_burst_goes_through_the_drain_to_the_regulator_and_no_further() -> None:
    here = street(
        (line(0), place("water", road="trunk")),
        (line(10), place("drainage")),
        (point(40), place("gas", "regulator", cof=4.5)),
    )
    told = {each.effect.id: each for each in here.chains(0, "burst", 0.9)}
    assert set(told) == {"road_collapse", "street_flooding", "gas_supply_lost"}
    flooded = told["gas_supply_lost"]
    assert [link.coupling.id for link in flooded.links] == ["burst_into_drain", "flooded_regulator"]
    expected = 0.9 * 0.5 * math.exp(-10 / 20) * 0.5 * math.exp(-30 / 40) * 0.4
    assert flooded.product == pytest.approx(expected, rel=1e-3)
    assert flooded.impact == 4.5
    assert flooded.risk == pytest.approx(flooded.product * 4.5)
    assert (told["road_collapse"].impact, told["road_collapse"].end) == (5.0, 0)
    assert told["street_flooding"].impact == 3.0  # the road above the drain is not known


def test_a_chain_never_comes_back_to_its_source() -> None:
    here = street((line(0), place("water")), (line(2), place("drainage")))
    assert {each.asset for each in here.reached(0, "burst")} == {0, 1}
    assert all(link.asset != 0 for each in here.reached(0, "burst") for link in each.links)


def test_each_asset_and_hazard_is_reached_by_its_likeliest_way() -> None:
    here = street((line(0), place("water")), (line(3), place("gas")), (point(1), place("drainage", "chamber")))
    reached = {(each.asset, each.hazard): each for each in here.reached(0, "burst")}
    assert len(reached) == len(here.reached(0, "burst"))
    assert [link.coupling.id for link in reached[2, "surcharge"].links] == ["burst_into_drain"]
    assert [link.coupling.id for link in reached[2, "gas_gathered"].links] == [
        "washed_out_gas_pipe",
        "gas_into_chamber",
    ]


@pytest.mark.parametrize(
    ("network", "kind", "quantity", "hazards"),
    [
        ("gas", "pipe", "methane", ["gas_leak"]),
        ("gas", "chamber", "methane", ["gas_leak", "gas_gathered"]),
        ("drainage", "chamber", "methane", ["gas_gathered"]),
        ("water", "pipe", "pressure", ["burst"]),
        ("water", "pipe", "turbidity", []),
        ("drainage", "pipe", "level", ["surcharge"]),
        ("heat", "pipe", "pressure", []),
    ],
)
def test_an_alert_means_a_hazard_by_network_kind_and_quantity(
    network: str, kind: str, quantity: str, hazards: list[str]
) -> None:
    assert street((line(0), place(network, kind))).hazards(0, quantity) == hazards


def test_a_chain_is_told_with_names_titles_and_its_product() -> None:
    here = street((line(0), place("gas")), (point(5), place("drainage", "chamber")))
    told = [coupling.tell(each, ["G-1", "D-1"]) for each in here.chains(0, "gas_leak", 0.75)]
    (explosion,) = [each for each in told if each["effect"]["id"] == "explosion"]
    assert (explosion["source"], explosion["likelihood"], explosion["impact"]) == ("G-1", 0.75, 5.0)
    (link,) = explosion["links"]
    assert (link["asset"], link["distance_m"]) == ("D-1", 5.0)
    assert explosion["product"] == pytest.approx(0.75 * link["likelihood"] * 0.1, rel=1e-3)
    assert explosion["effect"]["title"]["zh"]


def test_an_empty_city_has_no_surroundings() -> None:
    assert Surroundings([], [], shipped()).places == []


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("likelihood = 0.6", "likelihood = 1.6", "gas_into_chamber: likelihood"),
        ("fade_m = 10", "fade_m = 0", "gas_into_chamber: within_m and fade_m"),
        ('to = "contaminated"', 'to = "magic"', "sewage_into_main: no effect"),
        ("within_m = 25", "within = 25", "within"),
        ("unknown = 3", "other = 3", "'unknown' is missing"),
        ('kinds = ["regulator"]', 'kinds = ["teapot"]', "teapot"),
        ("[road_impact]", "[road_impact", "coupling.toml"),
    ],
)
def test_a_wrong_file_is_refused_and_says_where(old: str, new: str, told: str) -> None:
    assert old in SHIPPED
    with pytest.raises(CatalogueError, match=told):
        parse(SHIPPED.replace(old, new, 1))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="No such file"):
        coupling.load(tmp_path / "none.toml")
    own = tmp_path / "own.toml"
    own.write_text(SHIPPED, encoding="utf-8")
    assert coupling.load(own) == shipped()
