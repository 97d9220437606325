"""Ingest against the limits of its surroundings, measured in the same run: the broker's, and binary COPY's.

``python -m tests.benchmarks ingest`` (about four minutes; ``--long`` adds ten minutes with the database away for one).
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psycopg

from ingest.consumer import session_name
from lifeline.embedded import Broker, Database
from lifeline.storage import ingest as storage
from lifeline.storage.columns import reading_block
from lifeline.storage.ingest import Readings
from lifeline.storage.migrations import migrate
from tests.benchmarks.report import Row, print_rows
from tests.benchmarks.wire import BARE_READER, Load, connect
from tests.ingest_process import ROOT, books, environment, ingest_process, wait_for

PASSWORDS = {"ingest": "ingest-password", "simulator": "simulator-password"}
DEVICES = 2_000
TWENTY = tuple(f"flow.{n}" for n in range(20))


class Bench:
    """A database and a broker of their own, below one folder."""

    def __init__(self, home: Path, database: Database, broker: Broker) -> None:
        self.home, self.database, self.broker = home, database, broker
        self.log = home / "ingest.log"

    def clear(self) -> None:
        """No reading, no account, and no session for which the broker would keep messages and write snapshots."""
        for session in (session_name("lifeline-ingest", PASSWORDS["ingest"]), BARE_READER):
            connect(self.broker.port, "ingest", PASSWORDS["ingest"], session, version=4, clean=True).close()
        with psycopg.connect(self.database.dsn) as connection:
            connection.execute("TRUNCATE reading, sensor_state, quarantine, ingest_account, rollup_note, device_state")
        self.settle()

    def settle(self) -> None:
        """All that the part before wrote is on disk, so that none pays for another's."""
        with psycopg.connect(self.database.dsn, autocommit=True) as connection:
            connection.execute("CHECKPOINT")
        os.sync()

    def ingest(self, **settings: Any) -> Any:
        env = environment(self.database.dsn, self.broker, PASSWORDS["ingest"], **settings)
        return ingest_process(env, self.log)

    def load(self, **options: Any) -> Load:
        return Load(
            port=self.broker.port,
            password=PASSWORDS["simulator"],
            start_ms=int(time.time() * 1000) - 250_000,
            **{"devices": DEVICES, "channels": ["methane"], **options},
        )


@contextmanager
def bench(*, durable: bool) -> Iterator[Bench]:
    home = Path(tempfile.mkdtemp(prefix="lifeline-bench-"))
    home.chmod(0o711)
    try:
        with Database(home) as database, Broker(home, PASSWORDS, durable=durable, max_inflight=65_535) as broker:
            migrate(database.dsn)
            with psycopg.connect(database.dsn) as connection:
                connection.execute(
                    "INSERT INTO device (external_id, network) SELECT 'd' || i, 'gas' FROM generate_series(0, %s) i"
                    " UNION ALL SELECT 'marker', 'gas'",
                    [DEVICES - 1],
                )
                connection.execute(
                    "INSERT INTO sensor (device_id, channel, quantity) SELECT device_id, c, split_part(c, '.', 1)"
                    " FROM device CROSS JOIN unnest(%s::text[]) c ORDER BY device_id, c",
                    [["methane", *TWENTY]],
                )
            yield Bench(home, database, broker)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def start(kind: str, options: dict[str, Any]) -> subprocess.Popen[bytes]:
    """A publisher or a bare reader, connected and waiting."""
    command = [sys.executable, "-m", "tests.benchmarks.wire", kind, json.dumps(options)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["ready"]
    return process


def result(process: subprocess.Popen[bytes], *, go: bool = True) -> dict[str, Any]:
    """Let it run, and what it says at the end."""
    answer, _ = process.communicate(b"\n" if go else None, timeout=300)
    found: dict[str, Any] = json.loads(answer)
    return found


def cpu_s(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def bare_reader(found: Bench, messages: int, **options: Any) -> dict[str, float]:
    """What the broker gives to a reader that only acknowledges."""
    found.clear()
    reader = start("read", {"port": found.broker.port, "password": PASSWORDS["ingest"], "messages": messages})
    load = start("publish", asdict(found.load(messages=messages, **options)))
    sent = result(load)
    got = result(reader)
    return {"rate": messages / (got["ended"] - sent["started"]), "cpu_us": got["cpu_s"] / messages * 1e6}


def throughput(found: Bench, messages: int, settings: dict[str, Any], **options: Any) -> dict[str, float]:
    """Messages a second from the first publish to the last commit, and the consumer's CPU for each."""
    found.clear()
    load = start("publish", asdict(found.load(messages=messages, **options)))
    with found.ingest(**settings) as process:
        time.sleep(1)
        before = cpu_s(process.pid)
        sent = result(load)
        readings = messages * len(options.get("channels", ["methane"]))
        with psycopg.connect(found.database.dsn, autocommit=True) as connection:
            wait_for(lambda: account(connection)[0] >= readings, f"{readings} readings", 120)
            ended = account(connection)[1].timestamp()
        cpu = cpu_s(process.pid) - before
    total = books(found.database.dsn)
    assert total["stored"] == total["readings"] == readings, total
    return {"rate": messages / (ended - sent["started"]), "cpu_us": cpu / messages * 1e6}


def account(connection: psycopg.Connection[Any]) -> Any:
    return connection.execute("SELECT coalesce(sum(received), 0), max(updated_at) FROM ingest_account").fetchone()


def raw_copy(found: Bench, rows: int, sensors: int, block: int = 40_000) -> float:
    """Rows a second of binary COPY of blocks made beforehand, a transaction each, sorted by sensor: nothing else."""
    found.clear()
    blocks = [block_of(n, sensors, block).block() for n in range(rows // block)]
    with psycopg.connect(found.database.dsn) as connection:
        started = time.time()
        for data in blocks:
            with (
                connection.cursor() as cursor,
                cursor.copy("COPY reading (sensor_id, ts, value, quality) FROM STDIN (FORMAT BINARY)") as copy,
            ):
                copy.write(data)
            connection.commit()
        return len(blocks) * block / (time.time() - started)


class Block(Readings):
    def block(self) -> bytes:
        return reading_block(self.sensor_id, self.ts, self.value, self.quality)


def block_of(number: int, sensors: int, size: int) -> Block:
    """Readings of all sensors in turn, sorted by sensor."""
    index = np.arange(number * size, (number + 1) * size)
    sensor, step = index % sensors, index // sensors
    order = np.lexsort((step, sensor))
    ts = (int(time.time()) // 86_400 * 86_400 * 1000 + step[order]) * 1000
    return Block(sensor[order] + 1, ts, sensor[order] * 0.01, np.zeros(size, dtype=np.int16))


def latency(found: Bench, rate: float, seconds: float) -> tuple[float, float]:
    """p50 and p99 in seconds from the time of sending to the first query that sees the reading; one in 200 is seen."""
    found.clear()
    seen: dict[float, float] = {}
    options = found.load(messages=int(rate * seconds), rate=rate, marker_every=200)
    with found.ingest(), psycopg.connect(found.database.dsn, autocommit=True) as connection:
        marker = connection.execute(
            "SELECT sensor_id FROM sensor JOIN device USING (device_id)"
            " WHERE external_id = 'marker' AND channel = 'methane'"
        ).fetchone()
        load = start("publish", asdict(options))
        last = datetime.fromtimestamp(time.time() - 10, UTC)
        while load.poll() is None:
            rows = connection.execute(
                "SELECT ts FROM reading WHERE sensor_id = %s AND ts > %s", [marker[0] if marker else 0, last]
            ).fetchall()
            now = time.time()
            for (ts,) in rows:
                seen[ts.timestamp()] = now - ts.timestamp()
                last = max(last, ts)
            time.sleep(0.002)
        late_s = result(load, go=False)["late_s"]
    delays = np.array([seen[ts] for ts in sorted(seen)][len(seen) // 10 :])
    print(f"latency at {rate:,.0f}/s: {len(delays)} samples, publisher late by {late_s * 1000:.0f} ms at most")
    return float(np.percentile(delays, 50)), float(np.percentile(delays, 99))


def drain(found: Bench, messages: int) -> dict[str, float]:
    """A backlog that gathered at the broker while ingest was away."""
    found.clear()
    with found.ingest():
        pass  # leaves its session at the broker
    sent = result(start("publish", asdict(found.load(messages=messages))))
    assert sent["messages"] == messages
    with found.ingest() as process, psycopg.connect(found.database.dsn, autocommit=True) as connection:
        wait_for(lambda: account(connection)[0] > 0, "the first commit")
        began, first = time.time(), account(connection)[0]
        wait_for(lambda: account(connection)[0] >= messages, f"{messages} readings", 120)
        ended = account(connection)[1].timestamp()
        return {"rate": float(messages - first) / (ended - began), "cpu_us": cpu_s(process.pid) / messages * 1e6}


def state_upsert(found: Bench, sensors: int) -> float:
    """Microseconds for each row of sensor_state, 20,000 rows a batch, all sensors in turn."""
    with psycopg.connect(found.database.dsn) as connection:
        connection.execute("TRUNCATE sensor_state")
        connection.execute("ALTER TABLE sensor_state DROP CONSTRAINT sensor_state_sensor_id_fkey")
    with storage.connect_writer(found.database.dsn) as connection:
        now = datetime.now(UTC)
        for turn in range(3):
            started = time.perf_counter()
            for n in range(sensors // 20_000):
                ids = np.arange(n * 20_000, (n + 1) * 20_000) + 1
                ts = np.full(20_000, (1_790_000_000 + turn) * 1_000_000)
                rows = Readings(ids, ts, np.zeros(20_000), np.zeros(20_000, dtype=np.int16))
                storage.update_states(connection, rows, now)
                connection.commit()
        return (time.perf_counter() - started) / sensors * 1e6


def long_run(found: Bench, minutes: float = 10, rate: float = 3_000) -> list[Row]:
    """Memory of the consumer while the database is away for one minute of ten."""
    found.clear()
    seconds = int(minutes * 60)
    load = start("publish", asdict(found.load(messages=int(rate * seconds), rate=rate)))
    memory: list[tuple[float, float]] = []
    with found.ingest() as process:
        began = time.time()
        away = (began + seconds * 0.3, began + seconds * 0.4)
        down = False
        while load.poll() is None:
            memory.append((time.time() - began, resident_mb(process.pid)))
            if down != (away[0] <= time.time() < away[1]):
                down = not down
                (found.database.kill if down else found.database.start)()
            time.sleep(0.5)
        result(load, go=False)
        with psycopg.connect(found.database.dsn, autocommit=True) as connection:
            wait_for(lambda: account(connection)[0] >= rate * seconds, "all readings", 120)
    total = books(found.database.dsn)
    assert total["readings"] == rate * seconds, total
    before = max(mb for at, mb in memory if at < seconds * 0.3)
    after = float(np.median([mb for at, mb in memory if at > seconds * 0.8]))
    peak = max(mb for _, mb in memory)
    return [
        Row(f"{minutes:g} minutes at {rate:,.0f}/s, largest memory before the outage", before, "MB"),
        Row("largest memory at all", peak, "MB", "", None, "< 400", peak < 400),
        Row("memory in the last fifth", after, "MB", "peak", after / peak, "<= 1.05 x peak", after <= 1.05 * peak),
    ]


def resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def main() -> bool:
    """Prints the tables; False when a limit was missed."""
    with bench(durable=False) as found:
        good = print_rows("Ingest, broker with snapshots (durable=False)", measure(found))
        if "--long" in sys.argv:
            good = print_rows("Ingest, memory", long_run(found)) and good
    with bench(durable=True) as found:
        rows = one_reading(found, 100_000, "durable broker: ", limit=None)
        print_rows("Ingest, broker that writes each message to disk (durable=True)", rows)
    return good


def one_reading(found: Bench, messages: int, prefix: str, limit: float | None) -> list[Row]:
    """The median of three pairs, bare reader and ingest in turn: the machine's noise hits both."""
    pairs = []
    for _ in range(3):
        bare = bare_reader(found, messages)
        pairs.append((bare, throughput(found, messages, {})))
    bare, ours = sorted(pairs, key=lambda pair: pair[1]["rate"] / pair[0]["rate"])[1]
    ratio = ours["rate"] / bare["rate"]
    against = f"bare reader {bare['rate']:,.0f}/s, {bare['cpu_us']:.1f} us"
    held, cpu_held = ("", "") if limit is None else (f">= {limit}", "< 6")
    good, cheap = (None, None) if limit is None else (ratio >= limit, ours["cpu_us"] < 6)
    return [
        Row(
            f"{prefix}1 reading a message",
            ours["rate"],
            "messages/s",
            against,
            ratio,
            held,
            good,
        ),
        Row(f"{prefix}consumer CPU", ours["cpu_us"], "us/message", "", None, cpu_held, cheap),
    ]


def twenty_readings(found: Bench) -> Row:
    """The median of three pairs again: raw COPY, and messages of twenty readings each."""
    pairs = []
    for _ in range(3):
        copied = raw_copy(found, 2_000_000, DEVICES * 21)
        pairs.append((copied, throughput(found, 100_000, {}, channels=list(TWENTY))["rate"] * 20))
    copied, rate = sorted(pairs, key=lambda pair: pair[1] / pair[0])[1]
    ratio = rate / copied
    return Row("20 readings a message", rate, "readings/s", f"raw COPY {copied:,.0f}/s", ratio, ">= 0.7", ratio >= 0.7)


def publish_to_queryable(found: Bench, rate: float) -> list[Row]:
    """Three runs of eight seconds each: the limit is held against the worst."""
    runs = sorted((latency(found, rate, 8) for _ in range(3)), key=lambda run: run[1])
    (p50, p99), (_, worst) = runs[1], runs[2]
    return [
        Row("publish to queryable at half the rate, p50", p50 * 1000, "ms"),
        Row("publish to queryable at half the rate, median p99 of three runs", p99 * 1000, "ms"),
        Row("publish to queryable at half the rate, worst p99", worst * 1000, "ms", "", None, "< 50", worst < 0.05),
    ]


def measure(found: Bench) -> list[Row]:
    rows = one_reading(found, 400_000, "", 0.8)
    top = rows[0].measured
    numbered = throughput(found, 300_000, {}, with_seq=True)
    rows.append(Row("the same with sequence numbers", numbered["rate"], "messages/s"))
    stock = throughput(found, 60_000, {"ingest_fast_reader": "false"})
    rows.append(Row("the same with stock paho", stock["rate"], "messages/s"))
    rows.append(Row("stock paho, consumer CPU", stock["cpu_us"], "us/message"))
    rows.append(twenty_readings(found))
    rows.extend(publish_to_queryable(found, top / 2))
    drained = drain(found, 1_000_000)
    rows.append(
        Row(
            "backlog of 1,000,000 drained",
            drained["rate"],
            "readings/s",
            "",
            None,
            ">= 150,000",
            drained["rate"] >= 150_000,
        )
    )
    rows.append(Row("backlog, consumer CPU", drained["cpu_us"], "us/message"))
    rows.append(Row("sensor_state, 100,000 sensors", state_upsert(found, 100_000), "us/row"))
    return rows
