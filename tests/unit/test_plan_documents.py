"""Plans as files and figures, the parameters of a plan, and what the command makes of its options."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from lifeline.cli import app
from lifeline.cli.plan import _money, _pair
from lifeline.errors import ConfigurationError
from lifeline.model import Asset
from lifeline.planning.budget import NEVER
from lifeline.planning.documents import feature_collection, summary, table, works_of
from lifeline.planning.plan import OLDEST, WORST, Plan, Request, years_of
from lifeline.planning.registry import KINDS, checked, kind_of
from lifeline.planning.renewal_job import Parameters
from tests.unit.test_renewal_plan import plan_of, street, town


@pytest.fixture(scope="module")
def plan() -> Plan:
    return plan_of(town(3, 5), 2e6, 2e6, scenarios=2)


def geojson_of(assets: list[Asset]) -> str:
    """A file as `lifeline import` takes it."""
    features = [
        {
            "type": "Feature",
            "geometry": asset.geometry,
            "properties": {
                "id": asset.external_id, "network": asset.network, "kind": str(asset.kind), "material": asset.material,
                "diameter_mm": asset.diameter_mm, "install_year": asset.install_year, "length_m": asset.length_m,
                "customers": asset.customers, "street": asset.street, "road_class": asset.road_class,
            },
        }
        for asset in assets
    ]  # fmt: skip
    return json.dumps({"type": "FeatureCollection", "features": features})


# ------------------------------------------------------------------------------------------------------- figures


def test_the_figures_add_up(plan: Plan) -> None:
    figures = summary(plan, 2027)
    assert sum(figures["plan"]["spent"]) == pytest.approx(figures["plan"]["cost"])
    works = works_of(plan, 2027)
    apart = sum(work["cost"] for work in works)
    assert apart - figures["plan"]["saved_by_sharing"] == pytest.approx(figures["plan"]["cost"], abs=0.02 * len(works))
    assert sum(work["length_m"] for work in works) == pytest.approx(figures["plan"]["length_m"], abs=0.1 * len(works))
    assert figures["length_m"] == pytest.approx(plan.segments.length_m.sum())


def test_no_list_leaves_as_little_to_fail_as_the_plan(plan: Plan) -> None:
    figures = summary(plan, 2027)
    years = figures["horizon_years"]
    weights = (1 + figures["discount"]) ** -np.arange(years)
    worth = {name: float(np.array(loss) @ weights) for name, loss in figures["loss_by_year"].items()}
    assert worth["plan"] < worth[WORST] < worth["nothing"]
    assert worth["plan"] < worth[OLDEST] < worth["nothing"]
    assert worth["nothing"] - worth["plan"] == pytest.approx(figures["plan"]["gain"], rel=1e-3)


def test_the_figures_are_json_without_nan_even_for_no_money() -> None:
    figures = summary(plan_of(street(2), 0.0), 2027)
    assert json.loads(json.dumps(figures, allow_nan=False))["ratio"] == {OLDEST: None, WORST: None}


def test_works_come_by_year_and_then_by_gain_per_cost(plan: Plan) -> None:
    works = works_of(plan, 2027)
    keys = [(work["year"], -work["gain_per_cost"]) for work in works]
    assert keys == sorted(keys)
    assert all(2027 <= work["year"] <= 2028 for work in works)


def test_no_pipe_is_renewed_twice(plan: Plan) -> None:
    named = [name for work in works_of(plan, 2027) for name in work["assets"]]
    assert len(named) == len(set(named))
    assert set(named) <= set(plan.segments.external_id)


def test_the_years_of_pipes_are_those_of_their_works(plan: Plan) -> None:
    year = plan.renewal_year(plan.choice)
    assert int((~np.isnan(year)).sum()) == sum(len(plan.works[work]) for work in years_of(plan.choice))
    for work in np.flatnonzero(plan.choice.year == NEVER).tolist():
        assert np.isnan(year[plan.works[work]]).all()


def test_the_map_carries_the_summary_but_not_the_curves(plan: Plan) -> None:
    collection = feature_collection(works_of(plan, 2027), summary(plan, 2027))
    assert collection["type"] == "FeatureCollection"
    assert "loss_by_year" not in collection["summary"]
    for feature in collection["features"]:
        assert feature["geometry"]["type"] == "MultiLineString"
        assert feature["id"] == feature["properties"]["work"]


def test_an_empty_plan_is_a_header_and_no_features() -> None:
    assert table([]).startswith("work,year,networks")
    assert table([]).count("\n") == 1
    assert feature_collection([], {})["features"] == []


# ------------------------------------------------------------------------------------------------------- parameters


def test_money_is_spread_evenly_or_said_by_year() -> None:
    assert Parameters(budget=20e6, years=4).request().budgets == [5e6] * 4
    assert Parameters(budgets=[1.0, 2.0]).request().budgets == [1.0, 2.0]


@pytest.mark.parametrize("given", [{}, {"budget": 1.0, "budgets": [1.0]}])
def test_money_is_said_once(given: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="budget"):
        Parameters.model_validate(given).request()


def test_a_plan_longer_than_the_horizon_stretches_it() -> None:
    assert Parameters(budget=1.0, years=40, horizon_years=10).request().horizon.years == 40


@pytest.mark.parametrize(
    "wrong",
    [
        {"budget": float("nan")},
        {"budget": float("inf")},
        {"budget": 1.0, "discount": 0.5},
        {"budget": 1.0, "horizon_years": 0},
        {"budget": 1.0, "scenarios": 1000},
        {"budget": 1.0, "seed": -1},
        {"budget": 1.0, "before": [["a", "b", "c"]]},
        {"budgets": [1.0] * 51},
        {"budget": 1.0, "zone": "z" * 65},
    ],
)
def test_parameters_out_of_range_are_named(wrong: dict[str, object]) -> None:
    field = next(name for name in wrong if name != "budget" or len(wrong) == 1)
    with pytest.raises(ConfigurationError, match=field):
        checked(kind_of("plan"), wrong)


def test_the_parameters_of_every_kind_have_a_schema() -> None:
    for kind in KINDS.values():
        assert kind.parameters.model_json_schema()["properties"] is not None
        assert callable(kind.run)
        assert kind.what


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"budgets": []}, "one year or more"),
        ({"budgets": [1.0] * 31}, "no longer than its horizon"),
        ({"longest_m": 0.0}, "1 m to 100 km"),
        ({"shortest_m": 700.0}, "shortest no longer"),
        ({"scenarios": 201}, "scenarios"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Request(**{"budgets": [1.0], **changes})  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------------- the command


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20e6", {"budget": 20e6}),
        ("0", {"budget": 0.0}),
        ("1e6,2e6", {"budgets": [1e6, 2e6]}),
        ("3,", None),
        ("nan", None),
        ("-1", None),
        ("", None),
        ("1e99", None),
    ],
)
def test_a_budget_is_one_sum_or_one_for_each_year(text: str, expected: dict[str, object] | None) -> None:
    if expected is not None:
        assert _money(text) == expected
        return
    with pytest.raises(ConfigurationError, match="--budget"):
        _money(text)


def test_an_order_of_works_is_two_names() -> None:
    assert _pair("P-1:P-2") == ("P-1", "P-2")
    for text in ("P-1", ":P-2", "P-1:", ""):
        with pytest.raises(ConfigurationError, match="A:B"):
            _pair(text)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plan") / "town.geojson"
    path.write_text(geojson_of(town(3, 4)), encoding="utf-8")
    return path


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["plan", "--seconds", "0.3", "--scenarios", "0", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_command_plans_over_a_file_without_a_database(file: Path, tmp_path: Path) -> None:
    text = run("--assets", str(file), "--budget", "4e6", "--years", "2", "--out", str(tmp_path))
    assert "oldest first" in text
    assert "worst first" in text
    assert text.count("times as much") == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plan.csv", "plan.geojson", "summary.json"]
    figures = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert all(figures["ratio"][name] >= 1.0 for name in (OLDEST, WORST))


def test_the_command_takes_one_network_alone(file: Path, tmp_path: Path) -> None:
    run("--assets", str(file), "--budget", "1e6", "--network", "gas", "--out", str(tmp_path))
    features = json.loads((tmp_path / "plan.geojson").read_text(encoding="utf-8"))["features"]
    assert {network for each in features for network in each["properties"]["networks"]} == {"gas"}


def test_own_costs_change_the_plan(file: Path, tmp_path: Path) -> None:
    dear = tmp_path / "dear.toml"
    dear.write_text("[work]\nmobilisation = 2e6\n")
    cheap = run("--assets", str(file), "--budget", "4e6", "--years", "2")
    assert run("--assets", str(file), "--budget", "4e6", "--years", "2", "--costs", str(dear)) != cheap


def test_a_zone_needs_a_database(file: Path) -> None:
    with pytest.raises(ConfigurationError, match="--zone needs a database"):
        run("--assets", str(file), "--budget", "1e6", "--zone", "z")


def test_a_folder_that_cannot_be_written_is_told(file: Path) -> None:
    with pytest.raises(ConfigurationError, match="Not a directory"):
        run("--assets", str(file), "--budget", "1e6", "--out", str(file / "below"))


def test_the_help_has_examples() -> None:
    text = CliRunner().invoke(app, ["plan", "--help"]).stdout
    assert "--budget" in text
    assert "lifeline plan" in text
