"""A private TimescaleDB: started, crashed, recovered, and closed to others."""

import os
from pathlib import Path

import psycopg
import pytest

from lifeline.embedded import Database, processes, unpack
from lifeline.errors import ServiceError
from tests.api_process import soonest


def test_a_second_unpacking_needs_no_network_and_no_time(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert soonest(unpack, 1) == programs


def test_a_second_start_is_fast_on_the_same_port_with_the_same_data(service_home: Path) -> None:
    with Database(service_home) as database:
        address = database.dsn
        with psycopg.connect(address) as connection:
            connection.execute("CREATE EXTENSION timescaledb")
            connection.execute("CREATE TABLE kept AS SELECT 7 AS n")

    def end_and_start() -> Database:
        database.stop()
        database.start()
        return database

    with Database(service_home) as database:
        assert soonest(end_and_start, 3).dsn == address, "usually 0.2 s"
        with psycopg.connect(address) as connection:
            assert connection.execute("SELECT n FROM kept").fetchone() == (7,)
            assert connection.execute("SHOW timescaledb.license").fetchone() == ("apache",)


def test_what_was_committed_survives_sigkill_of_every_process(service_home: Path) -> None:
    with Database(service_home) as database, psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (n integer)")
        for n in range(3):
            with psycopg.connect(database.dsn, autocommit=True) as writer:
                writer.execute("INSERT INTO kept VALUES (%s)", [n])
            database.kill()
            assert processes.running_in(database.data) == []
            database.start()
        with psycopg.connect(database.dsn) as reader:
            assert reader.execute("SELECT array_agg(n ORDER BY n) FROM kept").fetchone() == ([0, 1, 2],)


def test_a_pid_file_that_names_a_living_stranger_does_not_stop_the_start(service_home: Path) -> None:
    database = Database(service_home, fsync=False)
    with database:
        database.kill()
        pid_file = database.data / "postmaster.pid"
        rest = pid_file.read_text().split("\n", 1)[1]
        pid_file.write_text(f"{os.getpid()}\n{rest}")
        database.start()
        with psycopg.connect(database.dsn) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_left_overs_of_a_crashed_owner_are_stopped_by_the_next_start(service_home: Path) -> None:
    crashed = Database(service_home, fsync=False)
    crashed.start()
    assert crashed._owned is not None
    crashed._owned.close()  # what the kernel does for an owner that was killed
    with Database(service_home, fsync=False) as database:
        assert database.pid != crashed.pid
        assert crashed._process is not None
        assert crashed._process.wait(120) != 0


def test_two_owners_of_one_home_are_refused(service_home: Path) -> None:
    with (
        Database(service_home, fsync=False) as database,
        pytest.raises(ServiceError, match=f"in use by another Lifeline .process {os.getpid()}"),
    ):
        Database(service_home).start()
    assert processes.running_in(database.data) == []


def test_nobody_connects_without_the_password(embedded: object, database_dsn: str) -> None:
    right = psycopg.conninfo.conninfo_to_dict(database_dsn)
    for password in ("wrong", ""):
        wrong = psycopg.conninfo.make_conninfo(**{**right, "password": password})
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(wrong)


def test_other_users_of_the_machine_cannot_read_the_folder(service_home: Path) -> None:
    with Database(service_home, fsync=False) as database:
        assert database.folder.stat().st_mode & 0o077 == 0
        assert (database.folder / "password").stat().st_mode & 0o077 == 0
        if os.geteuid() == 0:
            assert Path(f"/proc/{database.pid}").stat().st_uid != 0, "it does not run as root"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's services run as another user")
def test_a_home_that_the_services_cannot_enter_is_refused_with_advice(service_home: Path) -> None:
    service_home.chmod(0o700)
    with pytest.raises(ServiceError, match=r"is closed to the unprivileged user.*/var/lib/lifeline"):
        Database(service_home).start()


def test_a_start_that_fails_shows_the_end_of_the_log(service_home: Path) -> None:
    with Database(service_home, fsync=False) as database:
        pass
    (database.data / "global/pg_control").write_bytes(b"")
    with pytest.raises(ServiceError, match=r"PostgreSQL ended while it started(.|\n)*control"):
        database.start()
    processes.own(database.folder).close()  # and the folder is free again
