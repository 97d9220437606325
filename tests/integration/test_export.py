"""Export from the real database and import again: nothing changes, in any format and system."""

import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lifeline.catalogue import shipped_catalogue
from lifeline.cli import app
from lifeline.errors import ImportRejectedError, NotFoundError
from lifeline.exchange.coordinates import Placement
from lifeline.exchange.files import Options, read_file
from lifeline.exchange.rows import Row
from lifeline.exchange.writers import write
from lifeline.geo import Box
from lifeline.inventory import Entry
from lifeline.model import Facility, FacilityKind, Sensor, Zone, ZoneKind
from lifeline.storage import export, facilities, inventory, zones
from lifeline.storage.database import Connection
from lifeline.storage.imports import Outcome, import_contents
from tests.integration.in_process import lifeline
from tests.integration.town import SOUTH, WEST, build

pytestmark = pytest.mark.usefixtures("clean_database")

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)
LTOWN = Path(__file__).resolve().parents[3] / "shared" / "data" / "ltown" / "L-TOWN.inp"


def square(west: float, east: float) -> dict[str, Any]:
    ring = [[west, 31.7], [east, 31.7], [east, 31.9], [west, 31.9], [west, 31.7]]
    return {"type": "Polygon", "coordinates": [ring]}


@pytest.fixture
def town(connection: Connection, tmp_path: Path) -> Connection:
    """The town with zones, one of them made by a person, and a meter between two of them; lengths are measured."""
    build(connection, NOW)
    drawn = Zone("RC-1", ZoneKind.RISK_CONTROL, square(117.19, 117.2), None, "老城", source="drawn")
    dmas = [
        Zone("D1", ZoneKind.DMA, square(117.19, 117.205), "water"),
        Zone("D2", ZoneKind.DMA, square(117.205, 117.3)),
    ]
    zones.store_zones(connection, [drawn, *dmas], NOW)
    meter = Sensor(
        "meter", "water", "flow", "W-P0", "分区 meter", 117.205, 31.81, "rtu-water",
        {"range": [0.0, 80.5], "max_silence_s": 900.0}, {"D1": -1, "D2": 1},
    )  # fmt: skip
    inventory.store_sensors(connection, [Entry(1, meter)])
    near = Facility("H-1", FacilityKind.HOSPITAL, 117.2003, 31.8002, "市一院", {"beds": 900})
    facilities.store_facilities(connection, [near, Facility("S-1", FacilityKind.SCHOOL, 117.5, 31.8)], NOW)
    (tmp_path / "first").mkdir()
    assert totals(rewrite(connection, tmp_path / "first", ".geojson"))["assets"] == (0, 6, 9)
    connection.commit()
    return connection


def rewrite(connection: Connection, folder: Path, suffix: str, crs: str = "WGS84") -> list[Outcome]:
    """Everything exported, and imported again."""
    contents = []
    for what in export.KINDS:
        stated = suffix == ".geojson" or (suffix != ".csv" and crs.startswith("EPSG")) or crs == "WGS84"
        written = write(folder / f"{what}{suffix}", what, export.rows(connection, what), crs)
        for path in sorted(written.files, key=lambda each: "points" not in each.name):
            if path.suffix == suffix:
                contents += read_file(path, Options(as_=what, crs=None if stated else crs))
    return import_contents(connection, contents, shipped_catalogue(), NOW, actor="test")


def totals(outcomes: list[Outcome]) -> dict[str, tuple[int, int, int]]:
    found: dict[str, tuple[int, int, int]] = {}
    for each in outcomes:
        new, changed, same = found.get(each.what, (0, 0, 0))
        stored = each.stored
        found[each.what] = (new + stored.new, changed + stored.changed, same + stored.same)
    return found


@pytest.mark.parametrize("suffix", [".geojson", ".csv", ".gpkg", ".shp"])
def test_what_is_exported_and_imported_again_has_not_changed(suffix: str, town: Connection, tmp_path: Path) -> None:
    unchanged = {"zones": (0, 0, 3), "assets": (0, 0, 15), "sensors": (0, 0, 4), "facilities": (0, 0, 2)}
    assert totals(rewrite(town, tmp_path, suffix)) == unchanged
    rewrite(town, tmp_path, suffix, "gcj02")  # what was computed in another system is kept to a millimetre
    lines = town.execute("SELECT count(*) FROM inventory_history").fetchone()
    for crs in ("gcj02", "EPSG:4547"):
        assert totals(rewrite(town, tmp_path, suffix, crs)) == unchanged, crs
    assert town.execute("SELECT count(*) FROM inventory_history").fetchone() == lines, "nothing was done"
    assert town.execute("SELECT source FROM zone WHERE external_id = 'RC-1'").fetchone() == ("drawn",)


def test_a_city_that_is_exported_and_taken_elsewhere_is_the_same_city(town: Connection, tmp_path: Path) -> None:
    before = {what: list(export.rows(town, what)) for what in export.KINDS}
    paths = [write(tmp_path / f"{what}.geojson", what, rows).files[0] for what, rows in before.items()]
    town.execute("TRUNCATE asset, zone, facility, device, sensor, asset_cell, asset_risk CASCADE")
    contents = [each for path in paths for each in read_file(path, Options())]
    assert totals(import_contents(town, contents, shipped_catalogue(), NOW, actor="test")) == {
        "zones": (3, 0, 0), "assets": (15, 0, 0), "sensors": (4, 0, 0), "facilities": (2, 0, 0),
    }  # fmt: skip
    assert {what: list(export.rows(town, what)) for what in export.KINDS} == before
    assert town.execute("SELECT count(*) FROM asset_risk").fetchone() == (15,)


def test_an_imported_model_comes_back_as_it_is(connection: Connection, tmp_path: Path) -> None:
    if not LTOWN.exists():
        pytest.skip(f"{LTOWN} is missing")
    contents = read_file(LTOWN, Options(placement=Placement.parse("117.27,31.86"), prefix="lt:"))
    import_contents(connection, contents, shipped_catalogue(), NOW, actor="test")
    assert totals(rewrite(connection, tmp_path, ".gpkg"))["assets"] == (0, 0, 1694)
    assert totals(rewrite(connection, tmp_path, ".csv", "bd09"))["assets"] == (0, 0, 1694)


def test_only_the_network_and_the_box_that_were_asked_for_are_given(town: Connection) -> None:
    def names(what: str, **wanted: Any) -> list[str]:
        found = export.rows(town, what, **wanted)
        return [row.values.get("id") or f"{row.values['device']}/{row.values['channel']}" for row in found]

    assert names("assets", network="gas") == ["G-C0", "G-C1", "G-C2", "G-P0", "G-P1"]
    corner = Box(WEST - 0.001, SOUTH - 0.001, WEST + 0.001, SOUTH + 0.001)
    assert names("assets", box=corner) == ["G-C0", "G-P0"]
    assert names("sensors", box=corner) == ["rtu-gas/methane"]
    assert names("sensors", network="water") == ["rtu-water/pressure", "meter/flow"]
    assert names("zones", network="gas") == ["RC-1", "D2"]
    assert names("zones", box=Box(118, 31, 119, 32)) == []
    assert names("facilities", box=corner, network="gas") == ["H-1"]
    assert export.count(town, "assets", "gas") == 5
    assert [export.count(town, what) for what in export.KINDS] == [15, 4, 3, 2]


def test_one_thing_is_found_by_its_name(town: Connection) -> None:
    meter = export.existing(town, "sensors", "meter/flow")
    assert (meter.values["balance"], meter.values["high"], meter.values["gateway"]) == (
        "D1:out;D2:in",
        80.5,
        "rtu-water",
    )
    assert meter.geometry == {"type": "Point", "coordinates": [117.205, 31.81]}
    assert export.existing(town, "sensors", "rtu-gas/methane").geometry is None, "its place is its asset's"
    assert export.one(town, "assets", "nothing") is None
    for what, message in (("assets", "no asset 'x'"), ("zones", "no zone 'x'"), ("sensors", "no sensor 'x'")):
        with pytest.raises(NotFoundError, match=message):
            export.existing(town, what, "x")


def test_pipes_may_come_before_what_they_end_at(connection: Connection, tmp_path: Path) -> None:
    """As two shapefiles do, in whatever order they are named."""
    build(connection, NOW)
    rows = list(export.rows(connection, "assets"))
    connection.execute("TRUNCATE asset CASCADE")
    of_kind = {kind: [row for row in rows if row.values["kind"] == kind] for kind in ("pipe", "chamber")}
    for kind, some in of_kind.items():
        write(tmp_path / f"{kind}.geojson", "assets", some)
    contents = [each for kind in of_kind for each in read_file(tmp_path / f"{kind}.geojson", Options())]
    outcomes = import_contents(connection, contents, shipped_catalogue(), NOW, actor="test")
    assert [(each.stored.new, each.stored.changed) for each in outcomes] == [(6, 0), (9, 0)]
    assert [row.values for row in export.rows(connection, "assets") if row.values["from"] is None] == [
        row.values for row in of_kind["chamber"]
    ]
    again = import_contents(connection, contents, shipped_catalogue(), NOW, actor="test")
    assert [each.stored.same for each in again] == [6, 9]


def test_what_only_calls_itself_a_layer_is_not_opened(tmp_path: Path) -> None:
    """GDAL looks into a file to see what it is: one that calls itself a shapefile could make it read others."""
    secret = tmp_path / "secret.csv"
    secret.write_text("id\n1\n")
    disguised = f"<OGRVRTDataSource><OGRVRTLayer name='secret'><SrcDataSource>{secret}</SrcDataSource></OGRVRTLayer>"
    for name in ("a.shp", "a.gpkg", "a.fgb", "a.zip"):
        (tmp_path / name).write_text(disguised + "</OGRVRTDataSource>")
        with pytest.raises(ImportRejectedError, match="cannot be read"):
            read_file(tmp_path / name, Options())
    for inner in ("a.vrt", "a.shp", "a.txt"):
        with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
            archive.writestr(inner, disguised + "</OGRVRTDataSource>")
        with pytest.raises(ImportRejectedError, match="must be one of shapefiles"):
            read_file(tmp_path / "b.zip", Options())


# ---------------------------------------------------------------------------------------------------- the commands


@pytest.fixture
def place(clean_database: str, tmp_path: Path) -> dict[str, str]:
    return {"LIFELINE_DATABASE_URL": clean_database, "LIFELINE_HOME": str(tmp_path / "home")}


def test_the_command_writes_what_the_import_takes_as_unchanged(
    town: Connection, place: dict[str, str], tmp_path: Path
) -> None:
    del town
    done = lifeline("export", "assets", "--out", tmp_path / "water.gpkg", "--network", "water", **place)
    assert (done.returncode, done.stdout) == (0, f"{tmp_path / 'water.gpkg'}: 5 assets\n"), done.stderr
    done = lifeline("export", "sensors", "--out", tmp_path / "s.csv", "--crs", "bd09", **place)
    assert done.stdout.endswith("s.csv: 4 sensors\n")
    assert "import it with --crs bd09" in done.stderr
    again = lifeline("import", tmp_path / "water.gpkg", **place)
    assert "nothing has changed" in again.stdout, again.stdout + again.stderr
    again = lifeline("import", tmp_path / "s.csv", "--crs", "bd09", **place)
    assert "nothing has changed" in again.stdout, again.stdout + again.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pipes", "--out", "a.csv"], "'pipes' is none of assets, sensors, zones"),
        (["assets", "--out", "a.dwg"], ".dwg is none of .geojson"),
        (["assets", "--out", "a.csv", "--crs", "EPSG:nine"], "is no coordinate system"),
        (["assets", "--out", "a.csv", "--network", "steam"], "--network 'steam' is none of"),
        (["assets", "--out", "a.csv", "--bbox", "1,2,3"], "--bbox '1,2,3' must be WEST,SOUTH,EAST,NORTH"),
    ],
)
def test_an_option_that_is_wrong_is_one_line(arguments: list[str], message: str, place: dict[str, str]) -> None:
    done = lifeline("export", *arguments, **place)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_rows_are_numbered_as_they_come(town: Connection) -> None:
    found: list[Row] = list(export.rows(town, "assets"))
    assert [row.line for row in found] == list(range(1, 16))


def test_the_command_gives_a_model_back_and_says_what_it_needs(
    connection: Connection, database_dsn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    content = "[JUNCTIONS]\n;管网\n".encode()
    connection.execute(
        "INSERT INTO network_model (name, network, format, content, imported_at)"
        " VALUES ('a.inp', 'water', 'epanet', %s, %s)",
        [content, NOW],
    )
    connection.commit()
    monkeypatch.setenv("LIFELINE_DATABASE_URL", database_dsn)
    file = tmp_path / "water.inp"
    told = CliRunner().invoke(app, ["export", "model", "--network", "water", "--out", str(file)])
    assert told.exit_code == 0, (told.output, told.exception)
    assert file.read_bytes() == content
    assert "epanet model a.inp of water" in " ".join(told.output.split())
    for arguments, why in (
        (["--network", "gas", "--out", str(tmp_path / "gas.inp")], "no model of network 'gas'"),
        (["--out", str(file)], "takes --network NAME and --out FILE.inp"),
        (["--network", "water", "--out", str(tmp_path / "water.csv")], "takes --network NAME and --out FILE.inp"),
        (["--network", "water", "--out", str(tmp_path / "no" / "water.inp")], "No such file"),
    ):
        told = CliRunner().invoke(app, ["export", "model", *arguments])
        assert told.exit_code != 0
        assert why in " ".join((told.output + str(told.exception)).split())
