"""Lists for spreadsheets and maps, readings as files, citizens' reports: one process, as other systems use it."""

import csv
import io
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
import zstandard

from api.reports import MOST_A_MINUTE
from lifeline.model import Level, Role
from lifeline.storage import reports
from lifeline.storage.database import Connection, connect
from tests.api_process import Api, running_api, until
from tests.integration.city import add_reading
from tests.integration.town import assets, build, empty, open_alert, position
from tests.pictures import SECRETS, phone_photo, picture

START = datetime(2026, 11, 20, tzinfo=UTC)
SPAN = f"from={START:%Y-%m-%dT%H:%M:%SZ}&to={START + timedelta(hours=6):%Y-%m-%dT%H:%M:%SZ}"


@pytest.fixture(scope="module")
def api(database_dsn: str) -> Iterator[Api]:
    empty(database_dsn)
    with running_api(database_dsn) as process:
        yield process


@pytest.fixture(scope="module")
def town(api: Api) -> dict[str, int]:
    """Two open alerts, a chamber whose name is a formula, and 300 readings of two sensors within five hours."""
    with connect(api.dsn) as connection:
        ids = build(connection)
        connection.execute("UPDATE asset SET name = '=HYPERLINK(\"x\")' WHERE external_id = 'G-C2'")
        for step in range(300):
            for network in ("gas", "water"):
                add_reading(connection, ids[network], START + timedelta(minutes=step), step / 8, quality=step % 3)
        open_alert(connection, ids["gas"])
        open_alert(connection, ids["water"], Level.BLUE, rule="water.pressure")
        connection.execute("""SELECT pg_notify('lifeline_changed', '{"what": "inventory"}')""")
    until(lambda: "G-P1" in api.get("/api/v1/risk/segments").text, "the map of the town")
    return ids


def rows(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["content-disposition"]
    assert answer.content.startswith(b"\xef\xbb\xbf"), "Excel reads UTF-8 only so"
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))


# ----------------------------------------------------------------------------------------------------------- lists

LISTS = ["alerts", "incidents", "assets", "devices", "sensors", "zones", "reports"]


@pytest.mark.parametrize("name", LISTS)
def test_every_list_is_a_table_and_a_layer_of_the_same_rows(name: str, api: Api, town: dict[str, int]) -> None:
    page = api.get(f"/api/v1/{name}").json()["items"]
    table = rows(api.get(f"/api/v1/{name}?format=csv"))
    layer = api.get(f"/api/v1/{name}?format=geojson")
    assert layer.headers["content-type"] == "application/geo+json"
    features = layer.json()["features"]
    assert [each["id"] for each in table] == [str(each["id"]) for each in page] == [str(f["id"]) for f in features]
    for row, feature in zip(page, features, strict=True):
        properties = feature["properties"] | ({"geometry": feature["geometry"]} if "geometry" in row else {})
        assert properties == row
        if row.get("longitude") is not None:
            assert feature["geometry"] == {"type": "Point", "coordinates": [row["longitude"], row["latitude"]]}
        assert api.get(f"/api/v1/{name}?format=xls").status_code == 400


def test_the_next_page_of_a_table_is_in_the_link_and_no_row_is_lost(api: Api, town: dict[str, int]) -> None:
    found, where = [], "/api/v1/assets?format=csv&limit=4"
    while where:
        answer = api.get(where)
        found += [each["id"] for each in rows(answer)]
        where = answer.links["next"]["url"].removeprefix(api.url) if "next" in answer.links else ""
    assert found == [each.external_id for each in assets()]


def test_a_name_never_becomes_a_formula(api: Api, town: dict[str, int]) -> None:
    (row,) = (each for each in rows(api.get("/api/v1/assets?format=csv")) if each["id"] == "G-C2")
    assert row["name"] == '\'=HYPERLINK("x")'


@pytest.mark.parametrize("name", ["cells", "segments", "zones"])
def test_the_map_is_a_table_too(name: str, api: Api, town: dict[str, int]) -> None:
    features = api.get(f"/api/v1/risk/{name}").json()["features"]
    table = rows(api.get(f"/api/v1/risk/{name}?format=csv"))
    assert len(table) == len(features)
    for row, feature in zip(table, features, strict=True):
        assert row["level"] == feature["properties"]["level"]


def test_a_table_that_has_not_changed_is_not_sent_again(api: Api, town: dict[str, int]) -> None:
    first = api.get("/api/v1/assets?format=csv")
    again = api.get("/api/v1/assets?format=csv", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304


# -------------------------------------------------------------------------------------------------------- readings


def readings(api: Api, town: dict[str, int], query: str, **options: Any) -> httpx.Response:
    answer = api.get(f"/api/v1/readings?sensor={town['gas']}&sensor={town['water']}&{SPAN}{query}", **options)
    assert answer.status_code == 200, answer.text
    return answer


def table_of(form: str, content: bytes) -> list[dict[str, Any]]:
    if form == "csv":
        table = pa.csv.read_csv(io.BytesIO(content))
    elif form == "arrow":
        table = pa.ipc.open_stream(content).read_all()
    else:
        table = pyarrow.parquet.read_table(io.BytesIO(content))
    return [dict(row) for row in table.to_pylist()]


@pytest.mark.parametrize("form", ["csv", "arrow", "parquet"])
def test_a_download_has_every_reading_of_every_sensor_in_order(form: str, api: Api, town: dict[str, int]) -> None:
    found = table_of(form, readings(api, town, f"&format={form}").content)
    expected = [
        (town[network], unit, START + timedelta(minutes=step), step / 8, ("", "backlog", "implausible")[step % 3])
        for network, unit in sorted((("gas", "%VOL"), ("water", "m")), key=lambda each: town[each[0]])
        for step in range(300)
    ]
    told = [
        (each["sensor"], each["unit"], each["ts"].replace(tzinfo=UTC), each["value"], each["quality"] or "")
        for each in found
    ]
    assert told == expected
    assert {each["quantity"] for each in found} == {"methane", "pressure"}


def test_roll_ups_of_a_download_are_those_of_the_sensor(api: Api, town: dict[str, int]) -> None:
    single = api.get(f"/api/v1/sensors/{town['gas']}/readings?{SPAN}&resolution=1h").json()
    found = table_of("parquet", readings(api, town, "&format=parquet&resolution=1h").content)
    own = [each for each in found if each["sensor"] == town["gas"]]
    assert [each["ts"].isoformat().replace("+00:00", "Z") for each in own] == single["ts"]
    for name in ("n", "minimum", "maximum", "mean", "last"):
        assert [each[name] for each in own] == pytest.approx(single[name])


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("application/vnd.apache.arrow.stream", "application/vnd.apache.arrow.stream"),
        ("application/vnd.apache.parquet, */*", "application/vnd.apache.parquet"),
        ("text/html, */*", "text/csv; charset=utf-8"),
    ],
)
def test_the_form_is_what_the_client_accepts(accept: str, media: str, api: Api, town: dict[str, int]) -> None:
    assert readings(api, town, "", headers={"Accept": accept}).headers["content-type"] == media


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "identity"])
def test_csv_comes_packed_as_accepted(encoding: str, api: Api, town: dict[str, int]) -> None:
    with httpx.stream(
        "GET",
        f"{api.url}/api/v1/readings?sensor={town['gas']}&{SPAN}",
        headers={"Authorization": f"Bearer {api.key()}", "Accept-Encoding": encoding},
    ) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers.get("content-encoding", "identity") == encoding
    if encoding == "zstd":
        raw = zstandard.ZstdDecompressor().decompressobj().decompress(raw)
    elif encoding == "gzip":
        assert raw[:2] == b"\x1f\x8b"
        return
    assert raw.count(b"\n") == 301


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 400), ("sensor=x", 400), ("sensor=0", 400), ("sensor=99999", 404), ("sensor=1&format=xml", 400),
        ("sensor=1&from=2026-11-21T00:00:00Z&to=2026-11-20T00:00:00Z", 400), ("sensor=1&" * 501, 400),
    ],
)  # fmt: skip
def test_a_download_that_makes_no_sense_is_refused(query: str, status: int, api: Api, town: dict[str, int]) -> None:
    assert api.get(f"/api/v1/readings?{query.rstrip('&')}").status_code == status


def test_a_span_without_readings_is_a_file_without_rows(api: Api, town: dict[str, int]) -> None:
    for form in ("csv", "arrow", "parquet"):
        past = "from=2001-01-01T00:00:00Z&to=2001-01-02T00:00:00Z"
        answer = api.get(f"/api/v1/readings?sensor={town['gas']}&{past}&format={form}")
        assert table_of(form, answer.content) == []


def test_who_breaks_off_gives_his_place_to_the_next(api: Api, town: dict[str, int]) -> None:
    for _ in range(12):
        with httpx.stream(
            "GET",
            f"{api.url}/api/v1/readings?sensor={town['gas']}&{SPAN}",
            headers={"Authorization": f"Bearer {api.key()}"},
        ) as answer:
            assert answer.status_code in (200, 503)
    until(lambda: api.get(f"/api/v1/readings?sensor={town['gas']}&{SPAN}").status_code == 200, "a free place")


# --------------------------------------------------------------------------------------------------------- reports


def report(api: Api, role: Role = Role.FIELD, **said: Any) -> httpx.Response:
    longitude, latitude = position(0, 0)
    body = {"category": "gas_smell", "text": "燃气味", "longitude": longitude, "latitude": latitude, **said}
    return api.call("POST", "/api/v1/reports", role, json=body)


@pytest.fixture
def db(api: Api) -> Iterator[Connection]:
    with connect(api.dsn, autocommit=True) as connection:
        yield connection


def test_a_report_beside_an_alert_is_its_evidence_and_raises_nothing(
    api: Api, town: dict[str, int], db: Connection
) -> None:
    before = db.execute("SELECT count(*) FROM alert").fetchone()
    near = report(api, longitude=position(0, 0)[0] + 0.001).json()
    far = report(api, longitude=position(0, 0)[0] + 0.003).json()
    assert (near["alerts"], far["alerts"]) == ([1], [])
    assert (near["network"], near["state"]) == ("gas", "open")
    beside = [each["id"] for each in api.get("/api/v1/alerts/1/reports").json()["items"]]
    assert near["id"] in beside
    assert far["id"] not in beside
    assert db.execute("SELECT count(*) FROM alert").fetchone() == before


def test_evidence_is_what_was_seen_while_it_went_on(api: Api, town: dict[str, int], db: Connection) -> None:
    old = report(api, reported_at=(datetime.now(UTC) - timedelta(days=3)).isoformat()).json()
    assert old["alerts"] == []
    db.execute("UPDATE alert SET closed_at = now(), state = 'NORM' WHERE alert_id = 1")
    time.sleep(0.01)
    try:
        assert report(api).json()["alerts"] == [], "it came after the end"
    finally:
        db.execute("UPDATE alert SET closed_at = NULL, state = 'UNACK' WHERE alert_id = 1")


def test_a_report_that_is_sent_again_is_kept_once(api: Api, town: dict[str, int]) -> None:
    first = report(api, source="12345", reference="W-1")
    again = report(api, source="12345", reference="W-1", text="once more")
    other = report(api, source="app", reference="W-1")
    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 201)
    assert again.json() == first.json()
    assert first.headers["location"] == f"/api/v1/reports/{first.json()['id']}"
    assert other.json()["id"] != first.json()["id"]


def test_reports_are_listed_the_newest_first_by_what_is_asked(api: Api, town: dict[str, int]) -> None:
    flood = report(api, category="flooding").json()["id"]
    other = report(api, category="other", longitude=110.0).json()["id"]
    listed = [each["id"] for each in api.get("/api/v1/reports").json()["items"]]
    assert listed == sorted(listed, reverse=True)
    for query, kept in (
        ("category=flooding", {flood}), ("network=drainage", {flood}), ("bbox=109,31,111,32", {other}),
        ("category=flooding&category=other", {flood, other}), ("state=closed", set()),
        (f"since={quote_moment(datetime.now(UTC) + timedelta(minutes=1))}", set()),
    ):  # fmt: skip
        assert {each["id"] for each in api.get(f"/api/v1/reports?{query}").json()["items"]} == kept, query


def quote_moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_report_is_closed_once_and_says_what_became_of_it(api: Api, town: dict[str, int]) -> None:
    number = report(api).json()["id"]
    path = f"/api/v1/reports/{number}/close"
    assert api.call("POST", path, Role.FIELD, json={"outcome": "confirmed"}).status_code == 403
    closed = api.call("POST", path, Role.OPERATOR, json={"outcome": "confirmed", "note": "已派单"})
    assert closed.status_code == 200
    assert (closed.json()["state"], closed.json()["outcome"], closed.json()["note"]) == (
        "closed",
        "confirmed",
        "已派单",
    )
    assert api.call("POST", path, Role.OPERATOR, json={"outcome": "unfounded"}).status_code == 409
    assert (
        api.call("POST", "/api/v1/reports/99999/close", Role.OPERATOR, json={"outcome": "confirmed"}).status_code == 404
    )


def test_photos_of_a_report_are_kept_as_they_came_and_five_at_most(api: Api, town: dict[str, int]) -> None:
    number = report(api).json()["id"]
    path = f"/api/v1/reports/{number}/photos"

    def send(content: bytes) -> httpx.Response:
        headers = {"Content-Type": "application/octet-stream"}
        return api.call("POST", path, Role.FIELD, content=content, headers=headers)

    sent = [send(picture(each)) for each in range(5)]
    assert [each.status_code for each in sent] == [201] * 5
    assert send(picture(0)).json() == sent[0].json(), "the same one again"
    assert send(picture(6)).status_code == 409
    assert send(b"<svg onload=alert(1)>").status_code == 415
    assert send(picture(padding=600_000)).status_code == 413
    assert api.get(f"/api/v1/reports/{number}").json()["photos"] == [each.json()["photo"] for each in sent]
    shown = api.get(f"{path}/{sent[1].json()['photo']}")
    assert (shown.content, shown.headers["content-type"]) == (picture(1), "image/png")
    assert (shown.headers["cache-control"], bool(shown.headers["etag"])) == ("private, no-cache", True)
    with connect(api.dsn) as connection:
        noted = connection.execute(
            "SELECT what, after FROM audit WHERE what LIKE 'report%%' AND after ->> 'report_id' = %s ORDER BY audit_id",
            [str(number)],
        ).fetchall()
    assert [what for what, _ in noted] == ["report"] + ["report_photo"] * 5
    assert not any({"text", "content", "digest"} & after.keys() for _, after in noted), "neither words nor photos"
    assert api.get(f"/api/v1/reports/99999/photos/{sent[1].json()['photo']}").status_code == 404


def test_a_key_of_intake_hands_in_and_learns_nothing(api: Api, town: dict[str, int]) -> None:
    """It may stand on a server that strangers reach: who takes it knows no more of the city than before."""
    mine = report(api, Role.INTAKE, source="hotline", reference="H-1")
    assert (mine.status_code, mine.json()["alerts"]) == (201, [])
    number = mine.json()["id"]
    assert 1 in api.get(f"/api/v1/reports/{number}").json()["alerts"], "for the others it lies beside the alert"
    closing = {"outcome": "confirmed", "note": "who was sent there"}
    assert api.call("POST", f"/api/v1/reports/{number}/close", Role.OPERATOR, json=closing).status_code == 200
    again = report(api, Role.INTAKE, source="hotline", reference="H-1")
    assert (again.status_code, again.json()["outcome"]) == (200, "confirmed")
    assert (again.json()["note"], again.json()["closed_by"]) == ("", None)
    others = report(api, source="app", reference="H-2", text="a person's own words").json()["id"]
    guessed = report(api, Role.INTAKE, source="app", reference="H-2")
    assert (guessed.status_code, "own words" in guessed.text) == (409, False)
    octets = {"Content-Type": "application/octet-stream"}
    for report_id, status in ((number, 201), (others, 404)):
        path = f"/api/v1/reports/{report_id}/photos"
        taken = api.call("POST", path, Role.INTAKE, content=phone_photo(), headers=octets)
        assert taken.status_code == status
        told = api.get(f"{path}/{taken.json()['photo']}").content if status == 201 else taken.content
        assert not [secret for secret in SECRETS if secret in told], "where a citizen stood is his own affair"
    assert api.get(f"/api/v1/reports/{number}", Role.INTAKE).status_code == 403


@pytest.mark.parametrize(
    "said",
    [
        {"category": "fire"}, {"text": ""}, {"text": "x" * 2001}, {"text": "a\0b"}, {"latitude": 91},
        {"longitude": None}, {"reported_at": "2020-01-01T00:00:00Z"}, {"reported_at": "2026-11-21T08:00:00"},
        {"alert": 1},
    ],
)  # fmt: skip
def test_what_is_no_report_is_refused(said: dict[str, Any], api: Api, town: dict[str, int]) -> None:
    answer = report(api, **said)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")


def test_a_key_that_sends_too_many_has_to_wait(api: Api, town: dict[str, int], db: Connection) -> None:
    codes = [report(api, Role.ENGINEER).status_code for _ in range(MOST_A_MINUTE + 2)]
    assert codes == [201] * MOST_A_MINUTE + [429] * 2
    assert int(report(api, Role.ENGINEER).headers["retry-after"]) <= 61
    assert report(api, Role.ADMIN).status_code == 201, "another key goes on"
    assert len(reports.reports(db, 100.0, limit=1000)) > MOST_A_MINUTE
