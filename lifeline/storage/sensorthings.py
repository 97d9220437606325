"""The entities of OGC SensorThings 1.1 as views of the tables: devices, sensors, quantities, readings, assets.

An entity set is a statement of ``sql/sensorthings.sql``; a column whose name begins with ``_`` leads to another entity
and is not shown. What a request asks of a set (``Query``) becomes conditions around that statement.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from psycopg import sql
from psycopg.rows import dict_row

from lifeline.catalogue import Catalogue
from lifeline.errors import NotFoundError
from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.odata import Field, Values, condition, order
from lifeline.storage.queries import load

_SQL = load("sensorthings")
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Link:
    """A way from one set to another: rows of ``target`` whose ``theirs`` equals our ``ours``."""

    target: str
    many: bool
    theirs: str
    ours: str


@dataclass(frozen=True, slots=True)
class EntitySet:
    """One kind of entity: what its properties hold, where its links lead, and its order."""

    name: str
    properties: dict[str, str]
    links: dict[str, Link]
    order: tuple[str, ...] = ("id",)
    text_id: bool = False

    @property
    def fields(self) -> dict[str, Field]:
        """What a filter may name: the properties, and the ids of what a single link leads to."""
        own = {name: Field(name, kind) for name, kind in self.properties.items()}
        linked = {
            f"{name}/id": Field(link.ours, "text" if SETS[link.target].text_id else "number")
            for name, link in self.links.items()
            if not link.many
        }
        return own | linked


_NAMED = {"id": "number", "name": "text", "description": "text"}
SETS = {
    each.name: each
    for each in (
        EntitySet(
            "Things",
            {**_NAMED, "properties": "json"},
            {
                "Datastreams": Link("Datastreams", True, "_thing", "id"),
                "Locations": Link("Locations", True, "_thing", "id"),
                "HistoricalLocations": Link("HistoricalLocations", True, "_thing", "id"),
            },
        ),
        EntitySet(
            "Locations",
            {**_NAMED, "encodingType": "text", "location": "json"},
            {
                "Things": Link("Things", True, "id", "_thing"),
                "HistoricalLocations": Link("HistoricalLocations", True, "_location", "id"),
            },
        ),
        EntitySet(
            "HistoricalLocations",
            {"id": "number", "time": "time"},
            {"Thing": Link("Things", False, "id", "_thing"), "Locations": Link("Locations", True, "id", "_location")},
        ),
        EntitySet(
            "Datastreams",
            {**_NAMED, "unitOfMeasurement": "json", "observationType": "text", "properties": "json"},
            {
                "Thing": Link("Things", False, "id", "_thing"),
                "Sensor": Link("Sensors", False, "id", "_sensor"),
                "ObservedProperty": Link("ObservedProperties", False, "id", "_property"),
                "Observations": Link("Observations", True, "_datastream", "id"),
            },
        ),
        EntitySet(
            "Sensors",
            {**_NAMED, "encodingType": "text", "metadata": "json"},
            {"Datastreams": Link("Datastreams", True, "_sensor", "id")},
        ),
        EntitySet(
            "ObservedProperties",
            {**_NAMED, "id": "text", "definition": "text"},
            {"Datastreams": Link("Datastreams", True, "_property", "id")},
            text_id=True,
        ),
        EntitySet(
            "Observations",
            {"id": "text", "phenomenonTime": "time", "resultTime": "time", "result": "number", "resultQuality": "text"},
            {
                "Datastream": Link("Datastreams", False, "id", "_datastream"),
                "FeatureOfInterest": Link("FeaturesOfInterest", False, "id", "_feature"),
            },
            order=("_datastream", "phenomenonTime"),
            text_id=True,
        ),
        EntitySet(
            "FeaturesOfInterest",
            {**_NAMED, "encodingType": "text", "feature": "json", "properties": "json"},
            {"Observations": Link("Observations", True, "_feature", "id")},
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked of a set: OData's options of the same names."""

    filter: str | None = None
    orderby: str | None = None
    top: int = 100
    skip: int = 0
    select: tuple[str, ...] = ()
    expand: dict[str, "Query"] = field(default_factory=dict)
    count: bool = False


def quantities(catalogue: Catalogue) -> str:
    """The catalogue as the statements take it."""
    return orjson.dumps(
        [
            {
                "id": each.key,
                "name": f"{each.en} {each.zh}",
                "unit": each.unit,
                "description": f"{each.en}, {each.unit}",
            }
            for each in catalogue.quantities.values()
        ]
    ).decode()


def find(
    connection: Connection, kinds: str, name: str, query: Query, where: tuple[str, Any] | None = None
) -> list[Row]:
    """Rows of a set, one more than ``query.top`` where there are more. ``where``: a column and its value.

    Raises RejectedDataError for a filter or an order that makes no sense.
    """
    known, values = SETS[name], Values(quantities=kinds)
    statement = sql.SQL("SELECT * FROM ({}) e WHERE {} ORDER BY {} LIMIT {} OFFSET {}").format(
        sql.SQL(_SQL[name]),
        _conditions(known, query, where, values),
        _order(known, query.orderby),
        values.add(query.top + 1),
        values.add(query.skip),
    )
    return _rows(connection, statement, values)


def one(connection: Connection, kinds: str, name: str, where: Sequence[tuple[str, Any]]) -> Row:
    """The row that meets all conditions. Raises NotFoundError."""
    values = Values(quantities=kinds)
    conditions = sql.SQL(" AND ").join([_equals(SETS[name], *each, values) for each in where])
    statement = sql.SQL("SELECT * FROM ({}) e WHERE {} LIMIT 1").format(sql.SQL(_SQL[name]), conditions)
    found = _rows(connection, statement, values)
    if not found:
        raise NotFoundError(f"there is no such entity in {name}")
    return found[0]


def count(connection: Connection, kinds: str, name: str, query: Query, where: tuple[str, Any] | None = None) -> int:
    """How many rows there are without ``top`` and ``skip``."""
    known, values = SETS[name], Values(quantities=kinds)
    statement = sql.SQL("SELECT count(*) AS n FROM ({}) e WHERE {}").format(
        sql.SQL(_SQL[name]), _conditions(known, query, where, values)
    )
    return int(_rows(connection, statement, values)[0]["n"])


def related(
    connection: Connection, kinds: str, link: Link, query: Query, parents: Sequence[Any]
) -> dict[Any, list[Row]]:
    """For each of ``parents`` the rows that the link leads to, one more than ``query.top`` where there are more."""
    target, values = SETS[link.target], Values(quantities=kinds)
    text = link.theirs == "_property" or (target.text_id and link.theirs == "id")
    statement = sql.SQL(
        "SELECT p.value AS _parent, c.* FROM unnest({}::{}[]) AS p (value) CROSS JOIN LATERAL"
        " (SELECT * FROM ({}) e WHERE e.{} = p.value AND {} ORDER BY {} LIMIT {} OFFSET {}) c"
    ).format(
        values.add(list(parents)),
        sql.SQL("text" if text else "bigint"),
        sql.SQL(_SQL[link.target]),
        sql.Identifier(link.theirs),
        _conditions(target, query, None, values),
        _order(target, query.orderby),
        values.add(query.top + 1),
        values.add(query.skip),
    )
    found: dict[Any, list[Row]] = {}
    for row in _rows(connection, statement, values):
        found.setdefault(row.pop("_parent"), []).append(row)
    return found


def _rows(connection: Connection, statement: sql.Composed, values: Values) -> list[Row]:
    with storage_errors(), connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(_SQL["settings"])
        found: list[Row] = cursor.execute(statement, values.by_name).fetchall()
        return found


def _conditions(known: EntitySet, query: Query, where: tuple[str, Any] | None, values: Values) -> sql.Composable:
    found = [condition(query.filter, known.fields, values)] if query.filter else []
    if where is not None:
        found.append(_equals(known, *where, values))
    return sql.SQL(" AND ").join(found) if found else sql.SQL("TRUE")


def _order(known: EntitySet, text: str | None) -> sql.Composable:
    asked = order(text, known.fields) if text else []
    return sql.SQL(", ").join([*asked, *(sql.SQL("e.{}").format(sql.Identifier(name)) for name in known.order)])


def _equals(known: EntitySet, column: str, value: Any, values: Values) -> sql.Composable:
    """An observation's id is taken apart, so that the index of the readings is used."""
    if known.name == "Observations" and column == "id":
        sensor, ts = _observation(str(value))
        return sql.SQL("e._datastream = {} AND e.{} = {}").format(
            values.add(sensor), sql.Identifier("phenomenonTime"), values.add(ts)
        )
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise NotFoundError(f"there is no {value} in {known.name}")
    return sql.SQL("e.{} = {}").format(sql.Identifier(column), values.add(value))


def _observation(text: str) -> tuple[int, datetime]:
    """Sensor and time of an observation's id. Raises NotFoundError for a text that is none."""
    sensor, _, micros = text.partition("-")
    if not (sensor.isdecimal() and micros.isdecimal() and len(sensor) < 10 and len(micros) < 17):
        raise NotFoundError(f"there is no observation {text!r}")
    return int(sensor), datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(micros))
