"""The map of risk as its clients see it: hexagons, pipes, counts, and what an unchanged map costs."""

import gzip
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import zstandard

from lifeline.model import AlertKind
from lifeline.storage import health
from lifeline.storage.database import Connection
from tests.api_process import PLAIN, Api, running_api, until
from tests.integration.town import SOUTH, STEP, WEST, open_alert, watched

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)
pytestmark = pytest.mark.usefixtures("drawn")


def cells(api: Api, resolution: int = 9) -> list[dict[str, Any]]:
    found = api.get(f"/api/v1/risk/cells?resolution={resolution}").json()
    return [each["properties"] for each in found["features"]]


def test_an_open_risk_alert_turns_its_cell_red_and_explains_it(api: Api, drawn: dict[str, int], db: Connection) -> None:
    alert = open_alert(db, drawn["gas"])
    until(lambda: any(each["alerts"] for each in cells(api)), "the cell with the alert")
    (red,) = [each for each in cells(api) if each["alerts"]]
    assert red["level"] == "red"
    assert red["reasons"][0] == {"reason": "alert", "alert": alert.alert_id, "rule": "methane.level", "level": "red"}
    assert red["alerts"] == {"red": 1}
    told = api.get("/api/v1/risk/assets/G-C0").json()
    assert told["level"] == "red"
    assert told["alerts"][0]["alert"] == alert.alert_id
    assert sum(part["points"] for part in told["parts"]) == pytest.approx(told["score"], abs=0.01)
    neighbour = api.get("/api/v1/risk/assets/G-P0").json()
    assert neighbour["score"] > neighbour["standing_score"]
    assert neighbour["alerts"][0]["weight"] == 0.5


def test_a_maintenance_alert_colours_nothing(api: Api, drawn: dict[str, int], db: Connection) -> None:
    before = cells(api)
    open_alert(db, drawn["gas"], kind=AlertKind.MAINTENANCE)
    until(lambda: api.get("/api/v1/risk/summary").json()["alerts"]["maintenance"], "the count")
    assert cells(api) == before


def test_a_silent_cell_is_unknown_and_a_red_one_stays_red(api: Api, drawn: dict[str, int], db: Connection) -> None:
    assert {each["coverage"] for each in cells(api)} == {"live", "none"}
    open_alert(db, drawn["water"], rule="burst")
    db.execute("UPDATE sensor_state SET ts = ts - interval '1 day'")
    db.execute("""SELECT pg_notify('lifeline_changed', '{"what": "reading"}')""")
    until(lambda: {each["coverage"] for each in cells(api)} == {"silent", "none"}, "silence on the map")
    for each in cells(api):
        assert each["level"] != "blue"
    (water,) = [each for each in cells(api) if each["alerts"]]
    assert (water["level"], water["coverage"], water["sensors_silent"]) == ("red", "silent", 1)


def test_a_segment_says_its_parts_and_they_add_up(api: Api) -> None:
    found = api.get("/api/v1/risk/segments").json()
    assert found["numberMatched"] == 6
    assert found["truncated"] is False
    for each in found["features"]:
        told = each["properties"]
        assert sum(part["points"] for part in told["parts"]) == pytest.approx(told["score"], abs=0.1)


def test_segments_are_cut_by_box_and_the_worst_are_kept_by_limit(api: Api) -> None:
    found = api.get("/api/v1/risk/segments?bbox=117.199,31.809,117.205,31.811").json()
    assert [each["properties"]["id"] for each in found["features"]] == ["W-P0"]
    found = api.get("/api/v1/risk/segments?limit=3").json()
    assert (found["truncated"], found["numberMatched"]) == (True, 6)
    assert {each["properties"]["id"] for each in found["features"]} == {"G-P1", "W-P1", "D-P1"}


@pytest.mark.parametrize("path", ["/api/v1/risk/cells?resolution=10", "/api/v1/risk/segments", "/", "/main.js"])
def test_an_unchanged_document_is_304_and_comes_compressed(path: str, api: Api) -> None:
    plain = api.get(path, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    for name, unpack in (("gzip", gzip.decompress), ("zstd", zstandard.ZstdDecompressor().decompress)):
        with httpx.stream(
            "GET",
            api.url + path,
            headers={"Authorization": f"Bearer {api.key()}", "Accept-Encoding": name},
            verify=PLAIN,
        ) as packed:
            assert packed.headers["content-encoding"] == name
            assert packed.headers["etag"] == plain.headers["etag"]
            body = b"".join(packed.iter_raw())
            assert len(body) < len(plain.content)
            assert unpack(body) == plain.content
    again = api.get(path, headers={"If-None-Match": plain.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert api.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_two_instances_agree_on_the_etag_and_both_hear_changes(api: Api, drawn: dict[str, int], db: Connection) -> None:
    with running_api(api.dsn) as other:
        other.keys = api.keys
        path = "/api/v1/risk/cells"
        assert api.get(path).headers["etag"] == other.get(path).headers["etag"]
        open_alert(db, drawn["gas"])
        # An old street is red by itself: what tells the new map is the alert.
        until(lambda: all(any(each["alerts"] for each in cells(one)) for one in (api, other)), "both maps")
        assert api.get(path).headers["etag"] == other.get(path).headers["etag"]


def test_the_summary_says_when_detection_last_looked(api: Api, db: Connection) -> None:
    def told() -> object:
        return api.get("/api/v1/risk/summary").json()["evaluated_at"]

    assert told() is None
    health.beat(db, "alerts", "young", NOW, {"leader": False, "ticked_at": None})
    db.commit()
    assert told() is None, "one that waits for its turn has not looked"
    watched(db, NOW - timedelta(minutes=1))
    watched(db, NOW)
    assert datetime.fromisoformat(str(told())) == NOW
    health.leave(db, "alerts", "watch", NOW - timedelta(days=1))
    db.commit()
    assert told() is None, "it has ended"


def test_the_summary_says_how_often_the_detection_that_looked_last_looks(api: Api, db: Connection) -> None:
    def told() -> object:
        return api.get("/api/v1/risk/summary").json()["evaluated_every_s"]

    assert told() is None
    health.beat(db, "alerts", "old", NOW, {"leader": True, "ticked_at": NOW.isoformat()})
    db.commit()
    assert told() is None, "one from before it was told"
    health.beat(db, "alerts", "young", NOW, {"leader": False, "ticked_at": None, "tick_s": 7.0})
    watched(db, NOW + timedelta(seconds=1), tick_s=120)
    assert told() == 120
    assert datetime.fromisoformat(api.get("/api/v1/risk/summary").json()["evaluated_at"]) == NOW + timedelta(seconds=1)


def test_the_summary_counts_what_the_map_shows(api: Api, drawn: dict[str, int], db: Connection) -> None:
    before = api.get("/api/v1/risk/summary").json()["cells"]["9"]["red"]
    open_alert(db, drawn["gas"])
    until(lambda: api.get("/api/v1/risk/summary").json()["cells"]["9"]["red"] == before + 1, "the count")
    told = api.get("/api/v1/risk/summary").json()
    assert told["alerts"]["risk"] == {"red": {"open": 1, "unacknowledged": 1}}
    assert sum(told["segments"].values()) == 6
    assert sum(told["cells"]["9"].values()) == len(cells(api))
    assert told["extent"] == pytest.approx([WEST, SOUTH, WEST + 2 * STEP, SOUTH + 2 * STEP])
    assert datetime.fromisoformat(told["data_as_of"]) <= datetime.fromisoformat(told["now"])
