"""Empties the database between tests.

To truncate eighty tables with their indexes takes a fifth of a second, a thousand times in a run; few of them hold
anything, and what they hold is a few rows. So what is filled is deleted; a table that a test made large is truncated.
"""

import atexit
import time

import psycopg

_EMPTY = """
DO $$
DECLARE
    noun regclass;
    filled boolean;
    nouns regclass[] := (
        SELECT array_agg(format('%I', tablename)::regclass) FROM pg_tables
        WHERE schemaname = 'public' AND tablename <> 'schema_migration'
    );
    listed text := (SELECT string_agg(each::text, ', ') FROM unnest(nouns) AS each);
BEGIN
    -- Whoever still writes, as a process of the test before that is about to end, is waited for.
    EXECUTE format('LOCK TABLE %s IN EXCLUSIVE MODE', listed);
    -- Of a large table many dead rows would stay, and slow down the tests that follow.
    IF EXISTS (SELECT FROM unnest(nouns) AS each WHERE pg_relation_size(each) > 1048576) THEN
        EXECUTE format('TRUNCATE %s RESTART IDENTITY CASCADE', listed);
        RETURN;
    END IF;
    SET LOCAL session_replication_role = replica;  -- no trigger fires, nor does truncating fire one
    FOR noun IN SELECT format('%I', hypertable_name)::regclass FROM timescaledb_information.hypertables LOOP
        IF EXISTS (SELECT FROM show_chunks(noun)) THEN
            EXECUTE format('TRUNCATE %s', noun);
        END IF;
    END LOOP;
    FOREACH noun IN ARRAY nouns LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %s)', noun) INTO filled;
        IF filled THEN
            EXECUTE format('DELETE FROM %s', noun);
        END IF;
    END LOOP;
    FOR noun IN
        SELECT format('%I', sequencename)::regclass FROM pg_sequences
        WHERE schemaname = 'public' AND last_value IS NOT NULL
    LOOP
        EXECUTE format('ALTER SEQUENCE %s RESTART', noun);
    END LOOP;
END $$
"""


_OWNERS: dict[str, psycopg.Connection] = {}
_PATIENCE_S = 60.0
_YIELDS = "-c lock_timeout=500ms"
"""Less than the second after which PostgreSQL ends one of a dead-lock: this one ends, never the process under test."""


def _owner(dsn: str) -> psycopg.Connection:
    """A connection that stays: a new one must first learn what the tables are, which takes longer than the rest."""
    if dsn not in _OWNERS:
        _OWNERS[dsn] = psycopg.connect(dsn, autocommit=True, application_name="emptying", options=_YIELDS)
        atexit.register(_OWNERS[dsn].close)
    return _OWNERS[dsn]


def empty(dsn: str) -> None:
    """Empty every table and begin its numbers anew, also while processes use them or after the database was killed."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            _owner(dsn).execute(_EMPTY)
            return
        except psycopg.OperationalError as error:  # somebody holds a lock, or the connection was lost
            if time.monotonic() > deadline:
                raise
            if not isinstance(error, psycopg.errors.LockNotAvailable) and (lost := _OWNERS.pop(dsn, None)):
                lost.close()
