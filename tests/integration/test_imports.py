"""Whole files into the real database: models, tables, layers; every problem listed, all or nothing, idempotent."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from lifeline.catalogue import shipped_catalogue
from lifeline.errors import ConfigurationError, ImportRejectedError
from lifeline.exchange.coordinates import Placement, wgs84_to_gcj02
from lifeline.exchange.files import Options, read_file
from lifeline.exchange.mapping import ColumnMap, read_mapping
from lifeline.storage import directory, zones
from lifeline.storage.database import Connection
from lifeline.storage.imports import Outcome, import_contents
from lifeline.storage.inventory import Stored

pytestmark = pytest.mark.usefixtures("clean_database")

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)
HEFEI = Placement(117.27, 31.86)
LTOWN = Path(__file__).resolve().parents[3] / "shared" / "data" / "ltown" / "L-TOWN.inp"


def run(connection: Connection, *paths: Path, **options: object) -> list[Outcome]:
    contents = [each for path in paths for each in read_file(path, Options(**options))]  # type: ignore[arg-type]
    return import_contents(connection, contents, shipped_catalogue(), NOW, actor="test")


def problems_of(connection: Connection, *paths: Path, **options: object) -> list[tuple[int, str]]:
    with pytest.raises(ImportRejectedError) as rejected:
        run(connection, *paths, **options)
    return [(problem.line, problem.message) for problem in rejected.value.problems]


def networks() -> list[Path]:
    wntr = pytest.importorskip("wntr")
    return sorted(Path(wntr.__file__).parent.rglob("*.inp"))


REFUSED = {
    "bad_values.inp": [(56, "pipe 'pipe2' ends at 'node1', which the file does not have")],
    "msx_example.inp": [(1, "has no [COORDINATES]: nothing says where its nodes are")],
}


@pytest.mark.filterwarnings("ignore")
def test_every_network_that_wntr_ships_imports_or_fails_with_a_reason(connection: Connection) -> None:
    wntr = pytest.importorskip("wntr")
    refused = {}
    for path in networks():
        try:
            with connection.transaction(force_rollback=True):
                outcomes = run(connection, path, placement=HEFEI)
        except ImportRejectedError as error:
            refused[path.name] = [(problem.line, problem.message) for problem in error.problems]
            continue
        if path.name not in ("bad_syntax.inp", "bad_times.inp"):  # what is bad in them is not of the inventory
            model = wntr.network.WaterNetworkModel(str(path))
            assert outcomes[0].stored == Stored(model.num_nodes + model.num_links, 0, 0), path.name
    assert refused == REFUSED
    assert len(networks()) > 30


def test_l_town_lies_at_its_size_where_it_was_placed_and_a_second_import_changes_nothing(
    connection: Connection,
) -> None:
    if not LTOWN.exists():
        pytest.skip(f"{LTOWN} is missing")
    first = run(connection, LTOWN, placement=HEFEI, prefix="lt:")
    assert [(each.what, each.stored) for each in first] == [("assets", Stored(1694, 0, 0)), ("model", Stored(1, 0, 0))]
    again = run(connection, LTOWN, placement=HEFEI, prefix="lt:")
    assert [each.stored for each in again] == [Stored(0, 0, 1694), Stored(0, 0, 1)]
    box = connection.execute("SELECT min(west), min(south), max(east), max(north) FROM asset").fetchone()
    assert box is not None
    assert 117.25 < box[0] < 117.27 < box[2] < 117.29
    assert 31.84 < box[1] < 31.86 < box[3] < 31.88
    pipe = directory.asset(connection, "lt:p1")
    assert (pipe.from_asset is not None, pipe.to_asset is not None, pipe.diameter_mm) == (True, True, 200.0)
    assert pipe.attributes["element"] == "p1"
    history = connection.execute("SELECT what, detail ->> 'new' FROM inventory_history ORDER BY 1").fetchall()
    assert history == [("asset", "1694"), ("model", "1")]


def test_a_model_that_is_nowhere_is_refused_with_what_to_give(connection: Connection, tmp_path: Path) -> None:
    [(line, message)] = problems_of(connection, model(tmp_path))
    assert line == 1
    assert "--crs EPSG:4547" in message
    assert "--place LON,LAT" in message


GOOD_MODEL = """[JUNCTIONS]
 J1  10  1
 J2  12  2
[RESERVOIRS]
 R1  60
[PIPES]
 P1  R1  J1  100  200  120
 P2  J1  J2  100  150  120
[OPTIONS]
 Units LPS
[COORDINATES]
 J1  500100  3500000
 J2  500200  3500000
 R1  500000  3500000
"""


def model(folder: Path, text: str = GOOD_MODEL) -> Path:
    path = folder / "town.inp"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_model_in_a_projected_system_lands_where_it_is(connection: Connection, tmp_path: Path) -> None:
    run(connection, model(tmp_path), crs="EPSG:4547")
    asset = directory.asset(connection, "R1")
    assert asset.geometry["coordinates"] == pytest.approx([114.0, 31.6217], abs=1e-3)
    assert directory.asset(connection, "P1").length_m == 100.0


def test_ten_planted_mistakes_in_a_model_are_listed_with_their_lines(connection: Connection, tmp_path: Path) -> None:
    text = """[JUNCTIONS]
 J1  ten  1
 J2  12  2
 J2  12  2
 J3  12  2
[TANKS]
 T1  10  5
[PIPES]
 P1  J1  J2  -100  200  120
 P2  J1  J9  100  150  120
 P3  J2  J2  100  150  120
 P4  J1  J2  100  wide  120
 P5  J1  J2
[VALVES]
 V1  J1  J2  100
[COORDINATES]
 J1  500100  3500000
 J2  500200  north
"""
    found = problems_of(connection, model(tmp_path, text), crs="EPSG:4547")
    assert [line for line, _ in found] == [2, 3, 4, 4, 5, 7, 9, 10, 11, 12, 13, 15, 18]
    words = ["elevation", "no place", "already on line 3", "no place", "no place", "needs 6", "length", "'J9'",
             "begins and ends", "diameter", "needs 6", "needs 5", "Y of 'J2'"]  # fmt: skip
    assert all(any(word in message for _, message in found) for word in words)
    assert connection.execute("SELECT count(*) FROM asset").fetchone() == (0,)


PIPES = """id,network,kind,material,diameter_mm,install_year,customers,from,to,wkt
J1,water,junction,,,,,,,POINT (117.2 31.8)
"""
LINE = '"LINESTRING (117.2 31.8, 117.21 31.8)"'


def table(folder: Path, *rows: str, name: str = "pipes.csv", head: str = PIPES) -> Path:
    path = folder / name
    path.write_text(head + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_ten_planted_mistakes_in_a_table_are_listed_with_their_lines(connection: Connection, tmp_path: Path) -> None:
    file = table(
        tmp_path,
        f"P 1,water,pipe,pe,100,2000,1,J1,J1,{LINE}",
        f"P2,steam,pipe,pe,100,2000,1,,,{LINE}",
        f"P3,water,castle,pe,100,2000,1,,,{LINE}",
        f"P4,water,pipe,pe,wide,2000,1,,,{LINE}",
        f"P5,water,pipe,pe,100,1066,1,,,{LINE}",
        f"P6,water,pipe,pe,100,2000,-1,,,{LINE}",
        f"P7,water,pipe,pe,100,2000,1,J1,J9,{LINE}",
        "P8,water,pipe,pe,100,2000,1,,,LINESTRING (117.2",
        f"P2,water,pipe,pe,100,2000,1,,,{LINE}",
        "P10,water,pipe,pe,100,2000,1,,,POINT (117.2 31.8)",
    )
    found = problems_of(connection, file)
    assert sorted({line for line, _ in found}) == [3, 4, 5, 6, 7, 8, 9, 10, 11, 12]


def test_problems_of_several_files_are_listed_together_and_name_their_file(
    connection: Connection, tmp_path: Path
) -> None:
    one = table(tmp_path, f"P1,water,pipe,pe,wide,2000,1,,,{LINE}", name="one.csv")
    two = table(tmp_path, "d1,water,mood", name="two.csv", head="device,network,channel\n")
    with pytest.raises(ImportRejectedError, match=r"(?s)one.csv: line 3: diameter.*two.csv: line 2: channel"):
        run(connection, one, two)


def test_a_mapping_file_translates_columns_words_units_and_constants(connection: Connection, tmp_path: Path) -> None:
    mapping = tmp_path / "map.toml"
    mapping.write_text(
        """as = "assets"
[fields]
id = "管线编号"
material = "管材"
diameter_mm = "管径"
install_year = "埋设日期"
wkt = "几何"
road_class = "道路"
[values.road_class]
"甲" = "trunk"
[units]
diameter_mm = "cm"
[constants]
network = "water"
kind = "pipe"
""",
        encoding="utf-8",
    )
    head = "管线编号,管材,管径,埋设日期,道路,备注,几何\n"
    file = table(tmp_path, f"GS1,球墨铸铁,30,1998-05-01,甲,好,{LINE}", head=head)
    run(connection, file, columns=read_mapping(mapping))
    asset = directory.asset(connection, "GS1")
    assert (asset.material, asset.diameter_mm, asset.install_year) == ("ductile_iron", 300.0, 1998)
    assert (asset.road_class, asset.attributes) == ("trunk", {"备注": "好"})


def test_a_column_that_the_mapping_names_and_the_file_lacks_is_a_problem(
    connection: Connection, tmp_path: Path
) -> None:
    columns = ColumnMap(fields={"material": "管材"})
    found = problems_of(connection, table(tmp_path, f"P1,water,pipe,pe,100,2000,1,,,{LINE}"), columns=columns)
    assert found[0] == (1, "column '管材' of the mapping file is not in this file")


def test_gcj02_coordinates_are_brought_back_to_wgs84(connection: Connection, tmp_path: Path) -> None:
    shifted = wgs84_to_gcj02(np.array([[117.2, 31.8]]))[0]
    file = table(tmp_path, f"J9,water,junction,,,,,,,POINT ({shifted[0]} {shifted[1]})")
    run(connection, file, crs="gcj02")
    assert directory.asset(connection, "J9").geometry["coordinates"] == pytest.approx([117.2, 31.8], abs=1e-8)
    assert directory.asset(connection, "J1").geometry["coordinates"] != pytest.approx([117.2, 31.8], abs=1e-3)


SWMM = """[OPTIONS]
FLOW_UNITS LPS
[JUNCTIONS]
M1  20.5  2.5
M2  20.0  2.6
[OUTFALLS]
O1  18.0  FREE
[STORAGE]
S1  17.0  4
[CONDUITS]
C1  M1  M2  120  0.013  0  0
C2  M2  O1  80   0.013  0  0
[PUMPS]
PU1 S1  O1  CURVE
[XSECTIONS]
C1  CIRCULAR  0.6  0 0 0
C2  CIRCULAR  0.8  0 0 0
[SUBCATCHMENTS]
A1  RG  M1  2.5  60  100  0.5  0
[COORDINATES]
M1  117.2000  31.8000
M2  117.2013  31.8000
O1  117.2021  31.8000
S1  117.2022  31.8001
[Polygons]
A1  117.199  31.799
A1  117.2005  31.799
A1  117.2005  31.801
A1  117.199  31.801
"""


def test_a_swmm_model_becomes_chambers_pipes_pumps_outfalls_and_catchments(
    connection: Connection, tmp_path: Path
) -> None:
    outcomes = run(connection, model(tmp_path, SWMM))
    assert [(each.what, each.stored.new) for each in outcomes] == [("zones", 1), ("assets", 7), ("model", 1)]
    pipe = directory.asset(connection, "C1")
    assert (pipe.network, pipe.diameter_mm, pipe.length_m) == ("drainage", 600.0, 120.0)
    assert directory.asset(connection, "M1").depth_m == 2.5
    assert set(zones.assets_of(connection, "catchment-A1")) == {"M1", "C1"}
    assert zones.zone(connection, "catchment-A1").attributes["area_ha"] == 2.5


def test_a_file_of_another_kind_says_which_kinds_there_are(connection: Connection, tmp_path: Path) -> None:
    path = tmp_path / "town.dwg"
    path.write_bytes(b"")
    with pytest.raises(ConfigurationError, match=r"\.dwg is none of \.geojson"):
        run(connection, path)


def test_sensors_zones_and_assets_of_one_import_may_name_each_other(connection: Connection, tmp_path: Path) -> None:
    ring = "117.1 31.7, 117.3 31.7, 117.3 31.9, 117.1 31.9, 117.1 31.7"
    areas = table(tmp_path, f'Z1,dma,"POLYGON (({ring}))"', name="zones.csv", head="id,kind,wkt\n")
    sensors = table(tmp_path, "m1,water,flow,P1,Z1:in", name="s.csv", head="device,network,channel,asset,balance\n")
    pipes = table(tmp_path, f"P1,water,pipe,pe,100,2000,1,J1,,{LINE}")
    outcomes = run(connection, sensors, pipes, areas)
    assert [(each.what, each.stored.new) for each in outcomes] == [("zones", 1), ("assets", 2), ("sensors", 1)]
    zone = zones.zone(connection, "Z1")
    assert (zone.assets, zone.sensors, zone.balance) == (2, 1, {"m1/flow": 1})
