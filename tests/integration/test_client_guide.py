"""The guide for who writes a client: its program, word for word, does against a real API what it says."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from lifeline.model import Level, Role
from lifeline.storage.database import connect
from tests.api_process import Api, running_api
from tests.integration.receiver import SECRET
from tests.integration.town import NETWORKS, build, empty, open_alert
from tests.pictures import phone_photo

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "write-a-client.md"
Client = dict[str, Any]
"""What the program of the guide defines, by name."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def api(database_dsn: str) -> Iterator[Api]:
    """A town with an incident for each network, the one of gas the worst."""
    empty(database_dsn)
    with connect(database_dsn) as connection:
        ids = build(connection)
        for number, network in enumerate(NETWORKS, 1):
            level = Level.RED if network == "gas" else Level.YELLOW
            open_alert(connection, ids[network], level)
            connection.execute(
                "INSERT INTO incident (level, worst_level, networks, causes, lead_alert, response_alert, first_seen,"
                " opened_at, updated_at, unattended_since) VALUES (%(level)s, %(level)s, %(networks)s, %(causes)s,"
                " %(alert)s, %(alert)s, now(), now(), now(), now())",
                {"level": level, "networks": [network], "alert": number, "causes": json.dumps([CAUSE])},
            )
            connection.execute("UPDATE alert SET incident_id = %s WHERE alert_id = %s", [number, number])
    with running_api(database_dsn) as process:
        yield process


CAUSE = {"cause": "unknown", "share": 1, "title": {"en": "x", "zh": "x"}, "advice": {"en": "x", "zh": "x"},
         "for": [], "against": []}  # fmt: skip


@pytest.fixture(scope="module")
def client(api: Api) -> Iterator[Client]:
    """The guide's program, started as it says; it waits for nothing where it would sleep."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIFELINE_URL", api.url)
        patch.setenv("LIFELINE_KEY", api.key(Role.FIELD))
        found: Client = {"__name__": "client"}
        exec(compile("\n".join(blocks("python")), str(GUIDE), "exec"), found)
    yield found
    found["city"].close()


def test_pages_lead_through_all_incidents_the_worst_first(client: Client) -> None:
    found = list(client["incidents"](limit="1"))
    assert [each["id"] for each in found] == [1, 3, 2], "red, then the newest of the yellow ones"
    assert [each["id"] for each in client["incidents"](network="water")] == [2]
    with pytest.raises(RuntimeError, match="400: unknown parameter 'networks'"):
        list(client["incidents"](networks="water"))


def test_the_incident_of_the_guide_looks_as_a_real_one(client: Client) -> None:
    shown, real = json.loads(blocks("json")[0]), next(client["incidents"]())
    assert set(shown) <= set(real)
    for name, value in shown.items():
        assert value is None or real[name] is None or type(value) is type(real[name]), name
    assert datetime.fromisoformat(real["opened_at"]).utcoffset() == timedelta(0)
    assert (shown["level"], shown["phase"]) == (real["level"], real["phase"])


def test_an_acknowledgement_is_told_to_all_and_a_second_one_is_a_conflict(client: Client, api: Api) -> None:
    (water,) = client["incidents"](network="water")
    answer = client["acknowledge"](water, "on our way")
    assert {"step", "next", "due_at", "version", "history"} <= set(answer)
    (alert,) = water["alert_ids"]
    now = api.get(f"/api/v1/alerts/{alert}").json()
    assert (now["state"], now["acknowledged_by"]) == ("ACKED", f"field-{api.port}")
    with pytest.raises(RuntimeError, match="409: "):
        client["acknowledge"](water, "again")


class Breaking(httpx.HTTPTransport):
    """A line that breaks ``times`` times after the request went out and before its answer came."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = super().handle_request(request)
        if self.times:
            self.times -= 1
            answer.read()
            raise httpx.ReadError("the line broke")
        return answer


def test_what_got_no_answer_is_sent_again_and_done_once(
    client: Client, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setitem(client, "time", SimpleNamespace(sleep=waits.append))
    line = Breaking(2)
    with httpx.Client(base_url=api.url, headers=client["city"].headers, transport=line) as poor:
        monkeypatch.setitem(client, "city", poor)
        answer = client["act"]("/api/v1/incidents/1/notes", {"note": "said over a poor line"})
        assert (answer["incident"], waits) == (1, [2, 2])
        assert api.get("/api/v1/incidents/1/response").text.count("said over a poor line") == 1
        line.times = 5
        with pytest.raises(RuntimeError, match="no answer after five attempts"):
            client["act"]("/api/v1/incidents/1/notes", {"note": "x"})


def test_the_stream_goes_on_where_it_broke_off(client: Client, api: Api) -> None:
    """The API itself goes away and comes back: the first event names everything, so nothing of the gap is missed."""
    changes = client["changes"]()
    first = next(changes)
    assert {"alert", "incident", "risk", "report", "handover"} <= first
    assert next(client["watch"]())["id"] == 1, "what nobody attends to, told at the start too"
    client["act"]("/api/v1/incidents/1/notes", {"note": "something changed"})
    seen: set[str] = set()
    while not {"alert", "incident"} & seen:
        seen |= next(changes)
    assert api.end()[0] == 0
    api.start()
    while (again := next(changes)) != first:
        assert again <= first
    changes.close()


def test_a_key_that_ended_ends_the_stream_with_its_reason(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    with httpx.Client(base_url=client["city"].base_url, headers={"Authorization": "Bearer llk_no"}) as stranger:
        monkeypatch.setitem(client, "city", stranger)
        with pytest.raises(RuntimeError, match="401: this key is not valid"):
            next(client["changes"]())


def test_a_document_that_did_not_change_is_not_sent_again(client: Client) -> None:
    path = "/ogc/collections/assets/items/G-P0"
    first = client["fresh"](path)
    assert client["fresh"](path) is first
    with pytest.raises(RuntimeError, match="404: "):
        client["fresh"]("/ogc/collections/assets/items/none")


def test_the_report_of_the_guide_is_kept_once_with_its_photo(client: Client, api: Api) -> None:
    report = json.loads(blocks("json")[1])
    kept, again = client["hand_in"](report, phone_photo()), client["hand_in"](report)
    assert (kept["id"], len(again["photos"])) == (again["id"], 1)
    assert {name: again[name] for name in report} == report


def signed(body: bytes, at: datetime, number: str = "msg_1") -> dict[str, str]:
    signature = Webhook(SECRET).sign(number, at, body.decode())
    told = {"webhook-id": number, "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": signature}
    return told | {"content-type": "application/json"}


def test_a_webhook_is_taken_once_and_a_forged_or_old_one_never(client: Client) -> None:
    body, now = b'{"type": "endpoint.test", "data": {}}', datetime.now(UTC)
    assert client["take"](SECRET, signed(body, now), body) == json.loads(body)
    assert client["take"](SECRET, signed(body, now), body) is None, "it comes again where an answer was lost"
    for headers, sent in (
        (signed(body, now, "msg_2"), body.replace(b"{}", b"[]")),
        (signed(body, now, "msg_2") | {"webhook-id": "msg_3"}, body),
        (signed(body, now - timedelta(minutes=6), "msg_2"), body),
    ):
        with pytest.raises(WebhookVerificationError):
            client["take"](SECRET, headers, sent)
