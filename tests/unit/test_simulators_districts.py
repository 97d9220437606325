"""Larger towns as districts, and what their past is composed of."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeline.catalogue import shipped_catalogue
from lifeline.inventory import parse_assets, parse_sensors
from simulators.device import Meters
from simulators.districts import LAYOUTS, SIZES, layouts, prefix, write_districts
from simulators.history import DAY_STEPS, JANUARY, JULY, WEEK_STEPS, Layout, day_of, summer_share
from simulators.inventory import write_inventory
from simulators.planning import make_town
from simulators.weather import DAY_S, YEAR_S


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_districts(1, 5, tmp_path_factory.mktemp("town"))


def sensors_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# ----------------------------------------------------------------------------------------------------- districts


def test_the_named_sizes_have_a_hundred_five_thousand_and_a_hundred_thousand_sensors() -> None:
    own = [len(town.instruments) for town in layouts(1, 1000)]
    sensors = {name: sum(own[number % len(own)] for number in range(count)) for name, count in SIZES.items()}
    assert 90 <= sensors["small"] <= 120
    assert 5_000 <= sensors["real"] <= 6_000
    assert sensors["large"] >= 100_000


def test_a_town_of_one_district_is_the_small_town(tmp_path: Path) -> None:
    plain, one = write_inventory(make_town(1), tmp_path / "a"), write_districts(1, 1, tmp_path / "b")
    assert plain[1].read_bytes() == one[1].read_bytes()
    first, second = (json.loads(path.read_text(encoding="utf-8")) for path in (plain[0], one[0]))
    assert first == second


def test_the_same_seed_gives_the_same_bytes(files: tuple[Path, Path], tmp_path: Path) -> None:
    again = write_districts(1, 5, tmp_path)
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in files]


def test_no_id_or_device_is_borne_twice_and_pipes_join_their_own_district(files: tuple[Path, Path]) -> None:
    features = json.loads(files[0].read_text(encoding="utf-8"))["features"]
    known = {feature["id"] for feature in features}
    assert len(known) == len(features)
    for feature in features:
        properties = feature["properties"]
        assert properties["id"] == feature["id"]
        for end in (properties[key] for key in ("from", "to") if key in properties):
            assert end in known
            assert end.startswith("n") == feature["id"].startswith("n")
    rows = sensors_of(files[1])
    assert len({(row["device"], row["channel"]) for row in rows}) == len(rows)
    assert {row["asset"] for row in rows} <= known
    assert {row["gateway"] for row in rows if row["gateway"]} <= {row["device"] for row in rows}


def test_the_importer_takes_a_town_of_districts_without_a_complaint(files: tuple[Path, Path]) -> None:
    catalogue = shipped_catalogue()
    assets = parse_assets(files[0].read_bytes(), catalogue, "assets.geojson")
    sensors = parse_sensors(files[1].read_bytes(), catalogue, "sensors.csv")
    assert len(assets) > 5 * 600
    assert len(sensors) == len(sensors_of(files[1]))


def test_districts_lie_beside_each_other(files: tuple[Path, Path]) -> None:
    middles = {}
    for number in range(5):
        own = [
            row for row in sensors_of(files[1]) if row["device"].startswith(prefix(number) or ("gas", "water", "drain"))
        ]
        middles[number] = np.mean([[float(row["longitude"]), float(row["latitude"])] for row in own], axis=0)
    for one in range(5):
        for other in range(one):
            assert np.abs(middles[one] - middles[other]).max() > 0.012


def test_layouts_are_few_and_differ() -> None:
    assert len(layouts(1, 1)) == 1
    towns = layouts(1, 50)
    assert [town.seed for town in towns] == list(range(1, 1 + LAYOUTS))
    assert prefix(0) == ""
    assert prefix(7) != prefix(70)


# ------------------------------------------------------------------------------------------------------- history


@pytest.fixture(scope="module")
def layout() -> Layout:
    """A made-up week in which every value tells its own step; summer is 20 higher."""
    town = make_town(1)
    steps = np.arange(WEEK_STEPS, dtype=np.float32)[:, None] / 100
    winter = np.repeat(steps, len(town.instruments), axis=1)
    return Layout(town, winter, winter + 20)


def meters(layout: Layout, seed: int = 1) -> Meters:
    return Meters(layout.town.instruments, shipped_catalogue(), seed)


@given(st.floats(0, 4e9))
def test_a_day_lies_between_winter_and_summer(time: float) -> None:
    assert 0 <= summer_share(time) <= 1
    assert summer_share(time + YEAR_S) == pytest.approx(summer_share(time), abs=1e-6)


def test_winter_is_january_and_summer_is_july() -> None:
    assert summer_share(JANUARY + 3 * DAY_S) < 0.01
    assert summer_share(JULY + 3 * DAY_S) > 0.99


def pressures(layout: Layout) -> list[int]:
    return [n for n, i in enumerate(layout.town.instruments) if i.quantity == "pressure"]


def test_a_day_is_that_of_its_weekday_and_season(layout: Layout) -> None:
    for begin, higher in ((JANUARY + 3 * DAY_S, 0.0), (JULY + 3 * DAY_S, 20.0)):
        values = day_of(layout, meters(layout), begin)
        assert values.shape == (DAY_STEPS, len(layout.town.instruments))
        expected = (3 * DAY_STEPS + np.arange(DAY_STEPS)) / 100 + higher
        assert np.abs(values[:, pressures(layout)].mean(axis=1) - expected).max() < 0.3


def test_a_day_that_begins_at_any_hour_goes_on_where_the_week_does(layout: Layout) -> None:
    values = day_of(layout, meters(layout), JANUARY + 6.5 * DAY_S)[:, pressures(layout)].mean(axis=1)
    assert values[0] == pytest.approx(6.5 * DAY_STEPS / 100, abs=0.3)
    assert values[-1] == pytest.approx(0.5 * DAY_STEPS / 100, abs=0.3)  # into the next week


def test_every_reading_has_its_own_noise_and_every_district_its_own_bias(layout: Layout) -> None:
    one, other = meters(layout), meters(layout, 1001)
    begin = JANUARY + DAY_S
    first, second, elsewhere = day_of(layout, one, begin), day_of(layout, one, begin), day_of(layout, other, begin)
    columns = pressures(layout)
    assert not np.array_equal(first[:, columns], second[:, columns])
    assert 0.01 < np.abs(first - elsewhere)[:, columns].mean() < 0.5


def test_what_is_read_all_at_once_is_at_the_resolution_and_in_range(layout: Layout) -> None:
    catalogue, values = shipped_catalogue(), day_of(layout, meters(layout), JULY)
    for index, instrument in enumerate(layout.town.instruments):
        quantity = catalogue.quantities[instrument.quantity]
        column = values[:, index]
        assert column.min() >= quantity.low
        assert column.max() <= quantity.high
        steps = column / quantity.resolution
        assert np.abs(steps - np.round(steps)).max() < 1e-3
