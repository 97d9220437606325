"""`lifeline import`: options, what it prints, what it stores."""

import json
from pathlib import Path

import pytest

from lifeline.storage.database import Connection
from tests.integration.in_process import lifeline

pytestmark = pytest.mark.usefixtures("clean_database")

MODEL = """[JUNCTIONS]
 J1  10  1
 J2  12  2
[RESERVOIRS]
 R1  60
[PIPES]
 P1  R1  J1  100  200  120
 P2  J1  J2  100  0.001  120
[OPTIONS]
 Units LPS
[COORDINATES]
 J1  100  0
 J2  200  0
 R1  0  0
"""


@pytest.fixture
def place(clean_database: str, tmp_path: Path) -> dict[str, str]:
    """Settings that point at the tests' database."""
    return {"LIFELINE_DATABASE_URL": clean_database, "LIFELINE_HOME": str(tmp_path / "home")}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "town.inp"
    path.write_text(MODEL)
    return path


def words(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_a_model_is_placed_and_what_was_assumed_is_said(place: dict[str, str], model: Path) -> None:
    done = lifeline("import", model, "--place", "117.27,31.86", "--prefix", "w-", **place)
    assert done.returncode == 0, done.stderr
    assert ["town.inp", "assets", "5", "0", "0"] in words(done.stdout)
    assert ["town.inp", "model", "1", "0", "0"] in words(done.stdout)
    assert "placed at 1 m a unit" in done.stdout
    assert "1 diameters left out" in done.stdout
    again = lifeline("import", model, "--place", "117.27,31.86", "--prefix", "w-", **place)
    assert again.stdout.splitlines()[-1].startswith("nothing has changed")


def test_a_model_that_is_nowhere_fails_with_what_to_give(
    place: dict[str, str], model: Path, connection: Connection
) -> None:
    done = lifeline("import", model, **place)
    assert done.returncode == 1
    assert "town.inp was rejected, nothing was stored; 1 problem(s)" in done.stderr
    assert "--place LON,LAT" in done.stderr
    assert connection.execute("SELECT count(*) FROM asset").fetchone() == (0,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--place", "here"], "--place 'here' must be LON,LAT"),
        (["--crs", "EPSG:nine"], "is no coordinate system"),
        (["--network", "steam"], "--network 'steam' is none of drainage, gas, water"),
        (["--as", "pipes"], "--as 'pipes' is none of assets, sensors, zones"),
        (["--encoding", "klingon"], "--encoding 'klingon' is not known"),
    ],
)
def test_an_option_that_is_wrong_is_one_line(
    place: dict[str, str], model: Path, options: list[str], message: str
) -> None:
    done = lifeline("import", model, *options, **place)
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_zones_and_a_mapping_file_are_taken(place: dict[str, str], tmp_path: Path, connection: Connection) -> None:
    ring = [[117.0, 31.0], [117.1, 31.0], [117.1, 31.1], [117.0, 31.1], [117.0, 31.0]]
    feature = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"编号": "Z1", "类型": "行政区", "名称": "北区"},
    }
    zones, mapping = tmp_path / "zones.geojson", tmp_path / "zones.toml"
    zones.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}), encoding="utf-8")
    mapping.write_text('as = "zones"\n[fields]\nid = "编号"\nkind = "类型"\nname = "名称"\n', encoding="utf-8")
    done = lifeline("import", zones, "--mapping", mapping, **place)
    assert done.returncode == 0, done.stderr
    assert connection.execute("SELECT external_id, kind, name FROM zone").fetchall() == [("Z1", "district", "北区")]


def test_every_problem_of_every_file_is_listed_though_one_cannot_be_read(place: dict[str, str], tmp_path: Path) -> None:
    broken, wrong = tmp_path / "broken.geojson", tmp_path / "wrong.csv"
    broken.write_text("[")
    wrong.write_text("device,network,channel\nd1,water,mood\n")
    done = lifeline("import", broken, wrong, **place)
    assert "broken.geojson: line 1" in done.stderr
    assert "wrong.csv: line 2" in done.stderr
