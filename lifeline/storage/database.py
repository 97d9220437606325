"""Connections, and the one boundary at which the driver's errors become Lifeline's."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from lifeline.errors import ConflictError, NotFoundError, RejectedDataError, StorageError, StorageUnavailableError

Connection = psycopg.Connection[Any]
Pool = ConnectionPool[Connection]


class Lender(Protocol):
    """What lends connections: a pool, or a pool on somebody's behalf."""

    def connection(self) -> AbstractContextManager[Connection]:
        """A connection, committed when the block ends well and given back in any case."""


@contextmanager
def storage_errors() -> Iterator[None]:
    """Turn the driver's errors into StorageUnavailableError (try again), Conflict-, RejectedData- or StorageError."""
    try:
        yield
    except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout) as error:
        raise StorageUnavailableError(str(error).strip() or type(error).__name__) from error
    except psycopg.errors.InsufficientPrivilege as error:
        if "row-level security" in str(error):
            raise NotFoundError("this names something that is not there") from error
        raise StorageError(str(error).strip()) from error
    except (psycopg.errors.UniqueViolation, psycopg.errors.ExclusionViolation) as error:
        raise ConflictError(str(error).strip()) from error
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        raise RejectedDataError(str(error).strip()) from error
    except psycopg.Error as error:
        raise StorageError(str(error).strip()) from error


@contextmanager
def connect(dsn: str, *, application: str = "lifeline", autocommit: bool = False) -> Iterator[Connection]:
    """A connection in UTC, closed at the end; committed when the block ends well."""
    with storage_errors(), open_connection(dsn, application=application, autocommit=autocommit) as connection:
        yield connection


def open_connection(dsn: str, *, application: str = "lifeline", autocommit: bool = False) -> Connection:
    """A connection in UTC that the caller closes. Raises psycopg's errors: wrap in storage_errors()."""
    return psycopg.connect(
        dsn,
        autocommit=autocommit,
        application_name=application,
        options="-c TimeZone=UTC",
        connect_timeout=10,
    )


def open_pool(dsn: str, *, application: str, size: int = 4, timeout_s: float = 10) -> Pool:
    """A pool that tests its connections, so that a restarted database is noticed before a statement is lost."""
    return ConnectionPool(
        dsn,
        kwargs={"application_name": application, "options": "-c TimeZone=UTC", "connect_timeout": 10},
        min_size=1,
        max_size=size,
        timeout=timeout_s,
        check=ConnectionPool.check_connection,
        name=application,
        open=True,
    )


@contextmanager
def borrow(pool: Lender) -> Iterator[Connection]:
    """A connection of the pool; committed when the block ends well. Raises StorageError and its kinds alone."""
    with storage_errors(), pool.connection() as connection:
        yield connection
