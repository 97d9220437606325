"""What empties the database between tests stands back for the processes under test."""

import threading
import time

import pytest

from lifeline.storage.database import Connection
from tests.api_process import until
from tests.emptying import empty

pytestmark = pytest.mark.usefixtures("clean_database")

_LOCKS = """
SELECT relation::regclass::text FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE application_name = 'emptying' AND locktype = 'relation' AND mode = 'ExclusiveLock' AND granted = %s
"""


def locks(connection: Connection, granted: bool) -> set[str]:
    return {name for (name,) in connection.execute(_LOCKS, [granted])}


def test_a_process_that_wants_what_the_emptying_holds_goes_on_and_the_emptying_comes_after_it(
    database_dsn: str, connection: Connection
) -> None:
    connection.execute("INSERT INTO login_failure VALUES ('somebody', 1, now())")
    emptying = threading.Thread(target=empty, args=[database_dsn], daemon=True)
    emptying.start()
    until(lambda: locks(connection, granted=False) == {"login_failure"}, "the emptying waits for this transaction")
    held: set[str] = set()
    until(lambda: held.update(locks(connection, granted=True)) or held, "it holds others meanwhile")
    time.sleep(1.2)  # whoever waits looks once, after a second, whether there is a dead-lock
    for name in held:
        connection.execute(f"LOCK TABLE {name} IN ROW EXCLUSIVE MODE")
    assert emptying.is_alive()
    connection.commit()
    emptying.join(60)
    assert not emptying.is_alive()
    assert connection.execute("SELECT count(*) FROM login_failure").fetchone() == (0,)
