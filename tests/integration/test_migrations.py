"""Migrations and what each role may do, on the real database."""

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from lifeline.errors import MigrationError
from lifeline.storage import migrations
from lifeline.storage.database import Connection
from lifeline.storage.migrations import Migration, migrate


@pytest.fixture
def fresh(database_dsn: str) -> Iterator[str]:
    """The DSN of an empty database of its own."""
    name = f"migrations_{secrets.token_hex(4)}"
    with psycopg.connect(database_dsn, autocommit=True) as owner:
        owner.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield make_conninfo(database_dsn, dbname=name)
        owner.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def tables(dsn: str) -> set[str]:
    with psycopg.connect(dsn) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    return {name for (name,) in rows}


def test_migrating_twice_does_nothing_the_second_time(fresh: str) -> None:
    assert migrate(fresh) == [migration.name for migration in migrations.shipped()]
    before = tables(fresh)
    assert migrate(fresh) == []
    assert tables(fresh) == before


def test_of_two_at_once_one_applies_and_the_other_finds_it_done(fresh: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(migrate, [fresh, fresh]))
    assert sorted(done, key=len) == [[], [migration.name for migration in migrations.shipped()]]


def test_a_newer_database_is_refused_and_the_message_says_to_upgrade(fresh: str) -> None:
    migrate(fresh)
    with psycopg.connect(fresh) as connection:
        connection.execute("INSERT INTO schema_migration (number, name) VALUES (9999, '9999_from_the_future')")
    with pytest.raises(MigrationError, match=r"\[9999\].*upgrade Lifeline"):
        migrate(fresh)


def test_a_migration_that_fails_leaves_nothing_of_itself_or_of_those_before_it(
    fresh: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Migration(9998, "9998_broken", "CREATE TABLE half_done (a integer); SELECT 1 / 0;")
    monkeypatch.setattr(migrations, "shipped", lambda real=migrations.shipped: [*real(), broken])
    with pytest.raises(MigrationError, match="9998_broken: division by zero"):
        migrate(fresh)
    assert tables(fresh) == set()
    monkeypatch.undo()
    assert migrate(fresh)


def test_what_is_pending_is_known_before_and_after(fresh: str) -> None:
    with psycopg.connect(fresh) as connection:
        assert migrations.applied(connection) == set()
        assert migrations.pending(connection) == migrations.shipped()
    migrate(fresh)
    with psycopg.connect(fresh) as connection:
        assert migrations.pending(connection) == []


def test_numbers_of_migrations_are_unique_and_without_a_gap() -> None:
    numbers = [migration.number for migration in migrations.shipped()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_role_with_a_password_logs_in_and_a_later_call_changes_it(fresh: str) -> None:
    for password in ("first'; --", "second"):
        migrate(fresh, {"lifeline_api": password})
        login = make_conninfo(fresh, user="lifeline_api", password=password)
        with psycopg.connect(login) as connection:
            assert connection.execute("SELECT current_user").fetchone() == ("lifeline_api",)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(make_conninfo(fresh, user="lifeline_api", password="first'; --"))


def test_no_role_is_superuser_or_owns_a_table(connection: Connection) -> None:
    rows = connection.execute(
        "SELECT rolname FROM pg_roles WHERE rolname LIKE 'lifeline\\_%' AND "
        "(rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls OR rolreplication)"
    ).fetchall()
    owned = connection.execute(
        "SELECT tablename, tableowner FROM pg_tables WHERE schemaname = 'public' AND tableowner LIKE 'lifeline\\_%'"
    ).fetchall()
    assert rows == owned == []


READ = "SELECT * FROM {} LIMIT 0"
NEW_ALERT = (
    "INSERT INTO alert (subject_kind, subject_id, rule, rule_version, kind, network, level, state, first_seen,"
    " raised_at, updated_at) VALUES ('sensor', 1, 'r', '1', 'risk', 'gas', 1, 'UNACK', now(), now(), now())"
)
INGEST, ALERTS, API, PLANNING = "lifeline_ingest", "lifeline_alerts", "lifeline_api", "lifeline_planning"
GRAFANA = "lifeline_grafana"
EVERYONE = {INGEST, ALERTS, API, PLANNING}

# statement -> the roles that may; every other role is refused.
RIGHTS: list[tuple[str, set[str]]] = [
    (READ.format("sensor"), EVERYONE | {GRAFANA}),
    (READ.format("reading"), EVERYONE | {GRAFANA}),
    (READ.format("reading_15m"), {ALERTS, API, PLANNING, GRAFANA}),
    (READ.format("alert"), {ALERTS, API, PLANNING, GRAFANA}),
    (READ.format("api_key"), {API}),
    (READ.format("endpoint"), {ALERTS}),
    (READ.format("report"), {ALERTS, API}),
    ("SELECT report_id, category, state FROM report", {ALERTS, API, GRAFANA}),
    ("SELECT text FROM report", {ALERTS, API}),
    ("UPDATE report SET text = ''", set()),
    ("DELETE FROM report", set()),
    ("UPDATE report_photo SET content = ''", set()),
    ("SELECT payload FROM quarantine", EVERYONE),
    ("SELECT received_at, reason FROM quarantine", EVERYONE | {GRAFANA}),
    ("SELECT body FROM outbox", {ALERTS, API}),
    ("SELECT secret FROM endpoint", {ALERTS}),
    ("SELECT name, url, enabled FROM endpoint", {ALERTS, API}),
    ("INSERT INTO reading VALUES (1, now(), 1, 0)", {INGEST}),
    ("INSERT INTO rollup_note VALUES ('2026-01-01T00:00Z', 0)", {INGEST}),
    ("UPDATE reading SET value = 0", set()),
    ("DELETE FROM reading", set()),
    ("TRUNCATE reading", set()),
    ("SELECT drop_old_readings('1990-01-01T00:00Z')", {ALERTS}),
    ("SELECT drop_chunks('reading', older_than => '1990-01-01T00:00Z'::timestamptz)", set()),
    ("DELETE FROM rollup_note", {ALERTS}),
    ("UPDATE ingest_account SET received = received", {INGEST}),
    ("UPDATE retention_account SET removed = 0", {ALERTS}),
    ("INSERT INTO heartbeat VALUES ('p', 'i', now())", EVERYONE),
    ("DELETE FROM heartbeat", set()),
    (
        "INSERT INTO quarantine (received_at, topic, payload, reason, digest) VALUES (now(), 't', '', 'too_old', '')",
        {INGEST},
    ),
    ("DELETE FROM quarantine", {ALERTS}),
    ("UPDATE quarantine SET topic = ''", set()),
    (NEW_ALERT, {ALERTS}),
    ("UPDATE alert SET state = 'ACKED'", {ALERTS, API}),
    ("DELETE FROM alert", set()),
    (
        "INSERT INTO alert_history (alert_id, at, actor, action, to_state, to_level)"
        " VALUES (1, now(), 'a', 'raised', 'UNACK', 1)",
        {ALERTS, API},
    ),
    ("UPDATE alert_history SET actor = 'nobody'", set()),
    ("DELETE FROM alert_history", set()),
    ("TRUNCATE alert_history", set()),
    ("INSERT INTO outbox (message_id, event_type, created_at, body) VALUES ('m', 'e', now(), '{}')", {ALERTS, API}),
    ("DELETE FROM outbox", set()),
    ("UPDATE endpoint SET enabled = false, disabled_reason = 'gone'", {ALERTS, API}),
    ("UPDATE endpoint SET url = 'http://elsewhere'", {API}),
    ("UPDATE endpoint SET secret = 'whsec_mine'", set()),
    ("SELECT secret FROM endpoint_secret", {ALERTS}),
    ("SELECT rotate_secret('none', 'whsec_new', now(), now())", {API}),
    ("UPDATE alert SET rule = 'r', kind = 'maintenance', subject_id = 2", {ALERTS}),
    ("UPDATE alert SET incident_id = NULL", {ALERTS}),
    ("UPDATE incident SET level = 4", {ALERTS}),
    (READ.format("rule"), {ALERTS, API}),
    ("DELETE FROM rule", {ALERTS}),
    ("DELETE FROM rule_override", {API}),
    ("UPDATE rule_proposal SET state = 'accepted', decided_by = 'me'", {API}),
    ("UPDATE rule_proposal SET effect = '{}'", {ALERTS, API}),
    ("UPDATE rule_change SET actor = 'nobody'", set()),
    ("DELETE FROM rule_change", set()),
    ("DELETE FROM precision_report", {ALERTS}),
    ("INSERT INTO api_key (name, digest, role, created_at) VALUES ('k', '', 'admin', now())", {API}),
    ("UPDATE api_key SET digest = ''", set()),
    ("DELETE FROM api_key", set()),
    (READ.format("app_user"), {API}),
    (READ.format("session"), {API}),
    (READ.format("audit"), {API}),
    ("DELETE FROM app_user", set()),
    (
        "INSERT INTO audit (at, actor, actor_kind, action, what, id) VALUES (now(), 'a', 'key', 'insert', 't', '1')",
        set(),
    ),
    ("DELETE FROM audit", set()),
    ("SELECT share_rights()", set()),
    ("UPDATE api_key SET role = 'admin'", set()),
    ("UPDATE api_key SET last_used_at = now()", {API}),
    ("UPDATE sensor SET name = 'n'", {API}),
    ("DELETE FROM asset", {API}),
    ("DELETE FROM zone", {API}),
    ("UPDATE asset SET customers = 0", {API}),
    (READ.format("zone_asset"), EVERYONE - {INGEST} | {GRAFANA}),
    (READ.format("network_model"), EVERYONE - {INGEST}),
    ("UPDATE inventory_history SET actor = 'nobody'", set()),
    ("INSERT INTO job (kind, parameters, requested_by, requested_at) VALUES ('k', '{}', 'me', now())", {API, PLANNING}),
    ("UPDATE job SET state = 'cancelled', cancelled_by = 'me', finished_at = now()", {API, PLANNING}),
    ("UPDATE job SET result = '{}'", {PLANNING}),
    ("DELETE FROM job", set()),
    (READ.format("outbox"), {ALERTS, API}),
    ("UPDATE asset_risk SET score = 0", {ALERTS, PLANNING, API}),
    ("CREATE TABLE mine (a integer)", set()),
    ("INSERT INTO schema_migration (number, name) VALUES (2, 'x')", set()),
]


@pytest.mark.usefixtures("clean_database")
@pytest.mark.parametrize(("statement", "allowed"), RIGHTS, ids=[statement[:60] for statement, _ in RIGHTS])
def test_each_role_can_do_what_its_process_needs_and_no_more(
    connection: Connection, statement: str, allowed: set[str]
) -> None:
    connection.execute(NEW_ALERT.replace("'sensor', 1", "'sensor', 2"))
    for role in sorted(EVERYONE | {GRAFANA}):
        try:
            with connection.transaction():
                connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
                connection.execute(statement.encode())
                raise psycopg.Rollback
        except psycopg.errors.InsufficientPrivilege:
            assert role not in allowed, f"{role} must be able to"
        else:
            assert role in allowed, f"{role} must not be able to"


@pytest.mark.usefixtures("clean_database")
@pytest.mark.parametrize("statement", [b"UPDATE alert_history SET actor = 'x'", b"DELETE FROM alert_history"])
def test_not_even_the_owner_changes_history(connection: Connection, statement: bytes) -> None:
    connection.execute(NEW_ALERT)
    connection.execute(
        "INSERT INTO alert_history (alert_id, at, actor, action, to_state, to_level)"
        " VALUES (1, now(), 'a', 'raised', 'UNACK', 1)"
    )
    with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"):
        connection.execute(statement)


def test_a_function_of_our_schema_cannot_be_led_astray_by_a_search_path(connection: Connection) -> None:
    unsafe = connection.execute(
        "SELECT proname FROM pg_proc WHERE prosecdef AND pronamespace = 'public'::regnamespace AND NOT EXISTS"
        " (SELECT FROM unnest(proconfig) setting WHERE setting LIKE 'search_path=%')"
    ).fetchall()
    assert unsafe == []


def test_an_owner_who_is_no_superuser_migrates_where_the_extension_and_the_roles_are_there(
    fresh: str, database_dsn: str
) -> None:
    owner = f"owner_{secrets.token_hex(4)}"
    name = sql.Identifier(str(conninfo_to_dict(fresh)["dbname"]))
    with psycopg.connect(database_dsn, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'x'").format(sql.Identifier(owner)))
        admin.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(name, sql.Identifier(owner)))
    with psycopg.connect(fresh, autocommit=True) as admin:
        admin.execute("CREATE EXTENSION timescaledb")
    try:
        own = make_conninfo(fresh, user=owner, password="x")
        assert migrate(own)
        with psycopg.connect(own) as connection:
            connection.execute("INSERT INTO reading VALUES (1, '2020-01-01T00:00Z', 1, 0)")
            assert connection.execute("SELECT drop_old_readings('2021-01-01T00:00Z')").fetchone() == (1,)
    finally:
        with psycopg.connect(fresh, autocommit=True) as admin:
            admin.execute(sql.SQL("ALTER DATABASE {} OWNER TO CURRENT_USER").format(name))
            admin.execute(sql.SQL("REASSIGN OWNED BY {} TO CURRENT_USER").format(sql.Identifier(owner)))
            admin.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(owner)))
            admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(owner)))
