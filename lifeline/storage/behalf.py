"""Connections that work on somebody's behalf: what changes is noted as his, and he sees his part of the city alone.

The one place at which a scope is put on: whoever borrows from this pool cannot forget it, and whatever is asked runs
under the database's own row policies (docs/decisions/0009-scopes-in-the-database.md).
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

import orjson
import psycopg

from lifeline.principal import WHOLE, Kind, Scope
from lifeline.storage.database import Connection, Pool, storage_errors
from lifeline.storage.keys import as_list
from lifeline.storage.queries import load

_SQL = load("behalf")


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changes something, from where, by which request, when."""

    name: str
    kind: Kind
    at: datetime
    address: str = ""
    request: str = ""


@dataclass(frozen=True, slots=True)
class PoolOnBehalf:
    """Another pool's connections, lent on somebody's behalf."""

    pool: Pool
    actor: Actor | None
    scope: Scope = WHOLE

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection as the pool lends it; what was set is taken back before anybody else gets it."""
        connection = self.pool.getconn()
        try:
            _begin(connection, self.actor, self.scope)
            with connection:
                yield connection
        finally:
            _end(connection)
            self.pool.putconn(connection)


def sign(connection: Connection, actor: Actor) -> None:
    """What follows on this connection is noted as the actor's."""
    said = {"name": actor.name, "kind": actor.kind, "at": actor.at, "address": actor.address, "request": actor.request}
    with storage_errors():
        connection.execute(_SQL["act"], {"actor": orjson.dumps(said).decode()})


@contextmanager
def beyond(connection: Connection) -> Iterator[None]:
    """Past the policies of a connection that is held to a scope, within one transaction; whoever uses it checks what
    came of it under them (lifeline/storage/part.py). Where the block raises, the roll-back takes it off."""
    with storage_errors():
        connection.execute(_SQL["own_role"])
        yield
        connection.execute(_SQL["scoped_role"])


def _begin(connection: Connection, actor: Actor | None, scope: Scope) -> None:
    if actor is not None:
        sign(connection, actor)
    if not scope.whole:
        connection.execute(_SQL["limit"], {"networks": as_list(scope.networks), "zones": as_list(scope.zones)})
        connection.execute(_SQL["scoped_role"])
    connection.commit()  # or a roll-back of what follows would take the scope off


def _end(connection: Connection) -> None:
    with suppress(psycopg.Error):
        connection.rollback()
        connection.execute(_SQL["own_role"])
        connection.execute(_SQL["nobody"])
        connection.commit()
        return
    connection.close()  # never lent again with what was set on it
