"""A database for one benchmark."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lifeline.embedded import Database
from lifeline.storage.migrations import migrate


@contextmanager
def scratch_database() -> Iterator[Database]:
    """A database with its schema and without fsync, in a folder of its own; both are gone at the end."""
    with tempfile.TemporaryDirectory(prefix="lifeline-bench-") as folder:
        Path(folder).chmod(0o711)  # the database runs as another user
        with Database(Path(folder), fsync=False) as database:
            migrate(database.dsn)
            yield database
