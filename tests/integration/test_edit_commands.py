"""`lifeline assets`, `sensors set` and `zones`: what they print, store and refuse."""

import json
from pathlib import Path

import pytest

from lifeline.storage.database import Connection
from tests.integration.in_process import lifeline
from tests.integration.town import build

pytestmark = pytest.mark.usefixtures("clean_database")

RING = [[117.1, 31.7], [117.3, 31.7], [117.3, 31.9], [117.1, 31.9], [117.1, 31.7]]


@pytest.fixture
def place(clean_database: str, connection: Connection, tmp_path: Path) -> dict[str, str]:
    """The town, with one zone, and settings that point at it."""
    build(connection)
    zone = {"type": "Feature", "properties": {"id": "D1", "kind": "dma", "network": "water", "name": "老城"}}
    zone["geometry"] = {"type": "Polygon", "coordinates": [RING]}  # type: ignore[assignment]
    path = tmp_path / "zones.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [zone]}), encoding="utf-8")
    settings = {"LIFELINE_DATABASE_URL": clean_database, "LIFELINE_HOME": str(tmp_path / "home")}
    assert lifeline("import", path, **settings).returncode == 0
    return settings


def words(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_an_asset_is_changed_shown_and_removed(place: dict[str, str], connection: Connection) -> None:
    dry = lifeline("assets", "set", "W-P0", "material=steel", "owner=一公司", "--dry-run", **place)
    assert dry.returncode == 0, dry.stderr
    assert ["material", "pe", "steel"] in words(dry.stdout)
    assert "nothing was stored (--dry-run)" in dry.stdout
    assert connection.execute("SELECT material FROM asset WHERE external_id = 'W-P0'").fetchone() == ("pe",)
    connection.rollback()
    done = lifeline("assets", "set", "W-P0", "material=steel", "owner=一公司", **place)
    assert done.stdout.startswith("asset W-P0: changed")
    again = lifeline("assets", "set", "W-P0", "material=steel", **place)
    assert again.stdout == "asset W-P0: nothing has changed\n"
    shown = lifeline("assets", "show", "W-P0", **place).stdout
    assert ["owner", "一公司"] in words(shown)
    assert "zones     D1 (100%)" in shown
    assert "by lifeline (" in shown
    refused = lifeline("assets", "delete", "W-C1", **place)
    assert refused.returncode == 1
    assert "W-P0, W-P1 ends at it" in refused.stderr
    assert "would be removed" in lifeline("assets", "delete", "W-P0", "--dry-run", **place).stdout
    assert lifeline("assets", "delete", "W-P0", **place).stdout == "asset W-P0: removed\n"
    assert lifeline("assets", "show", "W-P0", **place).returncode == 1


def test_a_sensor_is_changed_and_kept_for_its_readings(place: dict[str, str], connection: Connection) -> None:
    done = lifeline("sensors", "set", "rtu-gas", "methane", "low=0", "high=5", "in_service=false", **place)
    assert done.stdout.startswith("sensor rtu-gas/methane: retired"), done.stderr
    row = connection.execute("SELECT limits, in_service FROM sensor WHERE channel = 'methane'").fetchone()
    assert row == ({"range": [0.0, 5.0]}, False)
    refused = lifeline("sensors", "delete", "rtu-gas", "methane", **place)
    assert (refused.returncode, "has readings" in refused.stderr) == (1, True)
    wrong = lifeline("sensors", "set", "rtu-gas", "methane", "colour=red", **place)
    assert (wrong.returncode, "'colour' is none of" in wrong.stderr) == (1, True)


def test_zones_are_listed_shown_changed_and_removed(place: dict[str, str]) -> None:
    listed = lifeline("zones", "list", "--kind", "dma", **place).stdout
    assert words(listed)[1][:7] == ["D1", "dma", "water", "老城", "active", "5", "1"]
    assert listed.endswith("1 zones\n")
    assert lifeline("zones", "list", "--kind", "district", **place).stdout.endswith("0 zones\n")
    shown = lifeline("zones", "show", "D1", **place).stdout
    assert "holds     5 assets" in shown
    assert ["W-P1", "100%"] in words(shown)
    assert ["status", "active", "rejected"] in words(lifeline("zones", "set", "D1", "status=rejected", **place).stdout)
    assert lifeline("zones", "delete", "D1", **place).stdout == "zone D1: removed\n"
    gone = lifeline("zones", "show", "D1", **place)
    assert (gone.returncode, "no zone 'D1'" in gone.stderr) == (1, True)
