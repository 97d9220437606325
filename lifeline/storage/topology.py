"""What lies up- and downstream of an asset.

A drain runs from `from` to `to`. Under pressure the direction is not drawn but found: upstream is what can feed the
asset, both ways as far as the sources; downstream is what hangs on it alone and is without service while it is shut.
"""

from typing import Literal, NamedTuple

from lifeline.errors import NotFoundError
from lifeline.risk.reach import DIRECTED, SOURCE_KINDS
from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.queries import load

_SQL = load("topology")

Direction = Literal["upstream", "downstream"]
MOST = 10_000
"""Assets of an answer."""
_EVERYTHING = 10_000_000


class Neighbour(NamedTuple):
    """An asset on the way."""

    external_id: str
    kind: str
    in_service: bool


class Way(NamedTuple):
    """Assets in the order in which they are reached, the asset itself left out; ``truncated``: there are more."""

    assets: list[Neighbour]
    truncated: bool


def way(connection: Connection, name: str, direction: Direction, limit: int = MOST) -> Way:
    """What lies up- or downstream of an asset. Raises NotFoundError.

    In a part of a network that no other source reaches everything hangs on the asset and is downstream.
    """
    with storage_errors():
        start = connection.execute(_SQL["start"], {"name": name}).fetchone()
        if start is None:
            raise NotFoundError(f"there is no asset {name!r}")
        number, network = start
        if network in DIRECTED:
            found = _reached(connection, direction, number, [], limit + 2)
        else:
            found = _under_pressure(connection, direction, number, str(network), limit + 2)
    return Way(found[:limit], len(found) > limit)


def _reached(connection: Connection, statement: str, number: int, sources: list[str], limit: int) -> list[Neighbour]:
    values = {"id": number, "limit": limit, "sources": sources}
    return [Neighbour(*row) for row in connection.execute(_SQL[statement], values)]


def _under_pressure(
    connection: Connection, direction: Direction, number: int, network: str, limit: int
) -> list[Neighbour]:
    sources = list(SOURCE_KINDS.get(network, ()))
    values = {"id": number, "network": network, "sources": sources}
    fed = {name for (name,) in connection.execute(_SQL["fed_otherwise"], values)}
    found = _reached(connection, "feeding", number, sources, _EVERYTHING)
    return [each for each in found if (each.external_id in fed) == (direction == "upstream")][:limit]
