"""The figures of the stress tests: complete, in range, and the page says what they are."""

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from lifeline.model import AssetKind
from lifeline.planning.recovery import Recovery
from lifeline.planning.registry import KINDS, checked
from lifeline.planning.stress import ALA_SLOPE, Parameters, _figures, tables
from lifeline.risk.deterioration import shipped_deterioration

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "stress-test.md"


def test_every_class_of_material_has_a_fragility():
    k = tables()["earthquake"]["k"]
    assert set(k) == {each.name for each in shipped_deterioration().classes}
    assert all(0 < value <= 2 for value in k.values())


def test_every_kind_of_asset_has_hours_of_repair():
    hours = tables()["repair"]
    assert {str(kind) for kind in AssetKind} - {"pipe"} <= set(hours)
    assert all(value > 0 for value in hours.values())


def test_the_fragility_is_that_of_wntr():
    import wntr

    earthquake = wntr.scenario.Earthquake((0, 0), 6.5, 10_000)
    pgv_m_s = 0.4
    per_m = earthquake.repair_rate_model(pgv_m_s)
    assert pytest.approx(per_m, rel=2e-3) == ALA_SLOPE * 40 / 2.54 / 1000  # wntr takes 3.28 feet to the metre


@pytest.mark.parametrize(
    "asked",
    [{"kind": "flood"}, {"kind": "storm", "years": 0.5}, {"kind": "storm", "years": 5000}, {"kind": "loss", "crews": 0},
     {"kind": "earthquake", "pgv_cm_s": -1}, {"kind": "earthquake", "runs": 0}, {"kind": "earthquake", "runs": 10**9},
     {"kind": "earthquake", "seed": -1}, {}],
)  # fmt: skip
def test_parameters_out_of_their_range_are_refused(asked):
    with pytest.raises(ValidationError):
        Parameters.model_validate(asked)


def test_the_defaults_are_stored_with_what_was_asked():
    whole = checked(KINDS["stress"], {"kind": "earthquake", "pgv_cm_s": 25})
    assert whole["pgv_cm_s"] == 25
    assert {"runs", "seed", "crews", "network", "graph"} <= set(whole)


def test_the_figures_are_means_and_the_bad_case_is_one_run_in_twenty():
    runs = [
        Recovery(share, share / 2, 0.5 + share / 2, 10 * (1 - share), 20.0, 15.0, 3.0 if share < 1 else np.inf, 0.0)
        for share in np.linspace(0, 1, 101)
    ]
    found = _figures(runs)
    assert found["runs"] == 101
    assert found["share_served"] == pytest.approx(0.5)
    assert found["share_served_bad"] == pytest.approx(0.05)
    assert found["resilience"] == pytest.approx(0.75)
    assert found["recovery_hours_90"] == pytest.approx(5.0)
    assert found["recovery_hours"] == 20.0
    assert found["mended_hours"] == 15.0
    assert found["share_worst"] == pytest.approx(0.25)
    assert found["lasts_hours"] == pytest.approx(3.0)
    assert _figures(runs[-1:])["lasts_hours"] is None


def test_the_page_names_every_parameter_of_the_job():
    page = PAGE.read_text(encoding="utf-8")
    for name in Parameters.model_fields:
        assert f"`{name}`" in page, name
