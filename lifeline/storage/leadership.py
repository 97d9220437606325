"""Of several processes one works: it holds an advisory lock on a connection of its own.

The lock goes with the connection: a process that is killed frees it at once, and another takes over. Should two ever
believe that they lead, nothing is doubled: alerts change by compare-and-set and a unique index holds one open alert.
"""

from contextlib import suppress

from lifeline.errors import StorageError
from lifeline.storage.database import Connection, open_connection, storage_errors


class Leadership:
    """One process's claim to lead. Not for several threads at once."""

    def __init__(self, dsn: str, *, key: int, application: str) -> None:
        self._dsn, self._key, self._application = dsn, key, application
        self._connection: Connection | None = None
        self._leads = False

    def held(self) -> bool:
        """Whether this process leads now; takes the lead where nobody has it. Raises StorageUnavailableError."""
        try:
            with storage_errors():
                connection = self._connection = self._connection or self._connect()
                if self._leads:
                    connection.execute("SELECT 1")
                else:
                    row = connection.execute("SELECT pg_try_advisory_lock(%s)", [self._key]).fetchone()
                    self._leads = bool(row and row[0])
        except StorageError:
            self.release()
            raise
        return self._leads

    def release(self) -> None:
        """Let another lead."""
        connection, led = self._connection, self._leads
        self._connection, self._leads = None, False
        if connection is not None:
            if led:  # the server frees the lock of a closed connection only a moment later
                with suppress(StorageError), storage_errors():
                    connection.execute("SELECT pg_advisory_unlock(%s)", [self._key])
            connection.close()

    def _connect(self) -> Connection:
        connection = open_connection(self._dsn, application=self._application, autocommit=True)
        # Where the machine of a leader is gone without a word, the server notices in about 20 s and frees the lock.
        connection.execute(
            "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 3; SET tcp_keepalives_count = 3"
        )
        return connection
