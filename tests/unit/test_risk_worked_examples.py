"""Worked examples of docs/explanation/risk-model.md, calculated by hand beside the code."""

import math
import re
from pathlib import Path

import numpy as np
import pytest

from lifeline import risk
from lifeline.risk.assets import Inventory
from lifeline.risk.consequence import DIAMETERS_MM, LOSS_HIGH, LOSS_LOW, ROADS, WEIGHTS
from lifeline.risk.deterioration import shipped_deterioration
from lifeline.risk.likelihood import STEPS, likelihood_of

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "explanation" / "risk-model.md").read_text(encoding="utf-8")
SHIPPED = shipped_deterioration()


def asset(**known: object) -> Inventory:
    """One asset of which just this is known."""
    plain: dict[str, object] = {
        "material": [None], "age_years": [math.nan], "diameter_mm": [math.nan], "customers": [0.0], "critical": [False],
    }  # fmt: skip
    texts = {"material", "network", "kind", "soil", "road_class"}
    columns = {name: value if name in texts else np.array(value) for name, value in (plain | known).items()}
    return Inventory(**columns)  # type: ignore[arg-type]


def test_a_cast_iron_main_of_forty_five_years():
    """0.216 at 60 years, 3.5 % growth a year, 100 mm, corrosive soil, 80 m long."""
    growth = 0.035
    year = 0.216 * (math.exp(growth * (46 - 60)) - math.exp(growth * (45 - 60))) / growth
    rate = year * (150 / 100) ** 0.6 * 1.6
    found = likelihood_of(
        asset(material=["灰口铸铁"], age_years=[45.0], diameter_mm=[100.0], soil=["corrosive"], network=["water"],
              kind=["pipe"], length_m=[80.0])
    )  # fmt: skip
    assert found.rate[0] == pytest.approx(rate, rel=1e-9)
    assert found.probability[0] == pytest.approx(1 - math.exp(-rate * 0.08), rel=1e-9)
    low, high = 0.005, 0.015  # between the cuts of LoF 4 and 5
    share = math.log(found.probability[0] / low) / math.log(high / low)
    assert found.lof[0] == pytest.approx(min(4 + share, 5.0))


def test_a_pipe_with_three_breaks_in_ten_years_where_a_third_was_expected():
    """(0.5 + 3) / (0.5 + expected): the pipe's own record outweighs its class."""
    steel = SHIPPED.classes[SHIPPED.index["steel"]]
    quiet = asset(material=["steel"], age_years=[40.0], diameter_mm=[150.0], kind=["pipe"], length_m=[500.0])
    broken = asset(material=["steel"], age_years=[40.0], diameter_mm=[150.0], kind=["pipe"], length_m=[500.0],
                   breaks=[3.0], record_years=[10.0])  # fmt: skip
    decade = steel.rate * (1 - math.exp(-steel.growth * 10)) / steel.growth * 0.5
    ratio = likelihood_of(broken).rate[0] / likelihood_of(quiet).rate[0]
    assert ratio == pytest.approx(3.5 / (0.5 + decade))


def test_what_nothing_is_known_of_has_more_than_the_mean_rate():
    unknown = SHIPPED.classes[SHIPPED.index["unknown"]]
    mean = SHIPPED.factors["mean"]["rate"]
    assert unknown.rate == pytest.approx(1.3 * mean)
    assert likelihood_of(asset()).rate[0] > mean


def test_a_main_that_cuts_off_half_the_town():
    """Loss 50 % is severity 1; 1,000 customers are two thirds of the way from 10 to 10,000; a trunk road."""
    found = risk.consequence_of(
        asset(loss=[0.5], customers_lost=[1000.0], road_class=["trunk"], diameter_mm=[100.0], network=["water"])
    )
    spared = (1 - WEIGHTS["supply"]) * (1 - WEIGHTS["customers"] * 2 / 3) * (1 - WEIGHTS["road"])
    assert found.cof[0] == pytest.approx(1 + 4 * (1 - spared))


@pytest.mark.parametrize(("lof", "cof", "wanted"), [(1, 1, 0), (5, 5, 100), (3, 3, 100 / 3), (5, 1, 100 / 6)])
def test_the_score_is_linear_in_the_product(lof, cof, wanted):
    assert risk.score(np.array([float(lof)]), np.array([float(cof)]))[0] == pytest.approx(wanted)


def test_the_points_of_the_consequence_are_what_each_factor_adds_at_that_likelihood():
    known = asset(material=["brick"], age_years=[70.0], customers=[800.0], critical=[True], loss=[0.1])
    scored = risk.standing(known)
    costs = risk.consequence_of(known)
    steps = np.concatenate([[1.0], costs.steps[0]])
    np.testing.assert_allclose(scored.points[0, len(STEPS) :], scored.lof[0] * np.diff(steps) / 24 * 100)


def test_the_page_names_every_part_in_its_order():
    listed = re.search(r"in a fixed order: (.*?)\. A part's points", PAGE, re.DOTALL)
    assert listed is not None
    named = re.split(r"[,;]\s+", listed[1].replace("\n", " "))
    assert tuple(named) == risk.PART_NAMES


def test_the_page_tells_the_weights_and_ranges_of_the_code():
    for name, weight in WEIGHTS.items():
        assert re.search(rf"^\| {name} \| .* \| {weight:g} \|$", PAGE, re.MULTILINE), name
    for name, severity in ROADS.items():
        assert f"{name} {severity:g}" in PAGE
    for low, high in DIAMETERS_MM.values():
        assert f"{low:g} to {high:g} mm" in PAGE
    assert f"{LOSS_LOW:.1%}".replace("%", " %") in PAGE
    assert f"{LOSS_HIGH:.0%}".replace("%", " %") in PAGE


def test_the_page_tells_the_cuts_of_the_catalogue():
    told = re.findall(r"(\d) at (\d+(?:\.\d+)?) %", PAGE)
    assert [float(share) / 100 for _, share in told[:5]] == pytest.approx(SHIPPED.factors["likelihood"]["cuts"])


def test_the_page_tells_the_figures_of_the_decaying_boost():
    nearby = SHIPPED.factors["nearby"]
    boost, days, metres = (f"{nearby[key]:g}" for key in ("boost", "decay_days", "decay_m"))
    assert f"1 + sum {boost} exp(-days / {days}) exp(-metres / {metres})" in PAGE
