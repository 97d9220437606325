"""What `lifeline load` calls whole, and how it finds out who worked."""

import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from lifeline.cli import app
from lifeline.cli.load import Ages, Found, Work, _interrupt, _show, cpu_of, faults
from lifeline.loading.packets import Packets
from lifeline.loading.profile import Profile
from lifeline.storage.loading import Books


def found(**other: object) -> Found:
    usual: dict[str, object] = {
        "messages": 100, "readings": 500, "stored": 500, "thousandths_sent": 123_456, "thousandths_stored": 123_456,
        "books": Books(510, 500, 10, 0), "offered_s": 5.0, "settled_s": 6.0, "delays_s": [0.1, 0.2, 0.3],
        "interruptions": ["broker stopped in order after 1.7 s, back 0.4 s later"],
    }  # fmt: skip
    return Found(**(usual | other))  # type: ignore[arg-type]


def test_a_load_is_whole_when_all_is_there_once_and_the_books_say_the_same() -> None:
    assert found().whole
    assert found(books=Books(500, 500, 0, 0)).whole  # nothing had to be sent twice


@pytest.mark.parametrize(
    "other",
    [
        {"stored": 499, "books": Books(509, 499, 10, 0)},
        {"stored": 501, "books": Books(511, 501, 10, 0)},
        {"thousandths_stored": 123_457},
        {"books": Books(510, 499, 11, 0)},
        {"books": Books(511, 500, 10, 0)},
        {"books": Books(511, 500, 10, 1)},
    ],
)
def test_a_reading_lost_doubled_changed_or_wrongly_booked_is_not_whole(other: dict[str, object]) -> None:
    assert not found(**other).whole


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_only_an_equal_count_is_whole(sent: int, stored: int, twice: int) -> None:
    books = Books(stored + twice, stored, twice, 0)
    assert found(readings=sent, stored=stored, books=books).whole is (sent == stored)


def shown(capsys: pytest.CaptureFixture[str], one: Found) -> str:
    work = Work({"database": 3.0, "ingest": 1.0})
    _show(one, work, Packets(10, 5))
    return capsys.readouterr().out


def test_the_table_says_rates_ages_books_and_who_worked(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, found())
    assert "50 on 10 devices" in text
    assert "500 readings in 100 messages" in text
    assert "5.0 s, 20 messages/s, to the broker" in text
    assert "broker stopped in order after 1.7 s, back 0.4 s later" in text
    assert "83 readings/s, 17 messages/s" in text
    assert "half under 0.20 s, 99 % under 0.30 s" in text
    assert "500 (+0)" in text
    assert "received 510 = stored 500 + twice 10 + quarantined 0" in text
    assert "3.0 s (75%), 6000.00 us a reading" in text
    assert text.index("CPU of database") < text.index("CPU of ingest")
    assert "every reading is there, once" in text


def test_the_table_shouts_when_something_is_missing_or_changed(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, found(stored=490, thousandths_stored=1))
    assert "490 (-10)" in text
    assert "CHANGED" in text
    assert "every reading is there" not in text


def test_a_load_of_which_nothing_was_sampled_has_no_ages(capsys: pytest.CaptureFixture[str]) -> None:
    assert "age of" not in shown(capsys, found(delays_s=[]))


@pytest.mark.parametrize("arguments", [["--outage", "30"], ["--ramp", "31"], ["--sensors", "0"], ["--rate", "-1"]])
def test_a_load_that_makes_no_sense_is_refused_before_anything_starts(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, ["load", "--seconds", "30", *arguments]).exit_code == 2


def test_a_broker_is_not_killed_where_that_would_lose_readings_by_design() -> None:
    done = CliRunner().invoke(app, ["load", "--snapshots", "--kill-broker"])
    assert done.exit_code == 2
    assert "use --restart-broker" in " ".join(done.output.replace("│", "").split())


class Service:
    """What was done to a service, in order."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def kill(self) -> None:
        self.done.append("kill")

    def stop(self) -> None:
        self.done.append("stop")

    def start(self) -> None:
        self.done.append("start")


class Running:
    """A system as the faults see it."""

    def __init__(self) -> None:
        self.broker, self.database = Service(), Service()


@pytest.mark.parametrize(
    ("wanted", "times", "broker", "database"),
    [
        ((True, False, True), [10.0, 20.0], ["kill", "start"], ["kill", "start"]),
        ((False, True, True), [10.0, 20.0], ["stop", "start"], ["kill", "start"]),
        ((False, True, False), [10.0], ["stop", "start"], []),
        ((False, False, False), [], [], []),
    ],
)
def test_faults_come_after_a_third_and_two_thirds_and_end_with_a_start(
    wanted: tuple[bool, bool, bool], times: list[float], broker: list[str], database: list[str]
) -> None:
    running, coming = Running(), faults(Profile(100.0, 30.0), *wanted)
    told = [_interrupt(fault, running, at) for at, fault in coming]  # type: ignore[arg-type]
    assert [at for at, _ in coming] == times
    assert (running.broker.done, running.database.done) == (broker, database)
    assert [f" after {at:.1f} s, back " in line for at, line in zip(times, told, strict=True)] == [True] * len(times)
    assert ["killed" in line for line in told] == [done[0] == "kill" for done in (broker, database) if done]


def test_a_database_that_is_away_has_no_age_and_ends_no_load() -> None:
    ages = Ages("postgresql://nobody@127.0.0.1:1/none")
    for _ in range(2):
        ages.look(lambda: datetime(2026, 11, 22, tzinfo=UTC))
    ages.close()
    assert ages.seconds == []


# --------------------------------------------------------------------------------------------------- who worked


def busy(seconds: float) -> subprocess.Popen[bytes]:
    code = f"import time\nend = time.process_time() + {seconds}\nwhile time.process_time() < end: pass\ntime.sleep(60)"
    return subprocess.Popen([sys.executable, "-c", code])


def test_the_cpu_of_a_process_is_what_it_has_worked() -> None:
    worker = busy(0.5)
    try:
        end = time.monotonic() + 30
        while (spent := cpu_of(worker.pid) or 0.0) < 0.45:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert spent < 5
    finally:
        worker.kill()
        worker.wait()


def test_a_process_that_is_gone_has_no_cpu() -> None:
    worker = busy(0.0)
    worker.kill()
    worker.wait()
    assert cpu_of(worker.pid) is None
    assert cpu_of(worker.pid, whole_family=True) is None


def test_a_family_has_worked_at_least_as_much_as_its_head() -> None:
    own, whole = cpu_of(os.getpid()), cpu_of(os.getpid(), whole_family=True)
    assert own is not None
    assert whole is not None
    assert whole >= own - 0.1
    assert Path("/proc/self/stat").exists()
