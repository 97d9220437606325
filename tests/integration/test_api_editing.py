"""The inventory edited over HTTP: what changes, what is refused and why, who is told, and what history keeps."""

import json
import zipfile
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import httpx
import psycopg
import pytest

from lifeline.model import Role
from lifeline.storage.database import Connection, connect
from tests.api_process import Api, running_api
from tests.integration.test_criticality import BRANCH
from tests.integration.town import SOUTH, WEST, build, empty, open_alert

MODEL = BRANCH.replace("[END]", "[COORDINATES]\nA 0 10\nB 0 20\nC 10 0\nR 10 10\n[END]").encode()
LINE = {"type": "LineString", "coordinates": [[WEST, SOUTH], [WEST, SOUTH + 0.01]]}


@pytest.fixture(scope="module")
def api(database_dsn: str) -> Iterator[Api]:
    empty(database_dsn)
    with connect(database_dsn) as connection:
        ids = build(connection)
        open_alert(connection, ids["gas"])
    with running_api(database_dsn) as running:
        yield running


def ask(api: Api, method: str, path: str, body: Any = None, role: Role = Role.ENGINEER) -> httpx.Response:
    return api.call(method, f"/api/v1/{path}", role, json=body)


def refused(answer: httpx.Response, status: int, *words: str) -> None:
    assert answer.status_code == status, answer.text
    assert all(word in answer.json()["detail"] for word in words), answer.json()["detail"]


def asset(api: Api, name: str) -> dict[str, Any]:
    return dict(api.get(f"/api/v1/assets/{name}").json())


def test_an_asset_is_made_changed_taken_out_and_removed_and_history_keeps_it(api: Api) -> None:
    feature = {
        "properties": {"network": "water", "kind": "pipe", "from": "W-C0", "material": "聚乙烯"},
        "geometry": LINE,
    }
    made = ask(api, "PUT", "assets/NEW", feature)
    assert (made.status_code, made.json()["action"]) == (200, "created"), made.text
    assert (asset(api, "NEW")["material"], asset(api, "NEW")["from_asset"]) == ("pe", "W-C0")
    assert asset(api, "NEW")["length_m"] == pytest.approx(1112, abs=1)
    assert asset(api, "NEW")["score"] is not None
    assert ask(api, "PUT", "assets/NEW", feature).json()["action"] is None
    changed = ask(api, "PATCH", "assets/NEW", {"properties": {"material": "steel", "owner": "一公司"}}).json()
    assert changed["changes"] == {"material": ["pe", "steel"], "owner": [None, "一公司"]}
    assert asset(api, "NEW")["attributes"] == {"owner": "一公司"}
    gone = ask(api, "PATCH", "assets/NEW", {"properties": {"in_service": False, "owner": None}}).json()
    assert (gone["action"], asset(api, "NEW")["attributes"]) == ("retired", {})
    assert asset(api, "NEW")["score"] is None
    assert ask(api, "DELETE", "assets/NEW").json()["action"] == "removed"
    refused(ask(api, "GET", "assets/NEW"), 404)
    page = ask(api, "GET", "inventory/history?what=asset&id=NEW").json()
    assert [line["action"] for line in page["items"]] == ["removed", "retired", "changed", "created"]
    assert page["items"][2]["detail"]["material"] == ["pe", "steel"]
    assert page["items"][0]["actor"].startswith("engineer")


def test_a_line_that_is_drawn_anew_is_measured_anew_and_lies_in_other_cells(api: Api, connection: Connection) -> None:
    def cells() -> set[str]:
        statement = "SELECT cell FROM asset_cell JOIN asset USING (asset_id) WHERE external_id = 'D-P0'"
        return {cell for (cell,) in connection.execute(statement).fetchall()}

    ask(api, "PATCH", "assets/D-P0", {"properties": {"length_m": None}})
    before, length = cells(), asset(api, "D-P0")["length_m"]
    connection.rollback()
    longer = {"type": "LineString", "coordinates": [[117.2, 31.82], [117.21, 31.83], [117.21, 31.82]]}
    done = ask(api, "PATCH", "assets/D-P0", {"geometry": longer}).json()
    assert set(done["changes"]) == {"geometry", "length_m"}
    assert asset(api, "D-P0")["length_m"] > length * 1.5
    after = cells()
    assert after - before
    assert after & before
    connection.rollback()


@pytest.mark.parametrize(
    ("method", "path", "body", "words"),
    [
        ("PATCH", "assets/G-C1", {"properties": {"in_service": False}}, ["G-P0, G-P1 ends at it"]),
        ("PATCH", "assets/G-C0", {"properties": {"in_service": False}}, ["G-P0 ends", "rtu-gas/methane measures it"]),
        ("PATCH", "assets/G-C1", {"properties": {"network": "water"}}, ["another network: G-P0 of gas, G-P1 of gas"]),
        ("PATCH", "assets/G-P0", {"properties": {"to": "W-C0"}}, ["another network: W-C0 of water"]),
        ("PATCH", "assets/G-C1", {"properties": {"id": "G-C9"}}, ["id of G-C1 cannot become 'G-C9'"]),
        ("DELETE", "assets/G-C1", None, ["G-P0, G-P1 ends at it"]),
        ("DELETE", "sensors/1", None, ["has readings", "out of service"]),
        ("PATCH", "sensors/1", {"channel": "pressure"}, ["channel of rtu-gas/methane cannot become"]),
        ("PATCH", "sensors/1", {"network": "water"}, ["network of rtu-gas/methane cannot become"]),
        ("DELETE", "devices/rtu-gas", None, ["1 sensors of it", "out of service"]),
        ("PATCH", "devices/rtu-gas", {"network": "water"}, ["part of its topic"]),
    ],
)  # fmt: skip
def test_what_would_break_the_network_or_lose_a_record_is_refused_with_the_reason(
    method: str, path: str, body: Any, words: list[str], api: Api
) -> None:
    refused(ask(api, method, path, body), 409, *words)


@pytest.mark.parametrize(
    ("method", "path", "body", "words"),
    [
        ("PATCH", "assets/G-P0", {"properties": {"diameter_mm": -3, "kind": "tube"}}, ["diameter_mm", "'tube'"]),
        ("PATCH", "assets/G-P0", {"properties": {"from": "nothing"}}, ["from 'nothing' is neither"]),
        ("PUT", "assets/G P", {"properties": {}}, ["id 'G P'", "network", "kind"]),
        ("PATCH", "assets/G-P0", {"geometry": {"type": "Point", "coordinates": [200, 0]}}, ["not on the globe"]),
        ("PATCH", "assets/G-P0", {"colour": "red"}, ["colour"]),
        ("PATCH", "sensors/1", {"low": 3}, ["low and high come together"]),
        ("PATCH", "sensors/1", {"asset": "nothing"}, ["asset 'nothing' is not in the database"]),
        ("POST", "sensors", {"device": "d", "network": "gas", "channel": "warmth"}, ["no such quantity"]),
        ("PATCH", "devices/rtu-gas", {"longitude": 3, "colour": 1}, ["come together", "'colour' is not one of"]),
        ("PATCH", "zones/none-yet", {"properties": {"name": "x"}}, ["no zone 'none-yet'"]),
        ("PATCH", "assets/none-yet", {"properties": {"name": "x"}}, ["no asset 'none-yet'"]),
        ("PATCH", "sensors/99", {"name": "x"}, ["no sensor 99"]),
        ("DELETE", "devices/none-yet", None, ["no device 'none-yet'"]),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_and_nothing_changes(
    method: str, path: str, body: Any, words: list[str], api: Api
) -> None:
    before = ask(api, "GET", "inventory/history?limit=1").json()["items"]
    missing = "none-yet" in path or "99" in path
    refused(ask(api, method, path, body), 404 if missing else 400, *words)
    assert ask(api, "GET", "inventory/history?limit=1").json()["items"] == before


def test_a_sensor_is_made_changed_taken_out_and_removed(api: Api) -> None:
    made = ask(api, "POST", "sensors", {"device": "new-meter", "network": "water", "channel": "flow", "asset": "W-P0"})
    assert made.status_code == 201, made.text
    (sensor,) = api.get("/api/v1/sensors?device=new-meter").json()["items"]
    path = f"sensors/{sensor['id']}"
    changed = ask(
        api, "PATCH", path, {"low": 0, "high": 50, "longitude": 117.2, "latitude": 31.8, "name": "总表"}
    ).json()
    assert changed["changes"]["high"] == [None, 50.0]
    assert changed["changes"]["geometry"][1]["coordinates"] == [117.2, 31.8]
    assert ask(api, "PATCH", path, {"in_service": False}).json()["action"] == "retired"
    assert api.get(f"/api/v1/{path}").json()["in_service"] is False
    refused(ask(api, "DELETE", "devices/new-meter"), 409, "1 sensors of it")
    assert ask(api, "DELETE", path).json()["action"] == "removed"
    assert ask(api, "DELETE", "devices/new-meter").json()["action"] == "removed"


def test_a_device_is_made_put_behind_another_and_never_behind_itself(api: Api) -> None:
    made = ask(
        api, "PATCH", "devices/gw", {"network": "gas", "name": "网关", "longitude": 117.2, "latitude": 31.8}
    ).json()
    assert made["action"] == "created"
    assert ask(api, "PATCH", "devices/leaf", {"network": "gas", "gateway": "gw"}).json()["action"] == "created"
    refused(ask(api, "PATCH", "devices/gw", {"gateway": "leaf"}), 409, "behind itself")
    refused(ask(api, "PATCH", "devices/gw", {"gateway": "gw"}), 409, "behind itself")
    refused(ask(api, "PATCH", "devices/gw", {"gateway": "nothing"}), 404, "'nothing'")
    refused(ask(api, "DELETE", "devices/gw"), 409, "1 devices behind it")
    assert ask(api, "PATCH", "devices/leaf", {"gateway": None}).json()["changes"] == {"gateway": ["gw", None]}
    assert ask(api, "DELETE", "devices/gw").json()["action"] == "removed"
    assert ask(api, "PATCH", "devices/leaf", {}).json()["action"] is None
    ask(api, "DELETE", "devices/leaf")


def test_a_zone_is_drawn_judged_and_removed_unless_assets_name_it(api: Api) -> None:
    ring = [[117.1, 31.7], [117.3, 31.7], [117.3, 31.9], [117.1, 31.9], [117.1, 31.7]]
    feature = {
        "properties": {"kind": "dma", "network": "water"},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }
    assert ask(api, "PUT", "zones/DMA-1", feature).json()["action"] == "created"
    assert ask(api, "PATCH", "zones/DMA-1", {"properties": {"name": "老城"}}).json()["changes"] == {
        "name": ["", "老城"]
    }
    ask(api, "PATCH", "assets/W-P1", {"properties": {"zone": "DMA-1"}})
    refused(ask(api, "DELETE", "zones/DMA-1"), 409, "W-P1 name it")
    ask(api, "PATCH", "assets/W-P1", {"properties": {"zone": None}})
    assert ask(api, "DELETE", "zones/DMA-1").json()["action"] == "removed"


def test_map_ingest_and_alerts_are_told_of_an_edit(api: Api) -> None:
    with psycopg.connect(api.dsn, autocommit=True) as listener:
        listener.execute("LISTEN lifeline_changed")
        for method, path, body in (
            ("PATCH", "assets/D-P1", {"properties": {"material": "concrete"}}),
            ("PATCH", "sensors/3", {"name": "told"}),
            ("PATCH", "devices/rtu-drainage", {"name": "told"}),
        ):
            assert ask(api, method, path, body).json()["action"] == "changed"
            heard = [json.loads(note.payload)["what"] for note in listener.notifies(timeout=30, stop_after=1)]
            assert heard[0] in ("inventory", "risk"), path


def test_only_an_engineer_edits(api: Api) -> None:
    for role in (Role.VIEWER, Role.FIELD, Role.OPERATOR):
        assert ask(api, "PATCH", "assets/G-P0", {"properties": {"name": "x"}}, role).status_code == 403
        assert api.call("POST", "/api/v1/imports?name=a.csv", role, content=b"x").status_code == 403


# ------------------------------------------------------------------------------------------------------------ files


def test_what_is_exported_over_http_is_imported_over_http_as_unchanged(api: Api) -> None:
    for what, format_ in (("assets", "geojson"), ("assets", "gpkg"), ("assets", "csv"), ("sensors", "csv")):
        file = api.get(f"/api/v1/exports/{what}?format={format_}&network=water")
        assert file.status_code == 200, file.text
        assert f"{what}.{format_}" in file.headers["content-disposition"]
        name = f"/api/v1/imports?name={what}.{format_}"
        done = api.call("POST", name, Role.ENGINEER, content=file.content)
        if format_ == "geojson":  # lengths that the town's pipes lack are measured once
            done = api.call("POST", name, Role.ENGINEER, content=file.content)
        assert done.status_code == 200, done.text
        for part in done.json()["parts"]:  # a GeoPackage has a layer of points and one of lines
            assert (part["what"], part["new"], part["changed"]) == (what, 0, 0)
    assert api.get("/api/v1/exports/zones").json()["features"] == []


def test_a_shapefile_comes_and_goes_as_a_zip(api: Api) -> None:
    file = api.get("/api/v1/exports/assets?format=shp&network=gas")
    assert file.headers["content-type"] == "application/zip"
    names = zipfile.ZipFile(BytesIO(file.content)).namelist()
    assert {"assets.shp", "assets_points.shp", "assets.dbf", "assets.prj"} <= set(names)
    done = api.call("POST", "/api/v1/imports?name=assets.zip&dry_run=true", Role.ENGINEER, content=file.content)
    assert done.status_code == 200, done.text
    assert sum(part["same"] + part["changed"] for part in done.json()["parts"]) == 5


def test_an_asset_may_be_called_export(api: Api) -> None:
    feature = {"properties": {"network": "gas", "kind": "pipe"}, "geometry": LINE}
    assert ask(api, "PUT", "assets/export", feature).json()["action"] == "created"
    assert asset(api, "export")["kind"] == "pipe"
    assert ask(api, "DELETE", "assets/export").json()["action"] == "removed"
    refused(ask(api, "GET", "assets/export"), 404, "export")


def test_a_model_comes_back_byte_for_byte(api: Api) -> None:
    refused(ask(api, "GET", "exports/models/water"), 404, "no model of network 'water'")
    name = "/api/v1/imports?name=%E4%BE%9B%E6%B0%B4%20net.inp&network=water&place=117.2,31.8&prefix=m-"
    taken = api.call("POST", name, Role.ENGINEER, content=MODEL)
    assert taken.status_code == 200, taken.text
    file = api.get("/api/v1/exports/models/water")
    assert file.content == MODEL
    assert file.headers["content-disposition"].endswith("''%E4%BE%9B%E6%B0%B4%20net.inp")
    refused(ask(api, "GET", "exports/models/gas"), 404)


def test_a_dry_run_says_what_would_be_and_stores_nothing(api: Api) -> None:
    feature = {"type": "Feature", "properties": {"id": "DRY", "network": "gas", "kind": "pipe"}, "geometry": LINE}
    content = json.dumps({"type": "FeatureCollection", "features": [feature]}).encode()
    dry = api.call("POST", "/api/v1/imports?name=a.geojson&dry_run=true", Role.ENGINEER, content=content).json()
    assert (dry["stored"], dry["parts"]) == (False, [{"what": "assets", "new": 1, "changed": 0, "same": 0}])
    assert api.get("/api/v1/assets/DRY").status_code == 404


def test_every_problem_of_a_file_is_told_with_its_line_and_no_path_of_ours(api: Api) -> None:
    content = b"device,network,channel\nd1,steam,flow\nd 2,water,flow\n"
    answer = api.call("POST", "/api/v1/imports?name=s.csv", Role.ENGINEER, content=content)
    assert answer.status_code == 400
    assert [each["at"] for each in answer.json()["problems"]] == ["line 2", "line 3"]
    for name, body in (("s.gpkg", b"none"), ("s.inp", b"\xff\xfe"), ("s.shp", b"<VRT>")):
        answer = api.call("POST", f"/api/v1/imports?name={name}", Role.ENGINEER, content=body)
        assert answer.status_code == 400
        assert "/tmp" not in answer.text


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("name=a.exe", "ends in one of"), ("name=../a.csv", "file's name"), ("name=a.csv&as=pipes", "as must be"),
        ("name=a.geojson&crs=EPSG:nine", "no coordinate system"), ("name=a.inp&place=here", "LON,LAT"), ("", "name"),
    ],
)  # fmt: skip
def test_a_file_whose_name_or_option_is_wrong_is_refused(query: str, word: str, api: Api) -> None:
    content = b'{"type": "FeatureCollection", "features": []}'
    refused(api.call("POST", f"/api/v1/imports?{query}", Role.ENGINEER, content=content), 400, word)


@pytest.mark.parametrize("query", ["format=dwg", "crs=EPSG:nine", "bbox=1,2", "format=gpkg&crs=moon"])
def test_an_export_that_cannot_be_is_refused(query: str, api: Api) -> None:
    answer = api.get(f"/api/v1/exports/assets?{query}")
    assert answer.status_code == 400
    assert "/tmp" not in answer.text
