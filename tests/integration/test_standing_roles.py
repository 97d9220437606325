"""Who may do what with the tables of standing risk."""

from itertools import product

import psycopg
import pytest

from lifeline.storage.database import Connection

pytestmark = pytest.mark.usefixtures("clean_database")

TABLES = ("asset_break", "asset_criticality", "deterioration", "stress_test")
READERS = ("lifeline_api", "lifeline_alerts", "lifeline_planning")


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("role", READERS)
def test_each_role_reads_what_it_shows_or_computes_with(connection: Connection, role: str, table: str) -> None:
    connection.execute(f"SET LOCAL ROLE {role}".encode())
    assert connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone() == (0,)


@pytest.mark.parametrize(
    ("role", "table"),
    [each for each in product(READERS, TABLES) if each != ("lifeline_api", "asset_criticality")],
)
def test_no_process_deletes_from_them_but_the_api_with_an_asset(connection: Connection, role: str, table: str) -> None:
    connection.execute(f"SET LOCAL ROLE {role}".encode())
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(f"DELETE FROM {table}".encode())


@pytest.mark.parametrize("role", ["lifeline_api", "lifeline_alerts"])
def test_a_calibration_is_not_for_those_who_only_show_it(connection: Connection, role: str) -> None:
    connection.execute(f"SET LOCAL ROLE {role}".encode())
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(
            "INSERT INTO deterioration (fitted_at, fitted_by, breaks, content) VALUES (now(), 'x', 0, '{}')"
        )


def test_ingest_has_no_business_with_them(connection: Connection) -> None:
    connection.execute("SET LOCAL ROLE lifeline_ingest")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("SELECT count(*) FROM asset_break")


@pytest.mark.parametrize(
    ("column", "value"), [("loss", 1.5), ("loss", -0.1), ("customers_lost", -1), ("critical_lost", -1)]
)
def test_a_loss_out_of_its_range_is_not_stored(connection: Connection, column: str, value: float) -> None:
    values = {"loss": 0.5, "customers_lost": 1, "critical_lost": 0} | {column: value}
    with pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(
            "INSERT INTO asset_criticality (asset_id, loss, customers_lost, critical_lost, method, computed_at) "
            "VALUES (1, %(loss)s, %(customers_lost)s, %(critical_lost)s, 'graph', now())",
            values,
        )
