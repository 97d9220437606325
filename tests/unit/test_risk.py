"""The risk model: bounded, explained to the last point, and monotone in what happens."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeline import risk
from lifeline.model import Level
from lifeline.risk.deterioration import shipped_deterioration

materials = st.one_of(st.none(), st.sampled_from(sorted(shipped_deterioration().index)), st.just("unobtainium"))
maybe_number = st.one_of(st.just(float("nan")), st.floats(0, 500))
assets = st.lists(
    st.tuples(
        materials, maybe_number, st.one_of(st.just(float("nan")), st.floats(1, 5000)), st.floats(0, 1e6), st.booleans()
    ),
    min_size=1,
    max_size=20,
)
alerts = st.lists(st.tuples(st.integers(0, 19), st.sampled_from(list(Level)), st.floats(0, 1)), max_size=30)


def inventory(rows: list[tuple[str | None, float, float, float, bool]]) -> risk.Inventory:
    material, age, diameter, customers, critical = zip(*rows, strict=True)
    return risk.Inventory(
        material, np.array(age), np.array(diameter), np.array(customers, dtype=float), np.array(critical)
    )


def one(
    material: str | None = "steel",
    age: float = 30,
    diameter: float = 150,
    customers: float = 10,
    critical: bool = False,
) -> float:
    return float(risk.standing(inventory([(material, age, diameter, customers, critical)])).score[0])


def quiet_of(rows: list[tuple[int, Level, float]], n: int) -> np.ndarray:
    kept = [row for row in rows if row[0] < n]
    asset = np.array([row[0] for row in kept], dtype=int)
    level = np.array([row[1] for row in kept], dtype=int)
    return risk.likelihood_of_quiet(n, asset, level, np.array([row[2] for row in kept], dtype=float))


@given(assets)
def test_the_parts_of_a_score_add_up_to_the_score(rows):
    result = risk.standing(inventory(rows))
    np.testing.assert_allclose(result.points.sum(axis=1), result.score, atol=1e-9)


@given(assets)
def test_scores_and_classes_stay_in_their_ranges_whatever_is_missing(rows):
    result = risk.standing(inventory(rows))
    assert np.all((result.lof >= 1) & (result.lof <= 5))
    assert np.all((result.cof >= 1) & (result.cof <= 5))
    assert np.all((result.score >= -1e-9) & (result.score <= 100 + 1e-9))


@given(assets, alerts, st.tuples(st.integers(0, 19), st.sampled_from(list(Level)), st.floats(0, 1)))
def test_one_alert_more_never_lowers_a_risk(rows, some, another):
    base = risk.standing(inventory(rows))
    n = len(rows)
    none_worst = np.zeros(n, dtype=int)
    before = risk.live(base.lof, base.cof, quiet_of(some, n), none_worst)
    after = risk.live(base.lof, base.cof, quiet_of([*some, another], n), none_worst)
    assert np.all(after.score >= before.score - 1e-9)


@given(assets, alerts, st.randoms())
def test_the_order_in_which_alerts_arrive_does_not_matter(rows, some, random):
    shuffled = list(some)
    random.shuffle(shuffled)
    np.testing.assert_allclose(quiet_of(some, len(rows)), quiet_of(shuffled, len(rows)))


@given(assets, alerts)
def test_live_risk_is_never_below_standing_risk_and_never_above_a_hundred(rows, some):
    base = risk.standing(inventory(rows))
    n = len(rows)
    result = risk.live(base.lof, base.cof, quiet_of(some, n), np.zeros(n, dtype=int))
    assert np.all(result.score >= base.score - 1e-9)
    assert np.all(result.score <= 100 + 1e-9)


def test_without_alerts_live_risk_is_standing_risk():
    base = risk.standing(inventory([("steel", 30, 150, 10, False)]))
    result = risk.live(base.lof, base.cof, np.ones(1), np.zeros(1, dtype=int))
    assert result.score[0] == pytest.approx(base.score[0])


def test_an_open_red_alert_makes_even_the_least_pipe_red():
    base = risk.standing(inventory([("pe", 1, 50, 0, False)]))
    result = risk.live(base.lof, base.cof, quiet_of([(0, Level.RED, 1.0)], 1), np.array([Level.RED]))
    assert risk.levels(result.score)[0] == Level.RED


def test_older_thinner_and_worse_material_is_riskier():
    assert one(age=60) > one(age=20)
    assert one(material="cast_iron") > one(material="pe")
    assert one(customers=5000) > one(customers=5)
    assert one(critical=True) > one(critical=False)


def test_what_is_not_known_is_not_taken_for_good():
    assert one(material=None) > one(material="steel")
    assert one(age=float("nan")) > one(age=30)


@given(assets)
def test_every_part_that_is_stored_adds_up_to_the_stored_score(rows):
    given_assets = inventory(rows)
    result = risk.standing(given_assets)
    for listed, total in zip(risk.parts(given_assets, result), result.score, strict=True):
        assert sum(part["points"] for part in listed) == pytest.approx(total, abs=1e-9)
        assert [part["part"] for part in listed] == [
            name for name in risk.PART_NAMES if name in {part["part"] for part in listed}
        ]


def test_a_part_that_was_not_known_and_made_no_difference_is_left_out():
    given_assets = inventory([("steel", 30, 150, 10, False)])
    named = {part["part"] for part in risk.parts(given_assets, risk.standing(given_assets))[0]}
    assert {"material", "age", "diameter", "customers"} <= named
    assert not {"soil", "road", "facility", "breaks"} & named


@given(assets)
def test_every_asset_stands_in_one_field_of_the_matrix(rows):
    result = risk.standing(inventory(rows))
    counted = risk.matrix(result.lof, result.cof)
    assert counted.shape == (5, 5)
    assert counted.sum() == len(rows)


@pytest.mark.parametrize(("value", "wanted"), [(1.0, 1), (1.49, 1), (1.5, 2), (4.5, 5), (5.0, 5)])
def test_the_class_of_the_matrix_is_the_nearest_whole_number(value, wanted):
    assert risk.classes_of(np.array([value]))[0] == wanted


@pytest.mark.parametrize(
    ("value", "level"), [(0, 4), (24.99, 4), (25, 3), (49.99, 3), (50, 2), (74.99, 2), (75, 1), (100, 1)]
)
def test_a_level_begins_exactly_at_its_cut(value, level):
    assert risk.levels(np.array([value]))[0] == level


def test_noisy_or_matches_the_closed_form():
    quiet = quiet_of([(0, Level.RED, 1.0), (0, Level.YELLOW, 0.5)], 1)[0]
    p_red, p_yellow = risk.ALERT_LIKELIHOOD[Level.RED], risk.ALERT_LIKELIHOOD[Level.YELLOW]
    assert quiet == pytest.approx((1 - p_red) * (1 - 0.5 * p_yellow))
