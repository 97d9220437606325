"""The inventory as rows by the names that its files have: what `lifeline import` would take to make it again."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from lifeline.errors import NotFoundError
from lifeline.exchange.rows import Row
from lifeline.exchange.writers import COLUMNS, singular
from lifeline.geo import Box
from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.queries import load

_SQL = load("export")

KINDS = ("assets", "sensors", "zones", "facilities")
_AT_A_TIME = 2000


def rows(
    connection: Connection, what: str, *, network: str | None = None, box: Box | None = None, name: str | None = None
) -> Iterator[Row]:
    """Rows of ``what`` (one of KINDS) in the order of their entry, in a transaction; geometry in WGS 84.

    They come from one statement by a cursor of the server: the state of one moment, however many there are.
    """
    values = {"network": network, "name": name, **dict(zip(Box._fields, box or (None,) * 4, strict=True))}
    with storage_errors(), connection.cursor(name="lifeline_export") as cursor:
        cursor.itersize = _AT_A_TIME
        cursor.execute(_SQL[what], values)
        for number, found in enumerate(cursor, 1):
            yield _MAKERS[what](number, found)


def one(connection: Connection, what: str, name: str) -> Row | None:
    """One asset, sensor (``device/channel``) or zone by its name, or None."""
    return next(iter(list(rows(connection, what, name=name))), None)


def existing(connection: Connection, what: str, name: str) -> Row:
    """The same. Raises NotFoundError."""
    found = one(connection, what, name)
    if found is None:
        raise NotFoundError(f"there is no {singular(what)} {name!r}")
    return found


def count(connection: Connection, what: str, network: str | None = None) -> int:
    """How many rows there are at most."""
    with storage_errors():
        found = connection.execute(_SQL["count"], {"network": network}).fetchone()
    return int(dict(zip(KINDS, found or (), strict=True))[what])


def _thing(what: str) -> Callable[[int, Sequence[Any]], Row]:
    names = tuple(COLUMNS[what])
    return lambda number, found: Row(number, dict(zip(names, found[:-1], strict=True)), found[-1])


def _sensor(number: int, found: Sequence[Any]) -> Row:
    device, network, channel, asset, name, gateway, limits, balance, in_service, longitude, latitude = found
    low, high = limits.get("range", (None, None))
    values = {
        "device": device,
        "network": network,
        "channel": channel,
        "asset": asset,
        "name": name,
        "gateway": gateway,
    }
    values |= {"low": low, "high": high, "max_silence_s": limits.get("max_silence_s")}
    values |= {"balance": balance, "in_service": in_service}
    place = None if longitude is None else {"type": "Point", "coordinates": [longitude, latitude]}
    return Row(number, values, place)


_MAKERS = {"assets": _thing("assets"), "sensors": _sensor, "zones": _thing("zones"), "facilities": _thing("facilities")}
