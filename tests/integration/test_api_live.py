"""The live stream, and what happens when the database goes away or the process is told to stop."""

import json
import math
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from lifeline.embedded import Database
from lifeline.model import Role
from lifeline.storage import keys
from lifeline.storage.database import connect
from lifeline.storage.migrations import migrate
from tests.api_process import PLAIN, ROOT, Api, running_api, until
from tests.integration.town import build, empty, open_alert


class Listener:
    """Reads a live stream in a thread, on a bare socket so that it can hang up: what was told, and when."""

    def __init__(self, url: str, key: str) -> None:
        self.told: list[tuple[float, set[str]]] = []
        self.ended = threading.Event()
        self._hang_up = threading.Event()
        self._thread = threading.Thread(target=self._read, args=[url, key], daemon=True)
        self._thread.start()

    def _read(self, url: str, key: str) -> None:
        target = httpx.URL(url)
        with socket.create_connection((target.host, target.port or 80), timeout=10) as line:
            wanted = "GET /api/v1/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            line.sendall(f"{wanted}Authorization: Bearer {key}\r\n\r\n".encode())
            line.settimeout(0.1)
            while not self._hang_up.is_set():
                try:
                    block = line.recv(65_536)
                except TimeoutError:
                    continue
                except OSError:
                    break
                if not block:
                    break
                self._take(block.decode())
        self.ended.set()

    def _take(self, text: str) -> None:
        for row in text.split("\n"):
            if row.startswith("data:"):
                self.told.append((time.monotonic(), set(json.loads(row[5:])["what"])))

    def close(self) -> None:
        """Hang up, as a page does that is closed."""
        self._hang_up.set()

    def since(self, moment: float, end: float = math.inf) -> set[str]:
        return {word for at, words in self.told if moment <= at <= end for word in words}


@pytest.fixture(scope="module")
def process(database_dsn: str) -> Iterator[Api]:
    with running_api(database_dsn, LIFELINE_API_SSE_CLIENTS="2") as running:
        yield running


@pytest.fixture
def api(process: Api) -> Api:
    """The API of the module, with the town in its database."""
    process.keys.clear()
    empty(process.dsn)
    with connect(process.dsn) as connection:
        build(connection)
    return process


@contextmanager
def listening(api: Api) -> Iterator[Listener]:
    listener = Listener(api.url, api.key())
    until(lambda: listener.told, "the first event")
    time.sleep(0.5)  # what the start itself caused
    yield listener
    listener.close()
    until(lambda: "lifeline_api_live_clients 0.0" in metrics(api), "the end of the stream")


def metrics(api: Api) -> str:
    """Its metrics; nothing where it does not answer any more."""
    try:
        return api.get("/metrics").text
    except httpx.HTTPError:
        return "lifeline_api_live_clients 0.0"


def test_a_new_alert_is_told_within_a_second_and_the_new_map_too(api: Api) -> None:
    with listening(api) as listener, connect(api.dsn) as connection:
        for attempt in range(6):  # a machine that is busy elsewhere may be late once
            began = time.monotonic()
            open_alert(connection, 1, rule=f"rule.{attempt}")
            until(lambda: {"alert", "risk"} <= listener.since(began), "the alert and the map")  # noqa: B023
            if {"alert", "risk"} <= listener.since(began, began + 1):
                break
        else:
            pytest.fail("of six alerts none was told within a second")
        assert '"level":"red"' in api.get("/api/v1/risk/cells").text


def test_a_burst_of_changes_is_one_event(api: Api) -> None:
    with listening(api) as listener, connect(api.dsn, autocommit=True) as connection:
        began = time.monotonic()
        connection.execute(
            """SELECT pg_notify('lifeline_changed', '{"what": "reading", "n": ' || n || '}')
               FROM generate_series(1, 200) AS n"""
        )
        until(lambda: listener.since(began), "the event")
        time.sleep(0.6)
        assert len([1 for at, _ in listener.told if at >= began]) <= 3


def test_a_notice_that_says_nothing_known_may_mean_anything(api: Api) -> None:
    with listening(api) as listener, connect(api.dsn, autocommit=True) as connection:
        began = time.monotonic()
        connection.execute("SELECT pg_notify('lifeline_changed', 'not json')")
        until(lambda: {"alert", "inventory", "reading"} <= listener.since(began), "everything")


def test_streams_are_counted_and_limited(api: Api) -> None:
    with listening(api) as first:
        second = Listener(api.url, api.key())
        until(lambda: second.told, "the first event")
        refused = api.get("/api/v1/live")
        assert refused.status_code == 503
        assert refused.headers["content-type"] == "application/problem+json"
        assert "lifeline_api_live_clients 2.0" in metrics(api)
        second.close()
        assert not first.ended.is_set()


def test_a_stop_ends_the_streams_and_exits_in_order(clean_database: str) -> None:
    with running_api(clean_database) as api, listening(api) as listener:
        code, log = api.end()
        assert code == 0
        assert "graceful shutdown exceeded" not in log, "they end by themselves, and are not broken off after 5 s"
        assert listener.ended.wait(60)
        assert "Traceback" not in log


def test_the_api_outlives_a_database_that_goes_away(service_home: Path) -> None:
    with Database(service_home, fsync=False) as database:
        migrate(database.dsn)
        with connect(database.dsn) as connection:
            build(connection)
        with running_api(database.dsn) as api:
            api.key()
            with listening(api) as listener:
                database.kill()
                until(lambda: api.get("/api/v1/assets").status_code == 503, "a refusal")
                told = api.get("/api/v1/assets")
                assert told.headers["content-type"] == "application/problem+json"
                assert "127.0.0.1" not in told.text
                database.start()
                began = time.monotonic()
                until(lambda: api.get("/api/v1/assets").status_code == 200, "an answer")
                until(lambda: "alert" in listener.since(began), "everything may have changed")
                with connect(database.dsn) as connection:
                    open_alert(connection, 1)
                until(lambda: '"level":"red"' in api.get("/api/v1/risk/cells").text, "the red cell")


def test_a_revoked_key_loses_its_stream_even_a_busy_one(api: Api) -> None:
    with connect(api.dsn, autocommit=True) as connection:
        listener = Listener(api.url, keys.create(connection, "leaver", Role.VIEWER, datetime.now(UTC)))
        until(lambda: listener.told, "the first event")
        keys.revoke(connection, "leaver", datetime.now(UTC))
        deadline = time.monotonic() + 20
        while not listener.ended.wait(0.4) and time.monotonic() < deadline:
            connection.execute("""SELECT pg_notify('lifeline_changed', '{"what": "reading"}')""")
    assert listener.ended.is_set()


def test_a_key_that_expires_is_refused_from_that_moment(api: Api) -> None:
    now = datetime.now(UTC)
    with connect(api.dsn) as connection:
        text = keys.create(connection, "brief", Role.VIEWER, now, now + timedelta(seconds=6))
    headers = {"Authorization": f"Bearer {text}"}
    assert httpx.get(f"{api.url}/api/v1/catalogue", headers=headers, verify=PLAIN).status_code == 200
    time.sleep(max((now - datetime.now(UTC)).total_seconds() + 6, 0))
    assert httpx.get(f"{api.url}/api/v1/catalogue", headers=headers, verify=PLAIN).status_code == 401


def test_guessing_keys_is_slowed_down_and_good_keys_still_work(api: Api) -> None:
    good = api.get("/api/v1/catalogue")
    assert good.status_code == 200
    answers = [
        httpx.get(f"{api.url}/api/v1/catalogue", headers={"Authorization": f"Bearer llk_guess{n}"}, verify=PLAIN)
        for n in range(12)
    ]
    codes = [each.status_code for each in answers]
    assert codes == sorted(codes)  # refused as wrong, then refused unseen
    assert {401, 429} == set(codes)
    assert codes.count(401) <= 10
    assert int(answers[-1].headers["retry-after"]) > 30
    assert api.get("/api/v1/catalogue").status_code == 200


def test_a_wrong_configuration_is_one_clear_line() -> None:
    command = [sys.executable, "-m", "api"]
    done = subprocess.run(command, env=Api("").environment, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "LIFELINE_DATABASE_URL" in done.stderr
    assert "Traceback" not in done.stderr
