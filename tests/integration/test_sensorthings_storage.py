"""The entities of SensorThings as the database gives them, against the tables themselves."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from lifeline.catalogue import shipped_catalogue
from lifeline.errors import NotFoundError, RejectedDataError
from lifeline.storage.database import Connection, connect
from lifeline.storage.sensorthings import SETS, Query, count, find, one, quantities, related
from tests.integration.city import add_reading
from tests.integration.town import build, empty

KINDS = quantities(shipped_catalogue())
START = datetime(2026, 11, 21, 8, tzinfo=UTC)
EACH = 12


@pytest.fixture(scope="module")
def town(database_dsn: str) -> dict[str, int]:
    empty(database_dsn)
    with connect(database_dsn) as connection:
        ids = build(connection)
        connection.execute("DELETE FROM reading")
        for sensor in ids.values():
            for n in range(EACH):
                add_reading(connection, sensor, START + timedelta(minutes=n), sensor * 100 + n)
    return ids


@pytest.fixture
def db(database_dsn: str, town: dict[str, int]) -> Iterator[Connection]:
    with connect(database_dsn) as connection:
        yield connection
        connection.rollback()


@pytest.mark.parametrize(
    ("name", "counted"),
    [
        ("Things", "SELECT count(*) FROM device"),
        ("Datastreams", "SELECT count(*) FROM sensor"),
        ("Sensors", "SELECT count(*) FROM sensor"),
        ("Observations", "SELECT count(*) FROM reading"),
        ("FeaturesOfInterest", "SELECT count(DISTINCT asset_id) FROM sensor"),
        ("HistoricalLocations", "SELECT 0"),
    ],
)
def test_a_set_has_as_many_entities_as_there_are_rows(name: str, counted: str, db: Connection) -> None:
    row = db.execute(counted.encode()).fetchone()
    assert row is not None
    assert count(db, KINDS, name, Query()) == row[0]
    assert len(find(db, KINDS, name, Query(top=10_000))) == row[0]


@pytest.mark.parametrize("name", sorted(SETS))
def test_every_row_has_just_the_properties_that_the_set_names(name: str, db: Connection) -> None:
    known = SETS[name]
    leads = {link.ours for link in known.links.values() if link.ours.startswith("_")}
    for row in find(db, KINDS, name, Query(top=5)):
        assert {column for column in row if not column.startswith("_")} == set(known.properties)
        assert leads <= set(row)


@pytest.mark.parametrize("name", sorted(set(SETS) - {"HistoricalLocations"}))
def test_each_entity_is_found_by_its_id(name: str, db: Connection) -> None:
    for row in find(db, KINDS, name, Query(top=5)):
        assert one(db, KINDS, name, [("id", row["id"])]) == row


def test_top_is_exceeded_by_one_where_there_is_more(db: Connection, town: dict[str, int]) -> None:
    where = ("_datastream", town["gas"])
    assert len(find(db, KINDS, "Observations", Query(top=5), where)) == 6
    assert len(find(db, KINDS, "Observations", Query(top=EACH), where)) == EACH
    assert len(find(db, KINDS, "Observations", Query(top=5, skip=EACH - 2), where)) == 2


@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_an_order_is_kept_through_pages(direction: str, db: Connection) -> None:
    seen: list[float] = []
    for skip in range(0, 3 * EACH, 5):
        page = find(db, KINDS, "Observations", Query(orderby=f"result {direction}", top=5, skip=skip))
        seen += [row["result"] for row in page[:5]]
    assert seen == sorted(seen, reverse=direction == "desc")
    assert len(set(seen)) == 3 * EACH


def test_a_filter_counts_what_it_finds(db: Connection, town: dict[str, int]) -> None:
    middle = sorted(town.values())[1]
    asked = Query(filter=f"result ge {middle * 100} and result lt {middle * 100 + 4}")
    found = find(db, KINDS, "Observations", asked)
    assert {row["_datastream"] for row in found} == {middle}
    assert count(db, KINDS, "Observations", asked) == len(found) == 4


def test_each_parent_has_its_own_page_of_relations(db: Connection, town: dict[str, int]) -> None:
    link = SETS["Datastreams"].links["Observations"]
    found = related(db, KINDS, link, Query(top=3, orderby="phenomenonTime desc"), list(town.values()))
    assert set(found) == set(town.values())
    for sensor, rows in found.items():
        assert [row["result"] for row in rows] == [sensor * 100 + n for n in (11, 10, 9, 8)]


def test_a_relation_by_text_is_followed_as_well(db: Connection, town: dict[str, int]) -> None:
    link = SETS["ObservedProperties"].links["Datastreams"]
    found = related(db, KINDS, link, Query(), ["methane", "no such quantity"])
    assert {key: [row["id"] for row in rows] for key, rows in found.items()} == {"methane": [town["gas"]]}
    back = SETS["Datastreams"].links["ObservedProperty"]
    assert related(db, KINDS, back, Query(), ["methane"])["methane"][0]["name"].startswith("Methane")


def test_the_index_of_the_readings_serves_the_newest_of_a_stream(db: Connection, town: dict[str, int]) -> None:
    """One row is read for one row that is asked for, however many there are."""
    db.execute("SET LOCAL enable_seqscan = off")
    row = one(db, KINDS, "Observations", [("id", f"{town['gas']}-{int(START.timestamp()) * 1_000_000}")])
    assert row["result"] == town["gas"] * 100


@pytest.mark.parametrize("identity", ["x", "1", "1-", "-1", "1-x", "9999999999-1", "1-99999999999999999", "1-1"])
def test_what_is_no_observation_is_not_found(identity: str, db: Connection) -> None:
    with pytest.raises(NotFoundError):
        one(db, KINDS, "Observations", [("id", identity)])


def test_an_id_beyond_every_number_is_not_found(db: Connection) -> None:
    with pytest.raises(NotFoundError):
        one(db, KINDS, "Things", [("id", 2**70)])


def test_a_bad_filter_leaves_the_connection_usable(db: Connection) -> None:
    with pytest.raises(RejectedDataError):
        find(db, KINDS, "Things", Query(filter="name gt 5"))
    assert find(db, KINDS, "Things", Query(filter="name eq '%s %(x)s {} \\'")) == []


def test_a_device_stands_where_its_first_sensor_is(db: Connection) -> None:
    for row in find(db, KINDS, "Locations", Query()):
        assert row["location"]["type"] == "Point"
        assert all(isinstance(each, float) for each in row["location"]["coordinates"])
