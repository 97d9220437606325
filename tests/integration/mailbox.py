"""Where messages arrive, and the acts by which tests of notification cause them."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from lifeline.lifecycle import Event
from lifeline.storage import alerts as alert_storage
from lifeline.storage import endpoints, pacing
from tests.integration.receiver import Receiver
from tests.integration.test_alerts_delivery import Office, office  # noqa: F401 - a fixture


class Mailbox(Receiver):
    """Keeps what it is sent as it came: headers and bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.posts: list[tuple[dict[str, str], bytes]] = []

    def _take(self, headers: dict[str, str], body: bytes) -> None:
        self.posts.append(({name.lower(): value for name, value in headers.items()}, body))

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.posts]

    @property
    def types(self) -> list[str]:
        return [message["type"] for message in self.messages]


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as mailbox:
        yield mailbox


def add(office: Office, url: str, name: str = "one", **options: Any) -> str:
    secret = endpoints.add(office.connection, name, url, office.now, **options)
    office.connection.commit()
    return secret


def operate(office: Office, alert: alert_storage.Alert, event: Event) -> None:
    alert_storage.operate(office.connection, alert.alert_id, event, "wang", office.now)
    office.connection.commit()


def pace(office: Office, passed_s: float = 0) -> pacing.Paced:
    """Let time pass, do what is due, deliver it."""
    office.now += timedelta(seconds=passed_s)
    done = pacing.pace(office.connection, office.now)
    office.connection.commit()
    office.work()
    return done
