"""Edits in the real database: as the role that the API has, undone by their own history, told to alerts."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lifeline.catalogue import shipped_catalogue
from lifeline.errors import ConflictError, ImportRejectedError, NotFoundError
from lifeline.model import Zone, ZoneKind
from lifeline.storage import devices, editing, export, window, zones
from lifeline.storage.database import Connection
from lifeline.storage.editing import Editor
from tests.integration.town import build, open_alert

pytestmark = pytest.mark.usefixtures("clean_database")

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)
RING = [[117.1, 31.7], [117.3, 31.7], [117.3, 31.9], [117.1, 31.9], [117.1, 31.7]]
AREA = {"type": "Polygon", "coordinates": [RING]}
LINE = {"type": "LineString", "coordinates": [[117.2, 31.8], [117.2, 31.81]]}


@pytest.fixture
def editor(connection: Connection) -> Iterator[Editor]:
    """Edits the town."""
    build(connection, NOW)
    yield Editor(connection, shipped_catalogue(), "engineer", NOW)
    connection.rollback()


def actions(editor: Editor, name: str) -> list[str]:
    return [line.action for line in editing.history(editor.connection, name=name)]


def test_the_role_of_the_api_may_do_every_edit_and_no_more(editor: Editor) -> None:
    connection = editor.connection
    connection.execute("SET LOCAL ROLE lifeline_api")
    pipe = {"network": "water", "kind": "pipe", "from": "W-C0", "to": "W-C2"}
    assert editor.put("assets", "NEW", pipe, LINE).action == "created"
    assert editor.patch("assets", "NEW", {"material": "pe"}).action == "changed"
    assert editor.put("zones", "Z", {"kind": "dma", "network": "water"}, AREA).action == "created"
    meter = {"device": "m", "channel": "flow", "network": "water", "asset": "NEW", "balance": "Z:in"}
    assert editor.put("sensors", "m/flow", meter, None).action == "created"
    assert editor.patch("sensors", "m/flow", {"balance": None}).changes == {"balance": ["Z:in", None]}
    with pytest.raises(ConflictError, match="m/flow measures it"):
        editor.remove("assets", "NEW")
    assert editor.remove("sensors", "m/flow").action == "removed"
    assert devices.remove_device(connection, "m", "engineer", NOW).action == "removed"
    assert editor.remove("zones", "Z").action == "removed"
    assert editor.remove("assets", "NEW").action == "removed"
    assert actions(editor, "NEW") == ["removed", "changed", "created"]
    with pytest.raises(Exception, match="permission denied"):
        connection.execute("DELETE FROM inventory_history")


FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "material": st.sampled_from(["pe", "steel", None]),
        "diameter_mm": st.sampled_from([110.0, 600.0, None]),
        "customers": st.integers(0, 100),
        "critical": st.booleans(),
        "street": st.sampled_from(["长江路", None]),
        "condition": st.sampled_from([1, 5, None]),
        "owner": st.sampled_from(["一公司", 7, None]),
    },
)


def test_history_tells_every_state_and_undoes_it(editor: Editor) -> None:
    @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(FIELDS, max_size=4))
    def undone(changes: list[dict[str, Any]]) -> None:
        with editor.connection.transaction(force_rollback=True):
            before = export.existing(editor.connection, "assets", "W-P0")
            edits = [editor.patch("assets", "W-P0", fields) for fields in changes]
            told = editing.history(editor.connection, what="asset", name="W-P0")
            assert [line.detail for line in reversed(told)] == [each.changes for each in edits if each.action]
            for line in told:
                editor.patch("assets", "W-P0", {name: was for name, (was, _) in line.detail.items()})
            after = export.existing(editor.connection, "assets", "W-P0")
            assert (after.values, after.geometry) == (before.values, before.geometry)

    editor.patch("assets", "W-P0", {"length_m": 900})  # where it was never measured, the first write measures it
    editor.connection.execute("ALTER TABLE inventory_history DISABLE TRIGGER ALL")
    editor.connection.execute("DELETE FROM inventory_history")
    undone()


def test_alerts_sees_that_an_asset_was_edited(editor: Editor) -> None:
    """An edit changes neither how many there are nor the highest number: history does."""
    connection = editor.connection
    first = window.fingerprint(connection)
    assert window.fingerprint(connection) == first
    editor.patch("assets", "G-C0", {"depth_m": 3.5})
    second = window.fingerprint(connection)
    assert second != first
    editor.patch("assets", "G-C0", {"depth_m": 3.5})
    assert window.fingerprint(connection) == second, "nothing has changed, and nothing is read again"
    zones.store_zones(connection, [Zone("Z", ZoneKind.DMA, AREA)], NOW)
    editor.patch("zones", "Z", {"name": "老城"})
    assert window.fingerprint(connection) != second


def test_risk_follows_an_edit(editor: Editor) -> None:
    def score(name: str) -> float | None:
        statement = "SELECT score FROM asset_risk JOIN asset USING (asset_id) WHERE external_id = %s"
        row = editor.connection.execute(statement, (name,)).fetchone()
        return row[0] if row else None

    before = score("W-P0")
    editor.patch("assets", "W-P0", {"material": "cast_iron", "install_year": 1955, "condition": 5})
    worse = score("W-P0")
    assert before is not None
    assert worse is not None
    assert worse > before


def test_a_part_of_a_chain_is_taken_out_from_its_end_and_put_back_from_its_start(editor: Editor) -> None:
    with pytest.raises(ConflictError, match="D-P1 ends at it"), editor.connection.transaction():
        editor.patch("assets", "D-C2", {"in_service": False})
    assert editor.patch("assets", "D-P1", {"in_service": False}).action == "retired"
    assert editor.patch("assets", "D-C2", {"in_service": False}).action == "retired"
    with (
        pytest.raises(ConflictError, match="ends at what is out of service: D-C2"),
        editor.connection.transaction(),
    ):
        editor.patch("assets", "D-P1", {"in_service": True})
    assert editor.patch("assets", "D-C2", {"in_service": True}).action == "changed"
    assert editor.patch("assets", "D-P1", {"in_service": True}).changes == {"in_service": [False, True]}
    assert editor.connection.execute("SELECT count(*) FROM asset_risk").fetchone() == (15,)


@pytest.mark.parametrize(
    ("statement", "word"),
    [
        (
            "INSERT INTO maintenance_window (asset_id, begins_at, created_by, created_at)"
            " SELECT asset_id, now(), 'x', now() FROM asset WHERE external_id = 'LONE'",
            "1 maintenance windows",
        ),
        (
            "INSERT INTO asset_break (asset_id, at, cause, external_id)"
            " SELECT asset_id, now(), 'frost', 'B1' FROM asset WHERE external_id = 'LONE'",
            "1 breaks",
        ),
    ],
)
def test_what_a_record_names_stays(statement: str, word: str, editor: Editor) -> None:
    editor.put("assets", "LONE", {"network": "gas", "kind": "valve"}, {"type": "Point", "coordinates": [117.2, 31.8]})
    editor.connection.execute(statement.encode())
    with pytest.raises(ConflictError, match=word):
        editor.remove("assets", "LONE")


def test_a_sensor_with_an_alert_stays_also_when_its_readings_are_gone(editor: Editor) -> None:
    connection = editor.connection
    (sensor_id,) = connection.execute(
        "SELECT sensor_id FROM sensor JOIN device USING (device_id) WHERE external_id = 'rtu-gas'"
    ).fetchone() or (0,)
    with pytest.raises(ConflictError, match="it has readings"):
        editor.remove("sensors", "rtu-gas/methane")
    open_alert(connection, sensor_id, now=NOW)
    connection.execute("DELETE FROM reading")
    with pytest.raises(ConflictError, match="1 alerts"):
        editor.remove("sensors", "rtu-gas/methane")
    assert editing.sensor_name(connection, sensor_id) == "rtu-gas/methane"


def test_pages_of_history_are_whole(editor: Editor) -> None:
    for number in range(5):
        later = Editor(editor.connection, editor.catalogue, "engineer", NOW + timedelta(minutes=number))
        later.patch("assets", "G-P0", {"name": f"{number}"})
    first = editing.history(editor.connection, limit=3)
    second = editing.history(editor.connection, limit=3, before=first[-1].history_id)
    assert [line.detail["name"][1] for line in first + second] == ["4", "3", "2", "1", "0"]
    assert [line.actor for line in first] == ["engineer"] * 3
    assert first[0].at == NOW + timedelta(minutes=4)
    assert editing.history(editor.connection, what="zone") == []


@pytest.mark.parametrize("what", ["assets", "sensors", "zones"])
def test_what_is_not_there_is_neither_changed_nor_removed(what: str, editor: Editor) -> None:
    with pytest.raises(NotFoundError):
        editor.patch(what, "none/there", {"name": "x"})
    with pytest.raises(NotFoundError):
        editor.remove(what, "none/there")


def test_every_mistake_of_an_edit_is_told_at_once(editor: Editor) -> None:
    with pytest.raises(ImportRejectedError) as refused:
        editor.patch("assets", "G-P0", {"diameter_mm": "wide", "install_year": 12, "condition": 9, "to": "nothing"})
    told = str(refused.value)
    assert all(word in told for word in ("diameter_mm", "install_year", "condition"))
    assert len(refused.value.problems) >= 3
