"""Zones in the real database: what lies in them is kept with every write."""

from datetime import UTC, datetime
from typing import Any

import pytest

from lifeline.errors import ImportRejectedError, NotFoundError
from lifeline.inventory import Entry
from lifeline.model import Asset, AssetKind, Sensor, Zone, ZoneKind, ZoneStatus
from lifeline.storage import inventory, zones
from lifeline.storage.database import Connection
from lifeline.storage.inventory import Stored

pytestmark = pytest.mark.usefixtures("clean_database")

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)


def square(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def zone(name: str, west: float, east: float, kind: ZoneKind = ZoneKind.DMA, **rest: Any) -> Zone:
    return Zone(name, kind, square(west, 31.0, east, 32.0), **rest)


def pipe(name: str, west: float, east: float, network: str = "water", **rest: Any) -> Asset:
    line = {"type": "LineString", "coordinates": [[west, 31.5], [east, 31.5]]}
    return Asset(name, network, AssetKind.PIPE, line, **rest)


def store(connection: Connection, *assets: Asset) -> Stored:
    return inventory.store_assets(connection, [Entry(n, asset) for n, asset in enumerate(assets, 1)], NOW)


def store_sensors(connection: Connection, *sensors: Sensor) -> Stored:
    return inventory.store_sensors(connection, [Entry(n, sensor) for n, sensor in enumerate(sensors, 1)])


HALVES = [zone("west", 117.0, 117.5), zone("east", 117.5, 118.0)]


def test_a_pipe_lies_in_two_zones_by_its_share_of_length(connection: Connection) -> None:
    zones.store_zones(connection, HALVES, NOW)
    store(connection, pipe("P1", 117.3, 117.6, length_m=3000.0))
    assert zones.zones_of(connection, "P1") == pytest.approx({"west": 2 / 3, "east": 1 / 3})
    west, _ = zones.zones(connection)
    assert (west.assets, west.length_m) == (1, pytest.approx(2000))


def test_it_makes_no_difference_whether_zones_or_assets_came_first(connection: Connection) -> None:
    store(connection, pipe("P1", 117.3, 117.6), pipe("P2", 117.6, 117.7), pipe("P3", 110.0, 110.1))
    zones.store_zones(connection, HALVES, NOW)
    first = [zones.assets_of(connection, name) for name in ("west", "east")]
    connection.rollback()
    zones.store_zones(connection, HALVES, NOW)
    store(connection, pipe("P1", 117.3, 117.6), pipe("P2", 117.6, 117.7), pipe("P3", 110.0, 110.1))
    assert [zones.assets_of(connection, name) for name in ("west", "east")] == first
    assert first == [pytest.approx({"P1": 2 / 3}), pytest.approx({"P1": 1 / 3, "P2": 1.0})]


def test_a_zone_holds_only_its_own_network_and_one_without_a_network_holds_all(connection: Connection) -> None:
    zones.store_zones(connection, [zone("w", 117, 118, network="water"), zone("all", 117, 118)], NOW)
    store(connection, pipe("W", 117.1, 117.2), pipe("G", 117.1, 117.2, "gas"))
    assert zones.assets_of(connection, "w") == {"W": 1.0}
    assert zones.assets_of(connection, "all") == {"W": 1.0, "G": 1.0}


def test_storing_the_same_zones_again_changes_nothing(connection: Connection) -> None:
    assert zones.store_zones(connection, HALVES, NOW) == Stored(2, 0, 0)
    assert zones.store_zones(connection, HALVES, NOW) == Stored(0, 0, 2)
    moved = [zone("west", 117.0, 117.4), HALVES[1]]
    assert zones.store_zones(connection, moved, NOW) == Stored(0, 1, 1)


def test_a_zone_that_moved_and_a_pipe_that_moved_are_placed_again(connection: Connection) -> None:
    zones.store_zones(connection, HALVES, NOW)
    store(connection, pipe("P1", 117.1, 117.2))
    zones.store_zones(connection, [zone("west", 117.0, 117.15)], NOW)
    assert zones.zones_of(connection, "P1") == pytest.approx({"west": 0.5})
    store(connection, pipe("P1", 117.8, 117.9))
    assert zones.zones_of(connection, "P1") == {"east": 1.0}


def test_a_rejected_zone_and_an_asset_out_of_service_take_no_part(connection: Connection) -> None:
    zones.store_zones(connection, [zone("no", 117, 118, status=ZoneStatus.REJECTED), zone("yes", 117, 118)], NOW)
    store(connection, pipe("P1", 117.1, 117.2), pipe("P2", 117.1, 117.2, in_service=False))
    assert zones.assets_of(connection, "no") == {}
    assert zones.assets_of(connection, "yes") == {"P1": 1.0}
    left = connection.execute("SELECT count(*) FROM asset_cell NATURAL JOIN asset WHERE NOT in_service").fetchone()
    assert left == (0,)


def test_an_import_that_does_not_say_leaves_what_is_out_of_service_out(connection: Connection) -> None:
    store(connection, pipe("P1", 117.1, 117.2, in_service=False))
    assert store(connection, pipe("P1", 117.1, 117.2)) == Stored(0, 0, 1)
    assert store(connection, pipe("P1", 117.1, 117.2, in_service=True)) == Stored(0, 1, 0)


def test_a_record_that_names_its_dma_is_believed_before_the_polygon_and_only_for_dmas(connection: Connection) -> None:
    store(connection, pipe("P1", 117.1, 117.2, attributes={"zone": "east"}))
    zones.store_zones(connection, [*HALVES, zone("D1", 117, 118, ZoneKind.DISTRICT)], NOW)
    assert zones.zones_of(connection, "P1") == {"east": 1.0, "D1": 1.0}
    store_sensors(connection, Sensor("d1", "water", "flow", asset="P1"))
    assert [line.sensors for line in zones.zones(connection)] == [0, 1, 1]


def test_sensors_are_placed_where_they_or_their_assets_stand(connection: Connection) -> None:
    zones.store_zones(connection, HALVES, NOW)
    store(connection, pipe("P1", 117.8, 117.9))
    store_sensors(
        connection,
        Sensor("d1", "water", "pressure", asset="P1"),
        Sensor("d2", "water", "pressure", longitude=117.1, latitude=31.5),
        Sensor("d3", "water", "pressure"),
    )
    assert {line.external_id: line.sensors for line in zones.zones(connection)} == {"west": 1, "east": 1}
    store(connection, pipe("P1", 117.2, 117.3))
    assert {line.external_id: line.sensors for line in zones.zones(connection)} == {"west": 2, "east": 0}


def test_a_meter_takes_part_in_the_balance_of_two_zones_and_can_leave_one(connection: Connection) -> None:
    zones.store_zones(connection, HALVES, NOW)
    meter = Sensor("m1", "water", "flow", balance={"west": -1, "east": 1})
    assert store_sensors(connection, meter) == Stored(1, 0, 0)
    assert store_sensors(connection, meter) == Stored(0, 0, 1)
    assert [line.balance for line in zones.zones(connection)] == [{"m1/flow": -1}, {"m1/flow": 1}]
    assert store_sensors(connection, Sensor("m1", "water", "flow")) == Stored(0, 0, 1)
    assert store_sensors(connection, Sensor("m1", "water", "flow", balance={"west": 1})) == Stored(0, 1, 0)
    assert [line.balance for line in zones.zones(connection)] == [{"m1/flow": 1}, {}]


def test_a_balance_of_a_zone_that_is_not_there_is_rejected_with_its_line(connection: Connection) -> None:
    with pytest.raises(ImportRejectedError, match="line 1: zone 'nowhere' in balance is not in the database"):
        store_sensors(connection, Sensor("m1", "water", "flow", balance={"nowhere": 1}))


def test_zones_are_listed_page_by_page_and_by_kind_network_status_and_box(connection: Connection) -> None:
    several = [
        zone("a", 117.0, 117.1),
        zone("b", 117.2, 117.3, ZoneKind.RENEWAL, network="gas"),
        zone("c", 117.4, 117.5, ZoneKind.RENEWAL, status=ZoneStatus.SUGGESTED),
    ]
    zones.store_zones(connection, several, NOW)

    def names(**wanted: Any) -> list[str]:
        return [line.external_id for line in zones.zones(connection, **wanted)]

    assert names() == ["a", "b", "c"]
    first = zones.zones(connection, limit=2)
    assert names(after=first[-1].zone_id) == ["c"]
    assert names(kind=ZoneKind.RENEWAL) == ["b", "c"]
    assert names(network="water") == ["a", "c"]
    assert names(status=ZoneStatus.SUGGESTED) == ["c"]
    assert names(box=(117.15, 31.0, 117.25, 31.1)) == ["b"]
    with pytest.raises(NotFoundError, match="no zone 'z'"):
        zones.zone(connection, "z")
