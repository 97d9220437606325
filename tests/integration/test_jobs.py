"""Jobs: the queue in the real database, and the real process that works it."""

import os
import signal
import subprocess
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from lifeline.errors import ConfigurationError, ConflictError, NotFoundError
from lifeline.planning.registry import checked, kind_of
from lifeline.storage import jobs
from lifeline.storage.database import Connection, open_connection
from lifeline.storage.jobs import JobState
from lifeline.storage.migrations import migrate
from lifeline.storage.roles import dsn_as
from tests.api_process import until
from tests.integration.job_kinds import COMMAND, KINDS
from tests.ports import free_port

pytestmark = pytest.mark.usefixtures("clean_database")
ROOT = Path(__file__).parents[2]
NOW = datetime.fromisoformat("2026-11-22T10:00:00+00:00")


@pytest.fixture
def db(clean_database: str) -> Iterator[Connection]:
    connection = open_connection(clean_database, autocommit=True)
    yield connection
    connection.close()


# ------------------------------------------------------------------------------------------------------------ the queue


def test_a_job_waits_is_taken_once_and_done(db: Connection) -> None:
    first = jobs.submit(db, "trial", {"a": 1}, "ann", NOW)
    second = jobs.submit(db, "trial", {}, "ben", NOW)
    assert jobs.get(db, first).state is JobState.QUEUED
    task = jobs.take(db, ["trial"], "m:1", NOW)
    assert task is not None
    assert (task.job_id, task.parameters, task.attempt) == (first, {"a": 1}, 1)
    other = jobs.take(db, ["trial"], "m:2", NOW)
    assert other is not None
    assert other.job_id == second
    assert jobs.take(db, ["trial"], "m:3", NOW) is None
    jobs.tell_progress(db, first, 1, 0.5, "half")
    assert (jobs.get(db, first).progress, jobs.get(db, first).message) == (0.5, "half")
    assert jobs.finish(db, first, 1, JobState.DONE, NOW, result={"x": 2})
    done = jobs.get(db, first)
    assert (done.state, done.progress, done.result, done.finished_at) == (JobState.DONE, 1.0, {"x": 2}, NOW)
    assert [job.job_id for job in jobs.list_jobs(db)] == [second, first]
    assert [job.job_id for job in jobs.list_jobs(db, state=JobState.DONE)] == [first]
    assert [job.job_id for job in jobs.list_jobs(db, before=second, limit=1)] == [first]


def test_a_kind_that_this_process_does_not_know_stays_for_another(db: Connection) -> None:
    jobs.submit(db, "newer", {}, "ann", NOW)
    assert jobs.take(db, ["trial"], "m:1", NOW) is None


def test_two_processes_never_take_the_same_job(clean_database: str, db: Connection) -> None:
    wanted = {jobs.submit(db, "trial", {}, "ann", NOW) for _ in range(30)}
    taken: list[int] = []

    def take(instance: str) -> None:
        with open_connection(clean_database, autocommit=True) as connection:
            while (task := jobs.take(connection, ["trial"], instance, NOW)) is not None:
                taken.append(task.job_id)

    threads = [threading.Thread(target=take, args=[f"m:{number}"]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(wanted)


def test_who_held_a_job_once_writes_nothing_after_another_has_it(db: Connection) -> None:
    job = jobs.submit(db, "trial", {}, "ann", NOW)
    assert jobs.take(db, ["trial"], "m:1", NOW)
    later = NOW + timedelta(minutes=5)
    assert jobs.give_back_abandoned(db, NOW, later) == []
    assert jobs.give_back_abandoned(db, NOW + timedelta(seconds=1), later) == [(job, JobState.QUEUED)]
    again = jobs.take(db, ["trial"], "m:2", later)
    assert again is not None
    assert again.attempt == 2
    jobs.tell_progress(db, job, 1, 0.9, "from the grave")
    assert not jobs.finish(db, job, 1, JobState.DONE, later, result={"old": True})
    assert jobs.get(db, job).message == ""
    assert jobs.finish(db, job, 2, JobState.DONE, later, result={"old": False})
    assert jobs.get(db, job).result == {"old": False}


def test_a_job_whose_process_died_twice_has_failed_and_says_why(db: Connection) -> None:
    job = jobs.submit(db, "trial", {}, "ann", NOW)
    for _ in range(jobs.MOST_ATTEMPTS):
        task = jobs.take(db, ["trial"], "m:1", NOW)
        assert task is not None
        jobs.give_back(db, job, task.attempt, "its process was ended by SIGKILL", NOW)
    found = jobs.get(db, job)
    assert (found.state, found.message) == (JobState.FAILED, "its process was ended by SIGKILL")


def test_a_job_that_waits_is_cancelled_at_once_and_one_that_is_over_never(db: Connection) -> None:
    job = jobs.submit(db, "trial", {}, "ann", NOW)
    assert jobs.cancel(db, job, "ben", NOW).state is JobState.CANCELLED
    with pytest.raises(ConflictError, match="cancelled already"):
        jobs.cancel(db, job, "ben", NOW)
    with pytest.raises(NotFoundError):
        jobs.cancel(db, 999, "ben", NOW)


def test_one_that_runs_learns_that_it_is_not_wanted(db: Connection) -> None:
    job = jobs.submit(db, "trial", {}, "ann", NOW)
    jobs.take(db, ["trial"], "m:1", NOW)
    assert [held.unwanted for held in jobs.keep_alive(db, "m:1", NOW)] == [False]
    jobs.cancel(db, job, "ben", NOW)
    assert [held.unwanted for held in jobs.keep_alive(db, "m:1", NOW)] == [True]
    assert jobs.give_back(db, job, 1, "ended", NOW) is JobState.CANCELLED


def test_a_nightly_job_is_asked_for_once_a_night_and_waits_for_what_people_asked(db: Connection) -> None:
    night = date(2026, 11, 22)
    assert jobs.submit_nightly(db, "trial", night, NOW) is not None
    assert jobs.submit_nightly(db, "trial", night, NOW) is None
    assert jobs.submit_nightly(db, "trial", night + timedelta(days=1), NOW) is not None
    asked = jobs.submit(db, "trial", {}, "ann", NOW)
    task = jobs.take(db, ["trial"], "m:1", NOW)
    assert task is not None
    assert task.job_id == asked


def test_every_change_is_announced(clean_database: str, db: Connection) -> None:
    with open_connection(clean_database, autocommit=True) as listener:
        listener.execute("LISTEN lifeline_changed")
        job = jobs.submit(db, "trial", {}, "ann", NOW)
        jobs.take(db, ["trial"], "m:1", NOW)
        jobs.tell_progress(db, job, 1, 0.5, "half")
        jobs.finish(db, job, 1, JobState.DONE, NOW)
        heard = [notice.payload for notice in listener.notifies(timeout=30, stop_after=4)]
    assert heard == [f'{{"what" : "job", "job" : {job}}}'] * 4


def test_the_registry_refuses_what_a_kind_does_not_take() -> None:
    trial = kind_of("trial", KINDS)
    assert checked(trial, {}) == {"end": "well", "seconds": 0.0, "marks": ""}
    with pytest.raises(ConfigurationError, match=r"seconds: .*less than or equal to 60; colour: .*not permitted"):
        checked(trial, {"seconds": 99, "colour": "red"})
    with pytest.raises(NotFoundError, match="no kind of job 'trail'; there are: trial"):
        kind_of("trail", KINDS)


# ---------------------------------------------------------------------------------------------------------- the process


class Planning:
    """One planning process with the trial's kinds, in the process's own role."""

    def __init__(self, dsn: str, command: Sequence[str] = COMMAND, **more: str) -> None:
        self.port = free_port()
        environment = {
            "PATH": os.environ["PATH"],
            "LIFELINE_DATABASE_URL": dsn,
            "LIFELINE_PLANNING_METRICS_PORT": str(self.port),
            **more,
        }
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)

    def metrics(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
            return str(answer.read().decode())

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=120)


@pytest.fixture
def own_dsn(clean_database: str) -> str:
    migrate(clean_database, {"lifeline_planning": "secret"})
    return dsn_as(clean_database, "lifeline_planning", "secret")


@pytest.fixture
def planning(own_dsn: str) -> Iterator[Planning]:
    process = Planning(own_dsn)
    yield process
    if process.process.poll() is None:
        process.end(signal.SIGKILL)


def ended(db: Connection, job: int) -> jobs.Job:
    until(lambda: jobs.get(db, job).finished_at is not None, "the end of a job")
    return jobs.get(db, job)


def submit(db: Connection, **parameters: object) -> int:
    return jobs.submit(db, "trial", parameters, "ann", datetime.now(UTC))


def runs(marks: Path) -> list[int]:
    return [int(each.name) for each in marks.iterdir()]


def test_jobs_end_well_or_say_why_not(planning: Planning, db: Connection) -> None:
    ends = {end: submit(db, end=end) for end in ("well", "refused", "broken", "without a package")}
    lone = jobs.submit(db, "trial", {"colour": "red"}, "ann", NOW)
    well = ended(db, ends["well"])
    assert well.state is JobState.DONE
    assert well.result is not None
    assert well.result["niceness"] >= 10
    assert ended(db, ends["refused"]).message == "there is no such thing"
    assert ended(db, ends["broken"]).message == "ZeroDivisionError: nothing was expected of this"
    assert "solver is missing: install the extra" in ended(db, ends["without a package"]).message
    assert "colour" in ended(db, lone).message
    until(lambda: 'jobs_total{kind="trial",result="failed"} 4.0' in planning.metrics(), "four failures in the metrics")
    [beat] = db.execute("SELECT process, detail FROM heartbeat").fetchall()
    assert beat[0] == "planning"
    assert planning.end() == 0


def test_a_child_that_dies_is_begun_again_once_and_then_has_failed(
    planning: Planning, db: Connection, tmp_path: Path
) -> None:
    job = ended(db, submit(db, end="killed", marks=str(tmp_path)))
    assert (job.state, job.attempt) == (JobState.FAILED, 2)
    assert "SIGKILL (out of memory?)" in job.message
    assert len(runs(tmp_path)) == 2


def test_a_running_job_is_cancelled_and_its_process_is_gone(planning: Planning, db: Connection, tmp_path: Path) -> None:
    job = submit(db, seconds=60, marks=str(tmp_path))
    until(lambda: jobs.get(db, job).message == "a quarter", "progress")
    jobs.cancel(db, job, "ben", datetime.now(UTC))
    assert ended(db, job).state is JobState.CANCELLED
    [child] = runs(tmp_path)
    until(lambda: not Path(f"/proc/{child}").exists(), "the end of the child")


def test_sigterm_puts_the_job_back_and_the_next_process_works_it(
    planning: Planning, own_dsn: str, db: Connection, tmp_path: Path
) -> None:
    job = submit(db, seconds=60, marks=str(tmp_path))
    until(lambda: bool(runs(tmp_path)), "the job's begin")
    assert planning.end() == 0
    assert jobs.get(db, job).state is JobState.QUEUED
    other = Planning(own_dsn)
    try:
        assert (ended(db, job).state, ended(db, job).attempt) == (JobState.DONE, 1)
    finally:
        other.end()


def test_kill_nine_takes_the_child_along_and_the_job_is_begun_again(
    planning: Planning, own_dsn: str, db: Connection, tmp_path: Path
) -> None:
    job = submit(db, seconds=60, marks=str(tmp_path))
    until(lambda: bool(runs(tmp_path)), "the job's begin")
    [child] = runs(tmp_path)
    planning.end(signal.SIGKILL)
    until(lambda: not Path(f"/proc/{child}").exists(), "the end of the child")
    assert jobs.get(db, job).state is JobState.RUNNING
    # A process of the same name knows that it does not work it; one of another name waits for a minute of silence.
    other = Planning(own_dsn, LIFELINE_PLANNING_METRICS_PORT=str(planning.port))
    try:
        assert (ended(db, job).state, ended(db, job).attempt) == (JobState.DONE, 2)
    finally:
        other.end()


def test_what_is_due_at_night_is_put_into_the_queue_by_the_process(own_dsn: str, db: Connection) -> None:
    two = [Planning(own_dsn, NIGHTLY="1") for _ in range(2)]
    try:
        until(lambda: bool(jobs.list_jobs(db, state=JobState.DONE)), "the nightly job")
        [job] = jobs.list_jobs(db)
        assert job.requested_by == "schedule"
    finally:
        for each in two:
            each.end()
