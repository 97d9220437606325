"""OGC API Features as its clients see it: GDAL opens the city as layers, and the standard's own rules hold."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pyogrio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.features import CONFORMANCE, LAYERS, interval_of
from api.problems import ProblemError
from lifeline.model import Role, Zone, ZoneKind
from lifeline.principal import Scope
from lifeline.storage import keys, reports
from lifeline.storage.database import connect
from lifeline.storage.reports import Category, Report
from lifeline.storage.zones import store_zones
from tests.api_process import PLAIN, Api, running_api
from tests.integration.town import assets, build, empty, open_alert

TABLES = ("assets", "sensors", "alerts", "open-alerts")


@pytest.fixture(scope="module")
def town(database_dsn: str) -> dict[str, int]:
    empty(database_dsn)
    with connect(database_dsn) as connection:
        ids = build(connection)
        open_alert(connection, ids["gas"])
        ring = [[117.19, 31.79], [117.23, 31.79], [117.23, 31.83], [117.19, 31.83], [117.19, 31.79]]
        shape = {"type": "Polygon", "coordinates": [ring]}
        zones = [Zone(name, ZoneKind.DISTRICT, shape, "water") for name in ("Z-1", "Z-2", "Z-3")]
        store_zones(connection, zones, datetime.now(UTC))
        for number in range(3):
            seen = Report(Category.ODOUR, "臭", 117.2, 31.8, datetime.now(UTC), reference=str(number))
            reports.keep(connection, seen, "hotline", datetime.now(UTC))
    return ids


@pytest.fixture(scope="module")
def api(database_dsn: str, town: dict[str, int]) -> Iterator[Api]:
    with running_api(database_dsn) as process:
        yield process


def items(api: Api, collection: str, query: str = "") -> dict[str, Any]:
    answer = api.get(f"/ogc/collections/{collection}/items{query}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/geo+json"
    found: dict[str, Any] = answer.json()
    assert found["numberReturned"] == len(found["features"])
    return found


def link(document: dict[str, Any], rel: str) -> str | None:
    return next((str(each["href"]) for each in document["links"] if each["rel"] == rel), None)


def test_the_landing_page_leads_to_everything_else(api: Api) -> None:
    landing = api.get("/ogc").json()
    for rel in ("conformance", "data", "service-desc"):
        href = link(landing, rel)
        assert href is not None
        assert api.get(href.removeprefix(api.url)).status_code == 200
    assert api.get("/ogc/conformance").json()["conformsTo"] == CONFORMANCE


def test_each_collection_says_where_its_items_and_the_city_are(api: Api) -> None:
    found = api.get("/ogc/collections").json()["collections"]
    assert {each["id"] for each in found} == set(LAYERS)
    for each in found:
        alone = api.get(f"/ogc/collections/{each['id']}").json()
        assert alone == each
        west, south, east, north = alone["extent"]["spatial"]["bbox"][0]
        assert 117 < west < east < 118
        assert 31 < south < north < 32
        items_at = link(alone, "items")
        assert items_at is not None
        assert api.get(items_at.removeprefix(api.url)).status_code == 200


def test_the_next_links_lead_through_all_features_once(api: Api) -> None:
    where: str | None = "/ogc/collections/assets/items?limit=4"
    seen: list[str] = []
    while where:
        page = api.get(where.removeprefix(api.url)).json()
        assert len(page["features"]) <= 4
        seen += [each["id"] for each in page["features"]]
        where = link(page, "next")
    assert sorted(seen) == sorted(each.external_id for each in assets())


def test_one_feature_is_the_one_of_the_list(api: Api) -> None:
    listed = items(api, "assets", "?limit=1")["features"][0]
    alone = api.get(f"/ogc/collections/assets/items/{listed['id']}").json()
    assert {name: alone[name] for name in listed} == listed
    assert link(alone, "collection") is not None


def test_a_box_keeps_what_touches_it_with_or_without_heights(api: Api) -> None:
    everything = {each["id"] for each in items(api, "assets")["features"]}
    flat = {each["id"] for each in items(api, "assets", "?bbox=117.195,31.795,117.205,31.805")["features"]}
    assert flat == {"G-C0", "G-P0"}
    assert flat < everything
    high = {each["id"] for each in items(api, "assets", "?bbox=117.195,31.795,-5,117.205,31.805,5")["features"]}
    assert high == flat


def test_a_network_is_a_filter(api: Api) -> None:
    found = items(api, "assets", "?network=gas")["features"]
    assert found
    assert {each["properties"]["network"] for each in found} == {"gas"}


def test_time_keeps_the_alerts_that_were_open_then(api: Api) -> None:
    now = datetime.now(UTC)
    [alert] = items(api, "open-alerts")["features"]
    before = (now - timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    later = (now + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert [each["id"] for each in items(api, "alerts", f"?datetime={before}/..")["features"]] == [alert["id"]]
    assert [each["id"] for each in items(api, "alerts", f"?datetime={later}")["features"]] == [alert["id"]]
    assert items(api, "alerts", f"?datetime=../{before}")["features"] == []


def test_more_than_the_largest_page_is_no_error(api: Api) -> None:
    assert items(api, "assets", "?limit=1000000")["features"]


@pytest.mark.parametrize(
    "query",
    ["?bbox=1,2,3", "?datetime=yesterday", "?datetime=../..", "?datetime=2026-11-21", "?limit=0", "?colour=red"],
)
def test_what_the_standard_calls_invalid_is_400(query: str, api: Api) -> None:
    assert api.get(f"/ogc/collections/alerts/items{query}").status_code in (400, 422)


@pytest.mark.parametrize(
    "path", ["/ogc/collections/none", "/ogc/collections/none/items", "/ogc/collections/assets/items/x"]
)
def test_what_is_not_there_is_404(path: str, api: Api) -> None:
    assert api.get(path).status_code == 404


def test_without_a_key_nothing_is_told(api: Api) -> None:
    for path in ("/ogc", "/ogc/conformance", "/ogc/collections", "/ogc/collections/assets/items"):
        assert api.get(path, role=None).status_code == 401


def test_an_unchanged_feature_is_not_sent_again(api: Api) -> None:
    first = api.get("/ogc/collections/assets/items/G-P0")
    again = api.get("/ogc/collections/assets/items/G-P0", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304


def test_gdal_lists_the_layers_and_reads_each_feature(api: Api, town: dict[str, int]) -> None:
    pyogrio.set_gdal_config_options({"GDAL_HTTP_AUTH": "BEARER", "GDAL_HTTP_BEARER": api.key(Role.VIEWER)})
    try:
        layers = {name for name, _ in pyogrio.list_layers(f"OAPIF:{api.url}/ogc")}
        assert layers == set(LAYERS)
        _, _, shapes, fields = pyogrio.raw.read(f"OAPIF:{api.url}/ogc", layer="assets")
        assert len(shapes) == len(assets())
        assert all(len(values) == len(shapes) for values in fields)
        info = pyogrio.read_info(f"OAPIF:{api.url}/ogc", layer="sensors")
        assert info["features"] in (-1, len(town))
        assert "CRS84" in (info["crs"] or "") or "4326" in (info["crs"] or "")
    finally:
        pyogrio.set_gdal_config_options({"GDAL_HTTP_AUTH": None, "GDAL_HTTP_BEARER": None})


def test_gdal_reads_the_risk_map_and_the_reports(api: Api, town: dict[str, int]) -> None:
    """Cells as polygons, pipes as lines, zones and reports: what the map says is what GDAL has."""
    pyogrio.set_gdal_config_options({"GDAL_HTTP_AUTH": "BEARER", "GDAL_HTTP_BEARER": api.key(Role.VIEWER)})
    try:
        for layer, path in (("cells-9", "cells?resolution=9"), ("segments", "segments"), ("zones", "zones")):
            told = api.get(f"/api/v1/risk/{path}").json()["features"]
            assert told
            meta, _, shapes, fields = pyogrio.raw.read(f"OAPIF:{api.url}/ogc", layer=layer)
            values = dict(zip(meta["fields"], fields, strict=True))
            assert len(shapes) == len(told)
            assert sorted(values["level"]) == sorted(each["properties"]["level"] for each in told)
        _, _, shapes, _ = pyogrio.raw.read(f"OAPIF:{api.url}/ogc", layer="reports")
        assert len(shapes) == 3
    finally:
        pyogrio.set_gdal_config_options({"GDAL_HTTP_AUTH": None, "GDAL_HTTP_BEARER": None})


@pytest.mark.skipif(shutil.which("ogrinfo") is None, reason="ogrinfo is not here: scripts/clients")
def test_ogrinfo_lists_the_layers_and_reads_one(api: Api, town: dict[str, int], tmp_path: Path) -> None:
    """By a file of headers: Debian 12's GDAL 3.6 knows no bearer tokens."""
    headers = tmp_path / "headers"
    headers.write_text(f"Authorization: Bearer {api.key(Role.VIEWER)}\n")
    environment = {**os.environ, "GDAL_HTTP_HEADER_FILE": str(headers)}

    def ogrinfo(*arguments: str) -> str:
        command = ["ogrinfo", "-ro", f"OAPIF:{api.url}/ogc", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    listed = ogrinfo()
    assert [name for name in LAYERS if name not in listed] == []
    assert f"Feature Count: {len(assets())}" in ogrinfo("assets", "-so")


@pytest.mark.parametrize("collection", ["cells-8", "cells-9", "cells-10", "segments", "zones", "reports"])
def test_pages_of_the_map_hold_every_feature_once_and_each_is_found_by_its_name(
    collection: str, api: Api, town: dict[str, int]
) -> None:
    whole = items(api, collection, "?limit=10000")["features"]
    assert whole
    found, where = [], f"/ogc/collections/{collection}/items?limit=2"
    while where:
        page = api.get(where).json()
        found += page["features"]
        where = (link(page, "next") or "").removeprefix(api.url)
    assert found == whole
    for each in (whole[0], whole[-1]):
        alone = api.get(f"/ogc/collections/{collection}/items/{each['id']}").json()
        assert {name: alone[name] for name in each} == each


def test_the_map_is_asked_by_place_and_network(api: Api) -> None:
    assert {each["properties"]["network"] for each in items(api, "segments", "?network=gas")["features"]} == {"gas"}
    assert items(api, "zones", "?network=gas")["features"] == []
    assert api.get("/ogc/collections/cells-9/items?network=gas").status_code == 400
    for collection in ("cells-9", "segments", "zones", "reports"):
        assert items(api, collection, "?bbox=10,10,11,11")["features"] == []
        assert items(api, collection, "?bbox=117,31,118,32")["features"]


def key_of(api: Api, network: str) -> dict[str, str]:
    with connect(api.dsn) as connection:
        scope = Scope(networks=(network,))
        text = keys.create(connection, f"{network}-only", Role.VIEWER, datetime.now(UTC), scope=scope)
    return {"Authorization": f"Bearer {text}"}


def test_who_sees_a_part_of_the_city_sees_its_pipes_and_its_reports(api: Api) -> None:
    headers = key_of(api, "gas")
    for reader, network, told in ((headers, "gas", set()), (key_of(api, "drainage"), "drainage", {"drainage"})):
        for collection, expected in (("reports", told), ("segments", {network})):
            url = f"{api.url}/ogc/collections/{collection}/items"
            answer = httpx.get(url, headers=reader, timeout=30, verify=PLAIN)
            assert answer.status_code == 200, answer.text
            assert {each["properties"]["network"] for each in answer.json()["features"]} == expected, collection
    answer = httpx.get(f"{api.url}/api/v1/reports", headers=headers, timeout=30, verify=PLAIN)
    assert {each["network"] for each in answer.json()["items"]} <= {"gas", None}, "of gas, or of none in particular"
    with connect(api.dsn) as connection:
        sensors = connection.execute(
            "SELECT d.network, sensor_id FROM sensor JOIN device d USING (device_id)"
        ).fetchall()
    assert {network for network, _ in sensors} >= {"gas", "water"}
    for network, sensor in sensors:
        url = f"{api.url}/api/v1/readings?sensor={sensor}"
        answer = httpx.get(url, headers=headers, timeout=30, verify=PLAIN)
        assert answer.status_code == (200 if network == "gas" else 404), network


def test_a_wrong_key_is_refused_as_everywhere(api: Api) -> None:
    answer = httpx.get(f"{api.url}/ogc/collections/assets/items", headers={"Authorization": "Bearer llk_wrong"})
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"


@given(st.text(max_size=60))
def test_any_text_is_an_interval_or_refused(text: str) -> None:
    try:
        since, until = interval_of(text)
    except ProblemError:
        return
    assert since is not None or until is not None
    assert since is None or until is None or since <= until
