"""Critical facilities: imported, edited, exported, and what lies near them kept and scored with every write."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from lifeline import risk
from lifeline.catalogue import shipped_catalogue
from lifeline.errors import ImportRejectedError, NotFoundError
from lifeline.exchange.files import Options, read_file
from lifeline.inventory import Entry
from lifeline.model import Asset, AssetKind, Facility, FacilityKind, Role
from lifeline.risk.consequence import NEAR_M
from lifeline.storage import facilities, inventory, nearness, standing
from lifeline.storage.database import Connection
from lifeline.storage.editing import Editor, history
from lifeline.storage.imports import import_contents
from simulators.inventory import facilities as features
from simulators.planning import CRITICAL, make_town
from tests.api_process import running_api
from tests.integration.city import NOON
from tests.integration.in_process import lifeline
from tests.integration.town import SOUTH, STEP, WEST, build

pytestmark = pytest.mark.usefixtures("clean_database")
METRE = 1 / 111_195.0
HOSPITAL = Facility("H-1", FacilityKind.HOSPITAL, WEST + STEP / 2, SOUTH + 40 * METRE, "市一院 Hospital")
SCHOOL = Facility("S-1", FacilityKind.SCHOOL, WEST + STEP / 2, SOUTH - 100 * METRE, "小学 School")


@pytest.fixture
def db(connection: Connection) -> Connection:
    build(connection, NOON)
    return connection


def near(db: Connection, asset: str = "G-P0") -> dict[str, float]:
    return {each.facility: each.distance_m for each in facilities.near(db, asset)}


def scored(db: Connection, asset: str) -> tuple[float, dict[str, tuple[object, float]]]:
    """Its score, and value and points of each part."""
    row = db.execute(
        "SELECT score, parts FROM asset_risk JOIN asset USING (asset_id) WHERE external_id = %s", [asset]
    ).fetchone()
    assert row is not None
    return row[0], {part["part"]: (part["value"], part["points"]) for part in row[1]}


def pairs(db: Connection) -> list[tuple[str, str, float]]:
    """What is near what, as kept."""
    rows = db.execute(
        "SELECT a.external_id, f.external_id, distance_m FROM asset_facility JOIN asset a USING (asset_id)"
        " JOIN facility f USING (facility_id) ORDER BY 1, 2"
    )
    return [(asset, facility, round(distance, 3)) for asset, facility, distance in rows]


def test_what_is_near_is_kept_with_its_distance_and_raises_the_score_by_a_part_of_its_own(db: Connection) -> None:
    before, _ = scored(db, "G-P0")
    far, _ = scored(db, "G-P1")
    stored = facilities.store_facilities(db, [HOSPITAL, SCHOOL], NOON)
    assert (stored.new, stored.changed, stored.same) == (2, 0, 0)
    assert near(db) == {"H-1": pytest.approx(40, abs=0.5), "S-1": pytest.approx(100, abs=0.5)}
    assert near(db, "G-P1") == {}
    score, parts = scored(db, "G-P0")
    assert parts["nearby"][0] == 2
    assert score > before
    assert score == pytest.approx(sum(points for _, points in parts.values()))
    assert scored(db, "G-P1")[0] == far


def test_storing_the_same_again_touches_nothing(db: Connection) -> None:
    facilities.store_facilities(db, [HOSPITAL], NOON)
    again = facilities.store_facilities(db, [HOSPITAL], NOON + timedelta(days=1))
    assert (again.new, again.changed, again.same) == (0, 0, 1)
    (line,) = facilities.facilities(db)
    assert (line.updated_at, line.assets) == (NOON, 1)


def test_a_facility_that_moves_away_takes_its_part_with_it(db: Connection) -> None:
    before = scored(db, "G-P0")
    facilities.store_facilities(db, [HOSPITAL], NOON)
    moved = Facility("H-1", FacilityKind.HOSPITAL, WEST + 1.5 * STEP, SOUTH + 40 * METRE)
    assert facilities.store_facilities(db, [moved], NOON).changed == 1
    assert scored(db, "G-P0") == before
    assert near(db) == {}
    assert list(near(db, "G-P1")) == ["H-1"]
    assert scored(db, "G-P1")[1]["nearby"][0] == 1


def test_a_facility_that_is_removed_takes_its_part_with_it(db: Connection) -> None:
    before = scored(db, "G-P0")
    facilities.store_facilities(db, [HOSPITAL], NOON)
    facilities.remove(db, "H-1", NOON)
    assert (scored(db, "G-P0"), facilities.facilities(db), near(db)) == (before, [], {})
    with pytest.raises(NotFoundError, match="H-1"):
        facilities.remove(db, "H-1", NOON)


def test_a_pipe_that_is_laid_past_a_facility_is_near_it_at_once(db: Connection) -> None:
    facilities.store_facilities(db, [HOSPITAL], NOON)
    line = {"type": "LineString", "coordinates": [[WEST, SOUTH + 90 * METRE], [WEST + STEP, SOUTH + 90 * METRE]]}
    inventory.store_assets(db, [Entry(1, Asset("W-NEW", "water", AssetKind.PIPE, line))], NOON)
    assert near(db, "W-NEW") == {"H-1": pytest.approx(50, abs=0.5)}
    assert scored(db, "W-NEW")[1]["nearby"][0] == 1
    db.execute("UPDATE asset SET in_service = false WHERE external_id = 'W-NEW'")
    facilities.store_facilities(db, [SCHOOL], NOON)
    assert near(db, "W-NEW") == {"H-1": pytest.approx(50, abs=0.5)}, (
        "of the school it is not told: it is out of service"
    )


def test_kept_step_by_step_is_what_all_at_once_gives(db: Connection) -> None:
    """Incremental writes in any order end at the same rows as one computation of everything."""
    town = make_town(3)
    found = [
        Facility(
            f["properties"]["id"], FacilityKind(f["properties"]["kind"]), WEST + number * STEP / 5, SOUTH + 60 * METRE
        )
        for number, f in enumerate(features(town))
    ]
    for each in reversed(found):
        facilities.store_facilities(db, [each], NOON)
    kept = pairs(db)
    assert len(kept) >= len(found)
    assert all(distance <= NEAR_M for _, _, distance in kept)
    everything = [number for (number,) in db.execute("SELECT facility_id FROM facility")]
    nearness.place(db, facilities=everything, assets=[number for (number,) in db.execute("SELECT asset_id FROM asset")])
    assert pairs(db) == kept
    scores = {name: scored(db, name)[0] for name in ("G-P0", "G-P1", "W-P0")}
    standing.recompute(db, NOON)
    assert {name: scored(db, name)[0] for name in scores} == scores


@pytest.mark.parametrize("suffix", [".geojson", ".csv"])
def test_a_file_of_facilities_is_imported_by_what_it_says_in_chinese_too(
    suffix: str, db: Connection, tmp_path: Path
) -> None:
    path = tmp_path / f"facilities{suffix}"
    if suffix == ".csv":
        path.write_text(
            f"id,kind,name,longitude,latitude\nH-1,医院,市一院,{WEST + STEP / 2},{SOUTH}\n", encoding="utf-8"
        )
    else:
        point = {"type": "Point", "coordinates": [WEST + STEP / 2, SOUTH]}
        feature = {
            "type": "Feature",
            "properties": {"id": "H-1", "kind": "hospital", "name": "市一院"},
            "geometry": point,
        }
        path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}), encoding="utf-8")
    options = Options(as_="facilities") if suffix == ".csv" else Options()
    (outcome,) = import_contents(db, read_file(path, options), shipped_catalogue(), NOON, actor="test")
    assert (outcome.what, outcome.stored.new) == ("facilities", 1)
    assert near(db) == {"H-1": 0.0}
    (line,) = history(db, what="facility")
    assert (line.actor, line.action, line.detail["new"]) == ("test", "imported", 1)


def test_a_file_with_one_mistake_stores_nothing(db: Connection, tmp_path: Path) -> None:
    path = tmp_path / "facilities.csv"
    path.write_text("id,kind,longitude,latitude\nH-1,hospital,117.2,31.8\nH-2,castle,117.2,31.8\n", encoding="utf-8")
    with pytest.raises(ImportRejectedError, match="castle"):
        import_contents(db, read_file(path, Options(as_="facilities")), shipped_catalogue(), NOON, actor="test")
    assert facilities.facilities(db) == []


def test_an_edit_is_checked_noted_and_scores_anew(db: Connection) -> None:
    editor = Editor(db, shipped_catalogue(), "somebody", NOON)
    point = {"type": "Point", "coordinates": [HOSPITAL.longitude, HOSPITAL.latitude]}
    assert editor.put("facilities", "H-1", {"kind": "other", "floors": 3}, point).action == "created"
    low = scored(db, "G-P0")[0]
    changed = editor.patch("facilities", "H-1", {"kind": "hospital"})
    assert (changed.action, changed.changes) == ("changed", {"kind": ["other", "hospital"]})
    assert scored(db, "G-P0")[0] > low
    assert editor.remove("facilities", "H-1").action == "removed"
    assert [line.action for line in history(db, what="facility", name="H-1")] == ["removed", "changed", "created"]


def test_the_api_lists_changes_and_explains_them(db: Connection, clean_database: str) -> None:
    facilities.store_facilities(db, [HOSPITAL, SCHOOL], NOON)
    db.commit()
    with running_api(clean_database) as api:
        told = api.get("/api/v1/assets/G-P0/facilities").json()
        assert [each["id"] for each in told["items"]] == ["H-1", "S-1"]
        assert told["counts"] == {"hospital": 1, "school": 1}
        first = api.get("/api/v1/facilities?limit=1").json()
        rest = api.get(f"/api/v1/facilities?limit=1&after={first['next']}").json()
        assert ([each["id"] for each in first["items"] + rest["items"]], rest["next"]) == (["H-1", "S-1"], None)
        assert [e["id"] for e in api.get("/api/v1/facilities?kind=school").json()["items"]] == ["S-1"]
        assert api.get("/api/v1/facilities/H-1").json()["assets"] == 1
        assert api.get("/api/v1/facilities/none").status_code == 404
        parts = {part["part"]: part for part in api.get("/api/v1/risk/assets/G-P0").json()["parts"]}
        assert parts["nearby"]["value"] == 2
        change = {"properties": {"name": "新院"}}
        done = api.call("PATCH", "/api/v1/facilities/H-1", Role.ENGINEER, json=change)
        assert (done.status_code, done.json()["what"], done.json()["action"]) == (200, "facility", "changed")
        exported = api.get("/api/v1/exports/facilities").json()
        assert [each["properties"]["name"] for each in exported["features"]] == ["新院", "小学 School"]
        assert api.call("DELETE", "/api/v1/facilities/S-1", Role.ENGINEER).status_code == 200
        assert [each["id"] for each in api.get("/api/v1/assets/G-P0/facilities").json()["items"]] == ["H-1"]


def test_the_commands_list_change_and_remove(db: Connection, clean_database: str, tmp_path: Path) -> None:
    facilities.store_facilities(db, [HOSPITAL], NOON)
    db.commit()
    settings = {"LIFELINE_DATABASE_URL": clean_database, "LIFELINE_HOME": str(tmp_path / "home")}
    listed = lifeline("facilities", "list", **settings)
    assert ("H-1" in listed.stdout, "1 facilities" in listed.stdout) == (True, True), listed.stderr
    assert "changed" in lifeline("facilities", "set", "H-1", "kind=school", **settings).stdout
    assert lifeline("facilities", "delete", "H-1", **settings).stdout == "facility H-1: removed\n"


def test_every_critical_facility_of_the_simulated_town_is_told_with_its_kind() -> None:
    found = features(make_town(1))
    assert {each["properties"]["name"]: each["properties"]["kind"] for each in found} == CRITICAL
    assert {each["properties"]["kind"] for each in found} <= set(FacilityKind.__members__.values())
    assert len({tuple(each["geometry"]["coordinates"]) for each in found}) == len(found)
    assert set(risk.PART_NAMES) >= {"facility", "nearby"}
