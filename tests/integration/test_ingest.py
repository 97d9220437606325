"""The real process between the real broker and the real database."""

import json
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psycopg
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from ingest.consumer import session_name
from lifeline.embedded import Broker
from tests.benchmarks.wire import connect
from tests.conftest import PASSWORDS, Services
from tests.ingest_process import (
    books,
    environment,
    ingest_process,
    install_devices,
    publisher,
    start_ingest,
    wait_for,
)
from tests.ports import free_port

pytestmark = pytest.mark.usefixtures("clean_database")
DAY_MS = 86_400_000


class City:
    """One test's devices, publisher and ingest processes."""

    def __init__(self, dsn: str, broker: Broker, folder: Path, client_id: str) -> None:
        self.dsn, self.broker, self.folder, self.client_id = dsn, broker, folder, client_id
        self.log = folder / "ingest.log"
        self.now_ms = int(time.time() * 1000)

    def ingest(self, **settings: Any) -> Any:
        return ingest_process(self.env(**settings), self.log)

    def env(self, **settings: Any) -> dict[str, str]:
        names = {"ingest_client_id": self.client_id, **settings}
        return environment(self.dsn, self.broker, PASSWORDS["ingest"], **names)

    def publishing(self) -> Any:
        return publisher(self.broker, "simulator", PASSWORDS["simulator"])

    def rows(self, query: str) -> list[Any]:
        with psycopg.connect(self.dsn) as connection:
            return connection.execute(query).fetchall()  # type: ignore[arg-type]

    def books(self) -> dict[str, int]:
        found = books(self.dsn)
        assert found["received"] == found["stored"] + found["duplicate"] + found["quarantined"]
        assert (found["stored"], found["quarantined"]) == (found["readings"], found["quarantine"])
        return found

    def received(self, n: int, seconds: float = 120) -> dict[str, int]:
        wait_for(lambda: books(self.dsn)["received"] >= n, f"{n} readings", seconds)
        return self.books()


@pytest.fixture
def city(clean_database: str, broker: Broker, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[City]:
    install_devices(clean_database, 20)
    client_id = re.sub(r"\W+", "-", request.node.name)[:60]
    yield City(clean_database, broker, tmp_path, client_id)
    with publisher(broker, "simulator", PASSWORDS["simulator"]) as client:
        for device in range(3):
            client.publish(f"lifeline/v1/gas/d{device}/status", b"", qos=1, retain=True).wait_for_publish(60)
    forget_session(broker, client_id)


def forget_session(broker: Broker, client_id: str) -> None:
    session = session_name(client_id, PASSWORDS["ingest"])
    connect(broker.port, "ingest", PASSWORDS["ingest"], session, version=4, clean=True).close()


def say(client: Client, device: str, payload: Any, leaf: str = "readings", *, retain: bool = False) -> None:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    client.publish(f"lifeline/v1/gas/{device}/{leaf}", raw, qos=1, retain=retain).wait_for_publish(60)


def methane(ms: int, value: float = 0.5, **more: Any) -> dict[str, Any]:
    return {"ts": ms, "v": {"methane": value}, **more}


def pack(now: int) -> list[dict[str, Any]]:
    return [{"bn": "d2:", "bt": now / 1000, "n": "methane", "v": 1.5}, {"n": "level", "v": 2}]


@pytest.mark.parametrize("fast", ["true", "false"])
def test_fast_and_stock_reader_store_the_same(city: City, fast: str) -> None:
    now = city.now_ms
    with city.ingest(ingest_fast_reader=fast), city.publishing() as client:
        say(client, "d0", methane(now, seq=1))
        say(client, "d0", [methane(now + 1, 0.6, seq=2), methane(now + 2, 0.7, seq=5, backlog=True)])
        say(client, "d2", pack(now))
        say(client, "d0", b"\x00rubbish")
        say(client, "d1", b"x" * 3_000_000)
        say(client, "d1", b"online", "status", retain=True)
        assert city.received(7) | {"received": 7, "stored": 5, "quarantined": 2} == city.books()
        wait_for(lambda: city.rows("SELECT 1 FROM device_state WHERE status = 'online'"), "the status")
    assert city.rows(
        "SELECT channel, value, quality FROM reading JOIN sensor USING (sensor_id) ORDER BY ts, value"
    ) == [
        ("methane", 0.5, 0),
        ("methane", 1.5, 0),
        ("level", 2.0, 0),
        ("methane", 0.6, 0),
        ("methane", 0.7, 1),
    ]
    assert city.rows("SELECT last_seq, missed FROM device_state WHERE last_seq IS NOT NULL") == [(5, 2)]
    assert city.rows("SELECT max(length(payload)) FROM quarantine") == [(1_048_576,)]
    assert city.rows("SELECT value, quality FROM sensor_state ORDER BY value") == [(0.7, 1), (1.5, 0), (2.0, 0)]


FAULTS: list[tuple[str, bytes, str]] = [
    ("d0", b"not json", "unparsable"),
    ("d0", b'{"ts":1,"v":{"methane":1}', "unparsable"),
    ("d0", b"", "unparsable"),
    ("d0", b"\x00\x00", "unparsable"),
    ("d0", b"[" * 200_000, "unparsable"),
    ("d0", b'{"ts":"2026-11-21T08:00:00","v":{"methane":1}}', "unparsable"),
    ("d0", b'{"ts":NOW,"v":{"methane":"high"}}', "unparsable"),
    ("d0", b'{"ts":NOW,"v":{"methane":NaN}}', "not_finite"),
    ("d0", b'{"ts":NOW,"v":{"methane":-Infinity}}', "not_finite"),
    ("d0", b'{"ts":NOW,"v":{"methane":101}}', "out_of_range"),
    ("d0", b'{"ts":NOW,"v":{"meth\\u0000ane":1}}', "unknown_sensor"),
    ("d0", b'{"ts":NOW,"v":{"vibration":1}}', "unknown_sensor"),
    ("d99", b'{"ts":NOW,"v":{"methane":1}}', "unknown_sensor"),
    ("d0", b'[{"n":"d1:methane","v":1,"t":0}]', "unknown_sensor"),
    ("d0", b'{"ts":0,"v":{"methane":1}}', "too_old"),
    ("d0", b'{"ts":"2100-01-01T00:00:00Z","v":{"methane":1}}', "from_the_future"),
    ("d0", b"y" * 10_000_000, "unparsable"),
]


def test_each_kind_of_bad_input_is_in_quarantine_with_its_reason_and_the_good_around_it_is_stored(city: City) -> None:
    with city.ingest(), city.publishing() as client:
        for n, (device, payload, _) in enumerate(FAULTS):
            say(client, device, payload.replace(b"NOW", str(city.now_ms).encode()))
            say(client, "d1", methane(city.now_ms + n))
        client.publish("lifeline/v1/telephone/d0/readings", b'{"ts":1,"v":{"methane":1}}', qos=1).wait_for_publish(60)
        say(client, "d2", b'{"ts":%d,"v":{"methane":1,"level":NaN,"flow":1}}' % city.now_ms)
        say(client, "d3", b"\xff", "status")
        total = 2 * len(FAULTS) + 1 + 3 + 1
        assert city.received(total)["stored"] == len(FAULTS) + 1
    kept = [reason for (reason,) in city.rows("SELECT reason FROM quarantine ORDER BY quarantine_id")]
    wanted = [reason for _, _, reason in FAULTS] + ["unknown_sensor", "not_finite", "unknown_sensor", "unparsable"]
    assert sorted(kept) == sorted(wanted)
    by_payload = dict(city.rows("SELECT payload, reason FROM quarantine WHERE length(payload) < 100"))
    for _, payload, reason in FAULTS:
        if len(payload) < 60:
            assert by_payload[payload.replace(b"NOW", str(city.now_ms).encode())] == reason
    listed = city.rows("SELECT device, channels FROM unknown_device ORDER BY device")
    assert listed == [("d2", ["flow"]), ("d99", ["methane"])]


def test_the_same_day_replayed_three_times_leaves_the_rows_as_they_were(city: City) -> None:
    day = [
        [methane(city.now_ms - DAY_MS + quarter * 900_000 + n * 1000, 0.1 * n, backlog=True) for n in range(20)]
        for quarter in range(96)
    ]
    with city.ingest(), city.publishing() as client:
        for turn in range(1, 4):
            for payload in day:
                client.publish("lifeline/v1/gas/d0/readings", json.dumps(payload), qos=1)
            found = city.received(turn * 1920)
            assert (found["readings"], found["duplicate"]) == (1920, (turn - 1) * 1920)
    assert city.rows("SELECT count(*), count(DISTINCT bucket) FROM rollup_note WHERE sensor_id <> 0")[0][1] >= 94


def test_a_changed_topic_list_is_honoured_although_the_session_persists(city: City) -> None:
    gas, water = '["lifeline/v1/gas/+/readings"]', '["lifeline/v1/water/+/readings"]'
    with city.ingest(ingest_topics=gas), city.publishing() as client:
        say(client, "d0", methane(city.now_ms))
        city.received(1)
    with city.ingest(ingest_topics=water), city.publishing() as client:
        wait_for(lambda: len(city.rows("SELECT 1 FROM ingest_subscription")) == 2, "the old filter's end")
        say(client, "d0", methane(city.now_ms + 1))
        client.publish("lifeline/v1/water/d0/readings", b'{"ts":1,"v":{"methane":1}}', qos=1).wait_for_publish(60)
        assert city.received(2)["stored"] == 1
    filters = {row[0] for row in city.rows("SELECT topic_filter FROM ingest_subscription")}
    assert filters == {"$share/lifeline/lifeline/v1/water/+/readings", "lifeline/v1/+/+/status"}


def test_a_retained_status_and_the_last_will_are_known_after_a_start(city: City) -> None:
    with city.publishing() as client:
        say(client, "d0", {"status": "online", "firmware": "1.2"}, "status", retain=True)
    will = Client(CallbackAPIVersion.VERSION2)
    will.username_pw_set("simulator", PASSWORDS["simulator"])
    will.will_set("lifeline/v1/gas/d1/status", b"offline", qos=1, retain=True)
    will.connect(city.broker.host, city.broker.port)
    will.loop_start()
    wait_for(will.is_connected, "the device")
    query = (
        "SELECT status, detail->>'firmware' FROM device_state JOIN device USING (device_id) WHERE external_id = '{}'"
    )
    with city.ingest():
        wait_for(lambda: city.rows(query.format("d0")) == [("online", "1.2")], "the retained status")
        will.socket().close()  # type: ignore[union-attr] - as if the device had died
        wait_for(lambda: city.rows(query.format("d1")) == [("offline", None)], "the last will")
    will.loop_stop()


def test_a_sensor_that_is_imported_while_ingest_runs_is_stored_without_a_restart(city: City) -> None:
    with city.ingest(), city.publishing() as client:
        say(client, "new", methane(city.now_ms))
        assert city.received(1)["quarantined"] == 1
        with psycopg.connect(city.dsn) as connection:
            connection.execute(
                "WITH d AS (INSERT INTO device (external_id, network) VALUES ('new', 'gas') RETURNING device_id)"
                " INSERT INTO sensor (device_id, channel, quantity) SELECT device_id, 'methane', 'methane' FROM d"
            )
        numbers = count(1)

        def said_and_stored() -> bool:
            number = next(numbers)
            say(client, "new", methane(city.now_ms + number))
            return city.received(1 + number)["stored"] > 0

        wait_for(said_and_stored, "a reading of the new sensor that is stored")


def test_a_sensor_that_is_removed_while_ingest_runs_stops_nothing(city: City) -> None:
    with city.ingest(), city.publishing() as client:
        say(client, "d0", methane(city.now_ms))
        city.received(1)
        with psycopg.connect(city.dsn) as connection:
            connection.execute("DELETE FROM sensor WHERE device_id = 1 AND channel = 'methane'")
        say(client, "d0", methane(city.now_ms + 1))
        say(client, "d1", methane(city.now_ms + 1))
        assert city.received(3)["stored"] == 2
    assert city.rows("SELECT reason FROM quarantine") == [("unknown_sensor",)]


def test_a_message_that_the_database_refuses_is_found_among_good_ones_and_quarantined(city: City) -> None:
    with psycopg.connect(city.dsn) as connection:
        connection.execute("ALTER TABLE reading ADD CONSTRAINT test_refusal CHECK (value <> 66)")
    try:
        with city.publishing() as client, city.ingest(ingest_idle_ms=300, ingest_batch_age_ms=300):
            for n in range(40):
                client.publish(
                    "lifeline/v1/gas/d0/readings", json.dumps(methane(city.now_ms + n, 66 if n == 17 else 1)), 1
                )
            found = city.received(40)
            assert (found["stored"], found["quarantined"]) == (39, 1)
    finally:
        with psycopg.connect(city.dsn) as connection:
            connection.execute("ALTER TABLE reading DROP CONSTRAINT test_refusal")
    ((reason, detail),) = city.rows("SELECT reason, detail FROM quarantine")
    assert reason == "unparsable"
    assert "test_refusal" in detail


def stream(client: Client, city: City, n: int, meanwhile: Callable[[], None]) -> None:
    """``n`` readings in about two seconds; something happens when half are out."""
    for i in range(n):
        client.publish(f"lifeline/v1/gas/d{i % 20}/readings", json.dumps(methane(city.now_ms + i)), qos=1)
        if i == n // 2:
            meanwhile()
        if i % 20 == 0:
            time.sleep(0.01)


def test_a_restart_of_the_database_loses_and_doubles_nothing(city: City, embedded: Services) -> None:
    def restart() -> None:
        embedded.database.kill()
        time.sleep(1)
        embedded.database.start()

    with city.ingest(), city.publishing() as client:
        stream(client, city, 2000, restart)
        wait_for(lambda: city.rows("SELECT count(*) FROM reading") == [(2000,)], "all readings")
        assert city.books()["quarantine"] == 0
    assert b"database away" in city.log.read_bytes()


def test_a_restart_of_the_broker_loses_and_doubles_nothing(city: City, embedded: Services) -> None:
    def restart() -> None:
        embedded.broker.kill()
        time.sleep(0.5)
        embedded.broker.start()

    with city.ingest(), city.publishing() as client:
        stream(client, city, 2000, restart)
        wait_for(lambda: city.rows("SELECT count(*) FROM reading") == [(2000,)], "all readings")
        assert city.books()["quarantine"] == 0


def test_sigterm_drains_what_was_read_and_the_rest_comes_at_the_next_start(city: City) -> None:
    with city.publishing() as client:
        port = free_port()
        with city.ingest(ingest_idle_ms=1000, ingest_batch_age_ms=2000, ingest_metrics_port=port) as process:
            numbers = count()
            # What is retained of other tests comes first, and would be all that waits.
            client.publish("lifeline/v1/gas/d0/readings", json.dumps(methane(city.now_ms + next(numbers))), qos=1)
            wait_for(lambda: city.rows("SELECT 1 FROM reading"), "the first reading")
            wait_for(lambda: metrics(port)["lifeline_ingest_pending"] == 0, "its acknowledgement")

            def some_wait() -> bool:
                """Within a second or two all are stored: where they were when it was looked, there are others."""
                for n in islice(numbers, 100):
                    client.publish("lifeline/v1/gas/d0/readings", json.dumps(methane(city.now_ms + n)), qos=1)
                return metrics(port)["lifeline_ingest_pending"] > 0

            wait_for(some_wait, "messages that are read and not stored")
            process.send_signal(signal.SIGTERM)
            assert process.wait(120) == 0
        drained = city.books()["stored"]
        assert drained > 1
        assert b'"drained": true' in city.log.read_bytes()
        for n in islice(numbers, 100):
            client.publish("lifeline/v1/gas/d0/readings", json.dumps(methane(city.now_ms + n)), qos=1)
        sent = next(numbers)
        with city.ingest():
            found = city.received(sent)
        assert (found["stored"], found["duplicate"]) == (sent, 0)


def test_sigterm_ends_it_also_while_database_and_broker_are_away(city: City) -> None:
    env = city.env(database_url="postgresql://nobody@127.0.0.1:1/none", mqtt_port=1)
    process = start_ingest(env, city.log)
    wait_for(lambda: b"waiting for the database" in city.log.read_bytes(), "a first attempt")
    process.terminate()
    assert process.wait(120) == 0


def test_a_wrong_setting_is_one_clear_line_and_status_1(city: City) -> None:
    process = start_ingest(city.env(database_url=""), city.log)
    assert process.wait(120) == 1
    assert city.log.read_text().startswith("ingest: no database: set LIFELINE_DATABASE_URL")


def test_a_second_consumer_shares_the_load(city: City) -> None:
    second = f"{city.client_id}-2"
    try:
        with city.ingest(), city.ingest(ingest_client_id=second), city.publishing() as client:
            stream(client, city, 1000, lambda: None)
            assert city.received(1000)["stored"] == 1000
        shares = dict(city.rows("SELECT consumer, sum(stored)::int FROM ingest_account GROUP BY consumer"))
        assert sorted(shares) == sorted([city.client_id, second])
        assert min(shares.values()) > 200
    finally:
        forget_session(city.broker, second)


def metrics(port: int) -> dict[str, float]:
    """What ingest tells of itself."""
    with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


def test_the_metrics_say_the_same_as_the_tables(city: City) -> None:
    port = free_port()
    with city.ingest(ingest_metrics_port=port), city.publishing() as client:
        for n in range(10):
            say(client, "d0", methane(city.now_ms + n // 2))
        say(client, "d0", b"rubbish")
        found = city.received(11)
        quarantined = 'lifeline_ingest_quarantined_total{reason="unparsable"}'
        # It counts what it has stored a moment after it has, and this last.
        wait_for(lambda: quarantined in metrics(port), "the count")
        figures = metrics(port)
    for name in ("received", "stored", "duplicate"):
        assert figures[f"lifeline_ingest_{name}_total"] == found[name]
    assert figures[quarantined] == found["quarantined"] == 1
    for name in ("broker_connected", "database_connected"):
        assert figures[f"lifeline_ingest_{name}"] == 1


def test_it_beats_announces_and_accounts(city: City) -> None:
    with city.ingest(), psycopg.connect(city.dsn, autocommit=True) as connection, city.publishing() as client:
        connection.execute("LISTEN lifeline_changed")
        say(client, "d0", methane(city.now_ms))
        (notice,) = list(connection.notifies(timeout=60, stop_after=1))
        assert json.loads(notice.payload) == {"what": "reading"}
        wait_for(lambda: city.rows("SELECT 1 FROM heartbeat WHERE process = 'ingest'"), "a heartbeat")
    assert city.rows("SELECT sensor_id, bucket <= now() FROM rollup_note") == [(0, True)]


def test_a_metrics_port_that_is_taken_is_one_clear_line_and_status_1(city: City) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = start_ingest(city.env(ingest_metrics_port=taken.getsockname()[1]), city.log)
        assert process.wait(120) == 1
    assert "set LIFELINE_INGEST_METRICS_PORT" in city.log.read_text()
