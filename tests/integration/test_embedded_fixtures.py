from lifeline.storage.database import Connection


def test_the_test_database_is_migrated_and_empty(clean_database: str, connection: Connection) -> None:
    assert connection.execute("SELECT count(*) FROM reading").fetchone() == (0,)


def test_what_one_test_commits_the_next_does_not_see(clean_database: str, connection: Connection) -> None:
    connection.execute("INSERT INTO heartbeat (process, instance, at) VALUES ('test', 'one', now())")
    connection.commit()


def test_the_next_test_starts_empty(clean_database: str, connection: Connection) -> None:
    assert connection.execute("SELECT count(*) FROM heartbeat").fetchone() == (0,)
