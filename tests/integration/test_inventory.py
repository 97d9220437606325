"""Importing into the real database."""

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lifeline.catalogue import shipped_catalogue
from lifeline.errors import ImportRejectedError, NotFoundError
from lifeline.inventory import Entry
from lifeline.model import Asset, AssetKind, Sensor
from lifeline.risk import PART_NAMES
from lifeline.storage import inventory
from lifeline.storage.database import Connection

pytestmark = pytest.mark.usefixtures("clean_database")

NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)


def junction(name: str, longitude: float = 117.2, latitude: float = 31.8) -> Asset:
    return Asset(name, "water", AssetKind.JUNCTION, {"type": "Point", "coordinates": [longitude, latitude]})


def pipe(name: str, a: str | None, b: str | None, **rest: object) -> Asset:
    geometry = {"type": "LineString", "coordinates": [[117.2, 31.8], [117.21, 31.8]]}
    return Asset(name, "water", AssetKind.PIPE, geometry, from_asset=a, to_asset=b, **rest)  # type: ignore[arg-type]


def at_lines(*items: object) -> list[Entry]:  # type: ignore[type-arg]
    return [Entry(line, item) for line, item in enumerate(items, 2)]


TOWN = at_lines(junction("J1"), junction("J2", 117.21), pipe("P1", "J1", "J2", material="cast_iron", install_year=1970))


def heard(connection: Connection, device: str, channels: list[str], network: str = "water") -> None:
    connection.execute(
        "INSERT INTO unknown_device VALUES (%s, %s, %s, %s, %s, 7)", [network, device, channels, NOW, NOW]
    )


def test_a_second_import_of_the_same_file_changes_nothing(connection: Connection) -> None:
    assert inventory.store_assets(connection, TOWN, NOW) == inventory.Stored(new=3, changed=0, same=0)
    before = connection.execute("SELECT ctid, * FROM asset ORDER BY asset_id").fetchall()
    assert inventory.store_assets(connection, TOWN, NOW) == inventory.Stored(new=0, changed=0, same=3)
    assert connection.execute("SELECT ctid, * FROM asset ORDER BY asset_id").fetchall() == before


def test_a_changed_asset_is_updated_with_its_cells_and_its_risk(connection: Connection) -> None:
    inventory.store_assets(connection, TOWN, NOW)
    old = connection.execute("SELECT score FROM asset_risk NATURAL JOIN asset WHERE external_id = 'P1'").fetchone()
    moved = at_lines(pipe("P1", "J2", "J1", material="pe", install_year=2020))
    assert inventory.store_assets(connection, moved, NOW) == inventory.Stored(0, 1, 0)
    new = connection.execute("SELECT score FROM asset_risk NATURAL JOIN asset WHERE external_id = 'P1'").fetchone()
    assert old is not None
    assert new is not None
    assert new[0] < old[0]
    ends = connection.execute(
        "SELECT a.external_id, b.external_id FROM asset JOIN asset a ON a.asset_id = asset.from_asset "
        "JOIN asset b ON b.asset_id = asset.to_asset"
    ).fetchall()
    assert ends == [("J2", "J1")]


def test_the_lengths_in_the_cells_add_up_to_the_pipe(connection: Connection) -> None:
    inventory.store_assets(connection, TOWN, NOW)
    rows = connection.execute(
        "SELECT resolution, sum(asset_cell.length_m) FROM asset_cell NATURAL JOIN "
        "(SELECT asset_id FROM asset WHERE external_id = 'P1') AS p GROUP BY resolution ORDER BY resolution"
    ).fetchall()
    assert [resolution for resolution, _ in rows] == [8, 9, 10]
    assert [length for _, length in rows] == pytest.approx([945.0] * 3, rel=0.01)


def test_the_parts_of_a_standing_risk_add_up_to_its_score(connection: Connection) -> None:
    inventory.store_assets(connection, TOWN, NOW)
    for score, parts in connection.execute("SELECT score, parts FROM asset_risk"):
        assert sum(part["points"] for part in parts) == pytest.approx(score)
        assert {"mean", "material", "age"} <= {part["part"] for part in parts} <= set(PART_NAMES)


def test_a_pipe_that_ends_nowhere_is_rejected_with_its_line(connection: Connection) -> None:
    with pytest.raises(ImportRejectedError) as rejected:
        inventory.store_assets(connection, at_lines(junction("J1"), pipe("P1", "J1", "J9")), NOW)
    assert [(p.line, p.message) for p in rejected.value.problems] == [
        (3, "to 'J9' is neither in this file nor in the database")
    ]


def test_two_files_can_be_stored_in_one_transaction(connection: Connection) -> None:
    inventory.store_assets(connection, TOWN[:2], NOW)
    inventory.store_assets(connection, TOWN[2:], NOW)
    inventory.store_sensors(connection, at_lines(Sensor("d1", "water", "pressure", asset="J1")))
    inventory.store_sensors(connection, at_lines(Sensor("d2", "water", "pressure", asset="J2")))
    assert inventory.counts(connection) == [inventory.Count("water", 3, 2, 2)]


def test_empty_files_are_no_problem(connection: Connection) -> None:
    assert inventory.store_assets(connection, [], NOW) == inventory.Stored(0, 0, 0)
    assert inventory.store_sensors(connection, []) == inventory.Stored(0, 0, 0)


def test_sensors_bring_their_devices_and_gateways(connection: Connection) -> None:
    inventory.store_assets(connection, TOWN, NOW)
    file = at_lines(
        Sensor("d1", "water", "pressure", "J1", "one", 117.2, 31.8, "gw", {"max_silence_s": 60}),
        Sensor("d1", "water", "flow", gateway="gw"),
    )
    assert inventory.store_sensors(connection, file) == inventory.Stored(2, 0, 0)
    assert inventory.store_sensors(connection, file) == inventory.Stored(0, 0, 2)
    gateway = inventory.device_state(connection, "gw")
    assert gateway is not None
    assert gateway.network == "water"
    assert gateway.gateway is None
    flow, pressure = inventory.sensors(connection, device="d1")
    assert (flow.channel, flow.gateway, flow.asset) == ("flow", "gw", None)
    assert (pressure.channel, pressure.asset, pressure.max_silence_s) == ("pressure", "J1", 60)


def test_a_device_cannot_change_its_network(connection: Connection) -> None:
    inventory.store_sensors(connection, at_lines(Sensor("d1", "water", "pressure")))
    with pytest.raises(ImportRejectedError, match="line 2: device 'd1' would move to network 'gas'"):
        inventory.store_sensors(connection, at_lines(Sensor("d1", "gas", "methane")))


def test_a_sensor_on_an_unknown_asset_is_rejected_with_its_line(connection: Connection) -> None:
    with pytest.raises(ImportRejectedError, match="line 2: asset 'J9' is not in the database"):
        inventory.store_sensors(connection, at_lines(Sensor("d1", "water", "pressure", asset="J9")))


def test_adopting_takes_every_channel_that_was_heard_and_leaves_what_is_known(connection: Connection) -> None:
    inventory.store_assets(connection, TOWN, NOW)
    inventory.store_sensors(connection, at_lines(Sensor("d1", "water", "pressure", asset="J1", name="kept")))
    heard(connection, "d1", ["flow", "pressure"])
    assert inventory.adopt(connection, "d1", shipped_catalogue()) == ["flow"]
    assert inventory.unknown_devices(connection) == []
    _, pressure = inventory.sensors(connection, device="d1")
    assert (pressure.name, pressure.asset) == ("kept", "J1")


def test_a_channel_outside_the_catalogue_stays_listed(connection: Connection) -> None:
    heard(connection, "d1", ["flow", "mood"])
    assert inventory.adopt(connection, "d1", shipped_catalogue()) == ["flow"]
    assert [device.device for device in inventory.unknown_devices(connection)] == ["d1"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "no unknown device 'd1' was heard"),
        ([("water", ["mood"])], "none of its channels"),
        ([("water", ["flow"]), ("gas", ["methane"])], "several networks"),
    ],
)
def test_what_cannot_be_adopted_says_why(
    connection: Connection, rows: list[tuple[str, list[str]]], message: str
) -> None:
    for network, channels in rows:
        heard(connection, "d1", channels, network)
    with pytest.raises(NotFoundError, match=message):
        inventory.adopt(connection, "d1", shipped_catalogue())


def test_a_device_of_two_networks_is_adopted_in_the_one_that_is_named(connection: Connection) -> None:
    heard(connection, "d1", ["flow"])
    heard(connection, "d1", ["methane"], network="gas")
    assert inventory.adopt(connection, "d1", shipped_catalogue(), network="gas") == ["methane"]


def test_a_sensor_is_silent_after_its_own_or_its_quantitys_longest_silence(connection: Connection) -> None:
    catalogue = shipped_catalogue()
    file = at_lines(
        Sensor("quick", "water", "pressure", limits={"max_silence_s": 60}), Sensor("usual", "water", "pressure")
    )
    inventory.store_sensors(connection, file)
    quick, usual = inventory.sensors(connection)
    assert quick.silent(NOW, catalogue)
    assert usual.silent(NOW, catalogue)
    connection.execute("INSERT INTO sensor_state SELECT sensor_id, %s, 1, 0, %s FROM sensor", [NOW, NOW])
    quick, usual = inventory.sensors(connection)
    later = NOW + timedelta(seconds=90)
    assert quick.silent(later, catalogue)
    assert not usual.silent(later, catalogue)


def worked_s(process: int) -> float:
    """Seconds for which a processor has worked for it: the same on a machine that is busy with something else."""
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_twenty_thousand_assets_are_stored_in_seconds(connection: Connection) -> None:
    grid = [junction(f"J{i}", 117 + i % 320 * 0.001, 31 + i // 320 * 0.001) for i in range(20_000)]
    server = connection.info.backend_pid
    began = time.thread_time() + worked_s(server)
    assert inventory.store_assets(connection, at_lines(*grid), NOW).new == 20_000
    seconds = time.thread_time() + worked_s(server) - began
    assert seconds < 10, f"{seconds:.1f} s"
