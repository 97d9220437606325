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
from tests.acceptance.commands import Started, gone, lifeline, truth
from tests.api_process import until
from tests.ports import listeners

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("programs")]


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="lifeline-demo-"))
    yield made
    shutil.rmtree(made)


def fetch(url: str, key: str, path: str) -> bytes:
    request = urllib.request.Request(f"{url}{path}", headers={"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return bytes(answer.read())


def ask(url: str, key: str, path: str) -> Any:
    return json.loads(fetch(url, key, path))


def page_and_key(text: str) -> tuple[str, str]:
    found = re.search(r"page +(http://\S+/)#key=(llk_\S+)", text)
    assert found is not None, text
    return found[1], found[2]


class Witness:
    """Looks at the map as a page does, all through a run, and afterwards asks for what it saw: cells of every size and
    pipes, byte for byte."""

    PATHS = (*(f"api/v1/risk/cells?resolution={size}" for size in (8, 9, 10)), "api/v1/risk/segments?limit=20000")

    def __init__(self, url: str, key: str) -> None:
        self.url, self.key = url, key
        self.looks: dict[str, list[tuple[datetime, datetime, bytes]]] = {path: [] for path in self.PATHS}

    def look(self) -> None:
        for path, looks in self.looks.items():
            before = datetime.now(UTC)
            seen = fetch(self.url, self.key, path)
            looks.append((before, datetime.now(UTC), seen))

    def pairs(self) -> int:
        """Of the map that changed most: how many times two looks after each other saw the same."""
        return min(sum(one[2] == other[2] for one, other in pairwise(looks)) for looks in self.looks.values())

    def ask_again(self) -> dict[str, tuple[int, int]]:
        """By path, moments between two looks that saw the same, each asked for again: how many, how many other maps."""
        return {path: self._ask_again(path, looks) for path, looks in self.looks.items()}

    def _ask_again(self, path: str, looks: list[tuple[datetime, datetime, bytes]]) -> tuple[int, int]:
        maps = []
        for one, other in pairwise(looks):
            if one[2] == other[2]:
                moment = one[1] + (other[0] - one[1]) / 2
                then = fetch(self.url, self.key, f"{path}&at={moment.isoformat().replace('+00:00', 'Z')}")
                assert then == one[2], f"the map of {moment} is not the one that was served: {path}"
                maps.append(then)
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
        with urllib.request.urlopen(url, timeout=60) as page:
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
        until(lambda: time.sleep(1) or witness.look() or witness.pairs() >= 4, "looks that saw the same map")
        asked = witness.ask_again()
        assert min(moments for moments, _ in asked.values()) >= 3, asked
        assert min(maps for _, maps in asked.values()) >= 1, asked
        near = ask(url, key, "api/v1/facilities")["items"]
        assert {each["kind"] for each in near} >= {"hospital", "school"}
        assert all(each["assets"] > 0 for each in near)
        ports = (first.running.mqtt_port, int(url.rstrip("/").rpartition(":")[2]))
        sockets = listeners(*ports)
        assert len(sockets) >= 2
        assert first.interrupt() == 0
        assert gone(first)
        until(lambda: not sockets & listeners(*ports), "ports that are closed")
    finally:
        first.clean_up()

    began = time.monotonic()
    second = Started(folder, command="demo")
    try:
        text = second.wait_for("Ctrl-C stops everything")
        took = time.monotonic() - began
        assert took < 20, f"{took:.1f} s"
        assert page_and_key(text)[1] == key
        assert "applied" not in text  # the data was kept
        assert second.interrupt() == 0
    finally:
        second.clean_up()
    assert gone(second)
