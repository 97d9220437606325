"""Jobs through the API: asked for, listed page by page, heard of live, ended; and what must not get through."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest

from lifeline.model import Role
from lifeline.storage import jobs
from lifeline.storage.database import Connection, open_connection
from lifeline.storage.jobs import JobState
from tests.api_process import Api

JOBS = "/api/v1/jobs"
NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
PLAN = {"kind": "plan", "parameters": {"budget": 1e6}}


@pytest.fixture
def db(api: Api) -> Iterator[Connection]:
    connection = open_connection(api.dsn, autocommit=True)
    connection.execute("TRUNCATE job CASCADE")
    yield connection
    connection.close()


def ask(api: Api, role: Role = Role.ENGINEER, **body: object) -> httpx.Response:
    return api.call("POST", JOBS, role, json=body or PLAN)


def test_a_job_is_stored_with_its_defaults_and_who_asked(api: Api, db: Connection) -> None:
    answer = ask(api)
    assert answer.status_code == 202
    told = answer.json()
    assert answer.headers["Location"] == f"{JOBS}/{told['id']}"
    assert told["state"] == "queued"
    assert told["requested_by"].startswith("engineer")
    assert told["parameters"]["years"] == 5
    assert jobs.get(db, told["id"]).parameters == told["parameters"]


@pytest.mark.parametrize("role", [Role.VIEWER, Role.FIELD, Role.OPERATOR])
def test_who_is_no_engineer_asks_for_nothing_and_ends_nothing(role: Role, api: Api, db: Connection) -> None:
    job = ask(api).json()["id"]
    assert ask(api, role).status_code == 403
    assert api.call("POST", f"{JOBS}/{job}/cancel", role).status_code == 403
    assert jobs.get(db, job).state is JobState.QUEUED
    assert len(jobs.list_jobs(db)) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "nothing"},
        {"kind": "plan", "parameters": {"budget": "much"}},
        {"kind": "plan", "parameters": {"budget": 1, "colour": "red"}},
        {"kind": "plan", "parameters": []},
        {"kind": "plan", "state": "done"},
        {"kind": "k" * 65},
        {"parameters": {}},
        {"kind": "lifeline.planning.registry"},
    ],
)
def test_what_is_no_job_is_refused_and_not_stored(body: dict[str, object], api: Api, db: Connection) -> None:
    assert ask(api, **body).status_code == 400
    assert jobs.list_jobs(db) == []


def test_jobs_come_newest_first_page_by_page_and_nothing_twice(api: Api, db: Connection) -> None:
    made = [jobs.submit(db, "plan", {}, "ann", NOW) for _ in range(7)]
    seen: list[int] = []
    page = api.get(f"{JOBS}?limit=3").json()
    while True:
        seen += [job["id"] for job in page["items"]]
        if page["next"] is None:
            break
        made.append(jobs.submit(db, "plan", {}, "late", NOW))
        page = api.get(f"{JOBS}?limit=3&after={page['next']}").json()
    assert seen == made[:7][::-1]


def test_jobs_are_told_by_kind_and_state(api: Api, db: Connection) -> None:
    plan = jobs.submit(db, "plan", {}, "ann", NOW)
    other = jobs.submit(db, "other", {}, "ann", NOW)
    jobs.cancel(db, other, "ann", NOW)
    assert [job["id"] for job in api.get(f"{JOBS}?kind=plan").json()["items"]] == [plan]
    assert [job["id"] for job in api.get(f"{JOBS}?state=cancelled").json()["items"]] == [other]
    assert api.get(f"{JOBS}?kind=plan&state=cancelled").json()["items"] == []
    assert api.get(f"{JOBS}?state=lost").status_code == 400


def test_how_far_a_job_is_can_be_asked(api: Api, db: Connection) -> None:
    job = ask(api).json()["id"]
    task = jobs.take(db, ["plan"], "m:1", NOW)
    assert task is not None
    jobs.tell_progress(db, job, task.attempt, 0.4, "grouping pipes into works")
    told = api.get(f"{JOBS}/{job}").json()
    assert (told["state"], told["message"]) == ("running", "grouping pipes into works")
    assert told["progress"] == pytest.approx(0.4)
    jobs.finish(db, job, task.attempt, JobState.FAILED, NOW, message="there is no pipe to renew")
    told = api.get(f"{JOBS}/{job}").json()
    assert (told["state"], told["message"], told["result"]) == ("failed", "there is no pipe to renew", None)


def test_a_running_job_is_asked_to_end_by_name(api: Api, db: Connection) -> None:
    job = ask(api).json()["id"]
    jobs.take(db, ["plan"], "m:1", NOW)
    assert api.call("POST", f"{JOBS}/{job}/cancel", Role.ADMIN).json()["state"] == "running"
    [held] = jobs.keep_alive(db, "m:1", NOW)
    assert held.unwanted
    row = db.execute("SELECT cancelled_by FROM job WHERE job_id = %s", [job]).fetchone()
    assert row is not None
    assert str(row[0]).startswith("admin")


def test_a_job_that_is_not_there_is_not_found(api: Api, db: Connection) -> None:
    assert api.get(f"{JOBS}/999999").status_code == 404
    assert api.call("POST", f"{JOBS}/999999/cancel", Role.ENGINEER).status_code == 404
    for wrong in ("0", "-1", "x", str(2**63)):
        assert api.get(f"{JOBS}/{wrong}").status_code == 400, wrong


def test_the_kinds_say_who_may_and_what_may_be_asked(api: Api) -> None:
    for kind in api.get(f"{JOBS}/kinds").json():
        assert kind["role"] in list(Role)
        assert kind["parameters"]["type"] == "object"
        assert kind["what"]


def test_the_page_hears_of_a_job(api: Api, db: Connection) -> None:
    heard: list[set[str]] = []
    ready, done = threading.Event(), threading.Event()

    def listen() -> None:
        headers = {"Authorization": f"Bearer {api.key()}"}
        with httpx.stream("GET", f"{api.url}/api/v1/live", headers=headers, timeout=120) as stream:
            for line in stream.iter_lines():
                if line.startswith("data: "):
                    heard.append(set(json.loads(line.removeprefix("data: "))["what"]))
                    ready.set()
                    if len(heard) > 1 and "job" in heard[-1]:
                        done.set()
                        return

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    assert ready.wait(60)
    assert "job" in heard[0]
    for _ in range(20):
        jobs.submit(db, "plan", {}, "ann", NOW)
        if done.wait(0.5):
            break
    assert done.is_set(), heard
