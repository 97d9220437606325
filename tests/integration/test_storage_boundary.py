"""The edge to the database: columns in binary form, who leads, endpoints, addresses, and what a role cannot do."""

import math
import threading
from datetime import timedelta

import numpy as np
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from lifeline.errors import (
    ConfigurationError,
    ConflictError,
    NotFoundError,
    RejectedDataError,
    StorageError,
    StorageUnavailableError,
)
from lifeline.model import AlertKind, Level, Quality
from lifeline.storage import changes, endpoints, window
from lifeline.storage.columns import Column, array_bytes, reading_block, register_columns
from lifeline.storage.database import Connection, borrow, connect, open_pool, storage_errors
from lifeline.storage.leadership import Leadership
from lifeline.storage.roles import ROLES, dsn_as, place_of
from tests.integration.city import NOON, add_device, add_reading, add_sensor, set_status

NOON_US = int(NOON.timestamp()) * 1_000_000

# ---------------------------------------------------------------------------------------------------------- columns


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("int2", [-(2**15), -1, 0, 2**15 - 1]),
        ("int4", [-(2**31), 0, 2**31 - 1]),
        ("int8", [-(2**63), 0, 2**63 - 1]),
        ("float8", [0.0, -0.0, 1.5, -1e308, 5e-324, math.inf, -math.inf]),
        ("int4", []),
    ],
)
def test_a_column_reaches_the_database_as_it_is(kind: str, values: list[float], connection: Connection) -> None:
    register_columns(connection)
    column = Column(np.array(values, dtype="f8" if kind == "float8" else "i8"), kind)
    row = connection.execute("SELECT array_agg(v) FROM unnest(%s) AS v", [column]).fetchone()
    assert row == (values or None,)


def test_moments_reach_the_database_to_the_microsecond(connection: Connection) -> None:
    register_columns(connection)
    wanted = [NOON, NOON + timedelta(microseconds=1), NOON.replace(year=1970), NOON.replace(year=2199)]
    at = np.array([round((each - NOON) / timedelta(microseconds=1)) + NOON_US for each in wanted])
    row = connection.execute("SELECT array_agg(v) FROM unnest(%s) AS v", [Column(at, "timestamptz")]).fetchone()
    assert row == (wanted,)


@given(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=50))
def test_an_array_in_binary_form_has_a_head_and_eight_bytes_a_number(values: list[int]) -> None:
    data = array_bytes(Column(np.array(values, dtype="i4"), "int4"))
    assert len(data) == 20 + 8 * len(values)
    assert np.frombuffer(data, ">i4", offset=20)[1::2].tolist() == values


@pytest.mark.usefixtures("clean_database")
def test_a_block_of_readings_is_what_copy_takes(connection: Connection) -> None:
    values = [0.0, -1.5, 1e300]
    block = reading_block(
        np.array([1, 2, 3]), NOON_US + np.arange(3), np.array(values), np.array([0, 1, 3], dtype=np.int16)
    )
    with connection.cursor() as cursor, cursor.copy("COPY reading FROM STDIN (FORMAT binary)") as copy:
        copy.write(block)
    found = connection.execute("SELECT sensor_id, ts, value, quality FROM reading ORDER BY sensor_id").fetchall()
    assert found == [
        (n + 1, NOON + timedelta(microseconds=n), value, quality)
        for n, (value, quality) in enumerate(zip(values, (0, 1, 3), strict=True))
    ]


# -------------------------------------------------------------------------------------------------------- leadership


def test_of_two_one_leads_and_the_other_takes_over_when_it_lets_go(database_dsn: str) -> None:
    first, second = (Leadership(database_dsn, key=4711, application=name) for name in ("first", "second"))
    assert first.held()
    assert first.held(), "and goes on leading"
    assert not second.held()
    first.release()
    assert second.held()
    assert not first.held()
    second.release()
    first.release()


def test_a_leader_whose_connection_is_cut_leads_no_more_and_says_so(database_dsn: str) -> None:
    first, second = (Leadership(database_dsn, key=4712, application=name) for name in ("cut-off", "second"))
    assert first.held()
    with connect(database_dsn, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'cut-off'")
    with pytest.raises(StorageUnavailableError):
        first.held()
    assert second.held()
    assert not first.held(), "it asks anew, and another leads now"
    second.release()
    first.release()


def test_who_leads_one_thing_does_not_lead_another(database_dsn: str) -> None:
    first, second = (Leadership(database_dsn, key=key, application="x") for key in (4713, 4714))
    assert first.held()
    assert second.held()
    first.release()
    second.release()


def test_a_leader_of_a_database_that_is_not_there_says_so() -> None:
    with pytest.raises(StorageUnavailableError):
        Leadership("postgresql://u:p@127.0.0.1:1/d", key=1, application="x").held()


# --------------------------------------------------------------------------------------------------- errors, addresses


def test_the_drivers_errors_become_ours_by_what_can_be_done_about_them(connection: Connection) -> None:
    for statement, kind in {
        "SELECT 1/0": RejectedDataError,
        "INSERT INTO api_key (name, digest, role, created_at) VALUES ('x', '', 'king', now())": RejectedDataError,
        "SELECT no_such_column": StorageError,
        "SET LOCAL statement_timeout = '1ms'; SELECT pg_sleep(1)": StorageUnavailableError,
    }.items():
        with pytest.raises(StorageError) as raised, storage_errors(), connection.transaction():
            connection.execute(statement.encode())
        assert type(raised.value) is kind, statement


def test_a_pool_without_a_free_connection_says_so_in_time(database_dsn: str) -> None:
    pool = open_pool(database_dsn, application="small", size=1, timeout_s=0.3)
    pool.wait(60)  # the first connection may take longer than that to be made
    with borrow(pool), pytest.raises(StorageUnavailableError), borrow(pool):
        pass
    pool.close()


def test_what_fails_in_a_borrowed_connection_is_undone_and_the_connection_is_fit_again(database_dsn: str) -> None:
    pool = open_pool(database_dsn, application="undone", size=1, timeout_s=60)
    with pytest.raises(StorageError), borrow(pool) as connection:  # noqa: PT012
        connection.execute("CREATE TABLE half_done (a integer)")
        connection.execute("SELECT 1/0")
    with borrow(pool) as connection:
        assert connection.execute("SELECT to_regclass('half_done')").fetchone() == (None,)
        assert connection.execute("SHOW TimeZone").fetchone() == ("UTC",)
    pool.close()


@given(
    user=st.sampled_from(sorted(ROLES.values())),
    password=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30),
)
def test_any_password_survives_in_an_address_and_changes_nothing_else(user: str, password: str) -> None:
    parts = conninfo_to_dict(dsn_as("postgresql://owner:secret@db.example:5433/city?sslmode=require", user, password))
    assert (parts["user"], parts["password"]) == (user, password)
    assert (parts["host"], parts["port"], parts["dbname"], parts["sslmode"]) == (
        "db.example",
        "5433",
        "city",
        "require",
    )


def test_the_place_of_a_database_is_told_without_its_log_in() -> None:
    assert place_of("postgresql://owner:hunter2@db.example:5433/city") == "db.example:5433/city"
    assert place_of("host=db dbname=city user=u password=hunter2") == "db:5432/city"
    with pytest.raises(ConfigurationError) as told:
        place_of("hunter2 is no address")
    assert "LIFELINE_DATABASE_URL cannot be read" in str(told.value)


# --------------------------------------------------------------------------------------------------- changes, window


@given(
    st.text(max_size=40) | st.sampled_from(['{"what": "alert"}', '{"what": 1}', "[]", "null", '{"what": ["alert"]}'])
)
def test_a_notice_says_one_known_thing_or_may_mean_any(payload: str) -> None:
    told = changes.words(payload)
    assert told == changes.EVERYTHING or (len(told) == 1 and told < changes.EVERYTHING)


def test_a_listener_that_is_cut_off_hears_everything_when_it_is_back(database_dsn: str) -> None:
    stop = threading.Event()
    heard = changes.listen(database_dsn, stop, application="ear")
    assert next(heard) == changes.EVERYTHING
    with connect(database_dsn, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ear'")
    assert next(each for each in heard if each) == changes.EVERYTHING
    stop.set()
    assert list(heard) == []


@pytest.mark.usefixtures("clean_database")
def test_the_window_holds_good_readings_after_its_lower_end_up_to_its_upper(connection: Connection) -> None:
    sensor = add_sensor(connection, add_device(connection, "rtu"))
    low, high = NOON.timestamp() - 60, NOON.timestamp()
    for seconds in (61, 60, 59, 0, -1):
        add_reading(connection, sensor, NOON - timedelta(seconds=seconds), float(seconds))
    for seconds, quality in ((30, Quality.BACKLOG), (31, Quality.IMPLAUSIBLE)):
        add_reading(connection, sensor, NOON - timedelta(seconds=seconds), 999.0, quality=int(quality))
    found = window.readings_between(connection, low, high)
    assert sorted(found.value.tolist()) == [0.0, 59.0]
    assert sorted(found.ts.tolist()) == [high - 59, high]
    newer = window.readings_of(connection, [sensor], [high - 59.5], low)
    assert sorted(newer.value.tolist()) == [-1.0, 0.0, 59.0]
    assert window.readings_of(connection, [sensor], [0.0], high).value.tolist() == [-1.0], "the floor holds for all"


@pytest.mark.usefixtures("clean_database")
def test_an_empty_window_is_empty_columns_and_no_failure(connection: Connection) -> None:
    assert window.readings_between(connection, 0, 1e9).value.shape == (0,)
    assert window.readings_of(connection, [], [], 0).ts.shape == (0,)
    assert window.states(connection).sensor_id.shape == (0,)
    assert window.sensors(connection) == window.devices(connection) == []


@pytest.mark.usefixtures("clean_database")
def test_the_fingerprint_changes_with_the_inventory_and_not_with_readings(connection: Connection) -> None:
    device = add_device(connection, "rtu")
    sensor = add_sensor(connection, device)
    seen = [window.fingerprint(connection)]
    add_reading(connection, sensor, NOON, 1.0)
    set_status(connection, device, "online", NOON)
    assert window.fingerprint(connection) == seen[0]
    connection.commit()  # a row that a transaction changed twice has one version
    for statement in ("UPDATE sensor SET in_service = false", "UPDATE device SET gateway_id = NULL"):
        connection.execute(statement.encode())
        connection.commit()
        assert window.fingerprint(connection) not in seen
        seen.append(window.fingerprint(connection))


# --------------------------------------------------------------------------------------------------------- endpoints


@pytest.mark.usefixtures("clean_database")
def test_an_endpoint_is_listed_with_what_it_asks_for_and_never_with_its_secret(connection: Connection) -> None:
    secret = endpoints.add(
        connection,
        "crew",
        "https://x.example/h",
        NOON,
        networks=["gas"],
        kinds=[AlertKind.RISK],
        worst_level=Level.ORANGE,
    )
    assert secret.startswith("whsec_")
    (found,) = endpoints.list_endpoints(connection)
    assert (found.networks, found.kinds, found.worst_level, found.enabled) == (("gas",), (AlertKind.RISK,), 2, True)
    assert (found.delivered, found.pending, found.failed) == (0, 0, 0)
    assert secret not in repr(found)
    assert endpoints.add(connection, "other", "https://x.example/h", NOON) != secret


@pytest.mark.usefixtures("clean_database")
def test_an_endpoint_is_switched_off_with_a_reason_and_on_without(connection: Connection) -> None:
    endpoints.add(connection, "crew", "https://x.example/h", NOON)
    endpoints.disable(connection, "crew", "too slow")
    assert [(e.enabled, e.disabled_reason) for e in endpoints.list_endpoints(connection)] == [(False, "too slow")]
    endpoints.enable(connection, "crew")
    assert [(e.enabled, e.disabled_reason) for e in endpoints.list_endpoints(connection)] == [(True, "")]
    with pytest.raises(ConflictError, match="'crew' already"):
        endpoints.add(connection, "crew", "https://x.example/h", NOON)
    for act in (lambda: endpoints.enable(connection, "no"), lambda: endpoints.disable(connection, "no", "")):
        with pytest.raises(NotFoundError, match="'no'"):
            act()


# ------------------------------------------------------------------------------------------------ out of one's role

ESCAPES = [
    "COPY (SELECT 1) TO PROGRAM 'id'",
    "COPY reading TO '/tmp/out'",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_ls_dir('/')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT rolpassword FROM pg_authid",
    "SELECT passwd FROM pg_shadow",
    "ALTER SYSTEM SET log_statement = 'all'",
    "SET ROLE lifeline",
    "SET SESSION AUTHORIZATION lifeline",
    "CREATE ROLE mine SUPERUSER",
    "GRANT lifeline_ingest TO CURRENT_USER",
    "CREATE SCHEMA mine",
    "CREATE FUNCTION public.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT NULL'",
    "CREATE EXTENSION dblink",
    "CREATE OR REPLACE FUNCTION drop_old_readings(before timestamptz) RETURNS bigint LANGUAGE sql AS 'SELECT 1'",
    "ALTER TABLE alert_history DISABLE TRIGGER ALL",
    "SET session_replication_role = 'replica'",
    "DROP TRIGGER alert_history_append_only ON alert_history",
    "UPDATE _timescaledb_catalog.hypertable SET table_name = 'x'",
    "SELECT pg_reload_conf()",
]


@pytest.mark.parametrize("statement", ESCAPES, ids=[each[:45] for each in ESCAPES])
def test_no_process_gets_out_of_its_role(statement: str, connection: Connection, database_dsn: str) -> None:
    """By a log-in of its own, as a process that was taken over would: `SET ROLE` proves less."""
    for role in ROLES.values():
        connection.execute(sql.SQL("ALTER ROLE {} LOGIN PASSWORD 'of-this-test'").format(sql.Identifier(role)))
    connection.commit()
    for role in ROLES.values():
        with (
            psycopg.connect(dsn_as(database_dsn, role, "of-this-test"), autocommit=True) as taken,
            pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidParameterValue)),
        ):
            taken.execute(statement.encode())


def test_chunks_are_no_way_round_the_rights_of_their_table(connection: Connection) -> None:
    """A chunk is a table of its own, in a schema of TimescaleDB's."""
    add_reading(connection, add_sensor(connection, add_device(connection, "chunk-rtu")), NOON, 1.0)
    (chunk,) = connection.execute("SELECT show_chunks('reading')::text LIMIT 1").fetchone() or ("",)
    for role in ROLES.values():
        for statement in (f"UPDATE {chunk} SET value = 0", f"DELETE FROM {chunk}", f"DROP TABLE {chunk}"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():  # noqa: PT012
                connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
                connection.execute(statement.encode())
