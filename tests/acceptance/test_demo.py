"""`lifeline demo` as a user runs it: a city within a minute or two, and nothing left of it after Ctrl-C."""

import json
import re
import shutil
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from lifeline.errors import ServiceError
from tests.acceptance.commands import Started, gone, lifeline, listens, truth

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("programs")]


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="lifeline-demo-"))
    yield made
    shutil.rmtree(made)


def ask(url: str, key: str, path: str) -> Any:
    request = urllib.request.Request(f"{url}{path}", headers={"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def page_and_key(text: str) -> tuple[str, str]:
    found = re.search(r"page +(http://\S+/)#key=(llk_\S+)", text)
    assert found is not None, text
    return found[1], found[2]


class Witness:
    """Looks at the map as a page does, and afterwards asks for what it saw."""

    def __init__(self, url: str, key: str) -> None:
        self.url, self.key = url, key
        self.looks: list[tuple[datetime, datetime, Any]] = []

    def look(self) -> None:
        before = datetime.now(UTC)
        seen = ask(self.url, self.key, "api/v1/risk/cells")
        self.looks.append((before, datetime.now(UTC), seen))

    def ask_again(self) -> tuple[int, int]:
        """Moments between two looks that saw the same, each asked for again: how many, and how many other maps."""
        maps = []
        for one, other in pairwise(self.looks):
            if one[2] == other[2]:
                moment = one[1] + (other[0] - one[1]) / 2
                then = ask(self.url, self.key, f"api/v1/risk/cells?at={moment.isoformat().replace('+00:00', 'Z')}")
                assert then == one[2], f"the map of {moment} is not the one that was served"
                maps.append(json.dumps(then))
        return len(maps), len(set(maps))


def wait_for_risk_alert(url: str, key: str, seconds: float, witness: Witness) -> dict[str, Any]:
    """The first open alert of kind risk: a silent sensor is no event of the city."""
    deadline = time.monotonic() + seconds
    while True:
        witness.look()
        alerts = ask(url, key, "api/v1/alerts")["items"]
        risks = [alert for alert in alerts if alert["kind"] == "risk"]
        if risks:
            return dict(risks[0])
        if time.monotonic() > deadline:
            raise ServiceError(f"no risk alert within {seconds:.0f} s: {alerts}")
        time.sleep(1)


def test_the_demo_ends_in_a_running_city_and_starts_again_at_once(folder: Path) -> None:
    first = Started(folder, command="demo")
    try:
        url, key = page_and_key(first.wait_for("Ctrl-C stops everything", 180))
        shown = time.monotonic()
        with urllib.request.urlopen(url, timeout=10) as page:
            assert b"<html" in page.read().lower()
        networks = {item["network"] for item in ask(url, key, "api/v1/assets?limit=1000")["items"]}
        assert networks == {"gas", "water", "drainage"}
        witness = Witness(url, key)
        alert = wait_for_risk_alert(url, key, 120 - (time.monotonic() - shown), witness)
        assert alert["network"] in networks
        assert truth(first.home.path / "truth.jsonl")
        scored = lifeline("score", "--home", folder, "--each").stdout
        assert "gas_leak" in scored
        assert "demo-1-1" in scored
        assert "they agree with the tables" in lifeline("status", "--home", folder).stdout
        for _ in range(5):
            witness.look()
            time.sleep(1)
        moments, maps = witness.ask_again()
        assert moments >= 3
        assert maps >= 1
        broker = first.running.mqtt_port
        assert first.interrupt() == 0
        assert gone(first)
        assert not any(listens(port) for port in (broker, int(url.rstrip("/").rpartition(":")[2])))
    finally:
        first.clean_up()

    began = time.monotonic()
    second = Started(folder, command="demo")
    try:
        text = second.wait_for("Ctrl-C stops everything", 60)
        took = time.monotonic() - began
        assert took < 20, f"{took:.1f} s"
        assert page_and_key(text)[1] == key
        assert "applied" not in text  # the data was kept
        assert second.interrupt() == 0
    finally:
        second.clean_up()
    assert gone(second)
