"""Maps of scopes under many askers: waiting, drawing and what is held have limits."""

from collections.abc import Iterator
from datetime import UTC, datetime
from threading import Event, Lock, Thread
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from api import riskmap, scopemaps
from api.problems import ProblemError
from api.scopemaps import DRAWN_AT_ONCE, KEPT, ScopeMaps
from lifeline.principal import Scope
from lifeline.storage.riskmap import Newest
from tests.unit.test_api_riskmap import NOW, ground_of, pipe, sensor


class Desk(ScopeMaps):
    """Draws as fast as it is let to, and counts."""

    def __init__(self) -> None:
        self.whole = SimpleNamespace(number=1, ground=None)
        super().__init__(SimpleNamespace(current=self.whole), None, None, None, lambda: NOW)  # type: ignore[arg-type]
        self.go, self.counting = Event(), Lock()
        self.drawn = self.busy = self.most = 0

    def _draw(self, *_: Any) -> Any:
        with self.counting:
            self.drawn, self.busy = self.drawn + 1, self.busy + 1
            self.most = max(self.most, self.busy)
        assert self.go.wait(60)
        with self.counting:
            self.busy -= 1
        return SimpleNamespace(ground=SimpleNamespace(ids=range(10)), of=self.whole.number)


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(scopemaps, "WAIT_S", 0.05)
    made = Desk()
    yield made
    made.go.set()


def scope(number: int) -> Scope:
    return Scope(None, (f"Z-{number}",))


def test_who_asks_while_too_many_are_drawn_is_told_to_come_again(desk: Desk) -> None:
    threads = [Thread(target=desk.current, args=[scope(number)]) for number in range(DRAWN_AT_ONCE)]
    for thread in threads:
        thread.start()
    while desk.busy < DRAWN_AT_ONCE:
        threads[0].join(0.001)
    for number in (0, DRAWN_AT_ONCE):  # one that is being drawn, and one more
        with pytest.raises(ProblemError) as refused:
            desk.current(scope(number))
        assert (refused.value.status, dict(refused.value.headers or {})) == (503, {"Retry-After": "5"})
    desk.go.set()
    for thread in threads:
        thread.join(60)
    assert desk.most == DRAWN_AT_ONCE
    assert desk.current(scope(DRAWN_AT_ONCE)).ground


def test_who_has_a_map_gets_the_one_before_while_the_next_is_drawn(desk: Desk) -> None:
    desk.go.set()
    before = desk.current(scope(1))
    desk.go.clear()
    desk.whole.number = 2
    thread = Thread(target=desk.current, args=[scope(1)])
    thread.start()
    while not desk.busy:
        thread.join(0.001)
    assert desk.current(scope(1)) is before
    desk.go.set()
    thread.join(60)
    assert desk.current(scope(1)) is not before


def test_as_many_scopes_as_are_held_are_drawn_once_each(desk: Desk) -> None:
    desk.go.set()
    for _ in range(3):
        for number in range(KEPT):
            desk.current(scope(number))
    assert desk.drawn == KEPT


def test_large_maps_are_held_in_smaller_number_and_one_always_is(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.go.set()
    monkeypatch.setattr(scopemaps, "KEPT_ASSETS", 25)  # two maps of ten
    for number in (1, 2, 3, 2, 3, 1):
        desk.current(scope(number))
    assert desk.drawn == 4
    monkeypatch.setattr(scopemaps, "KEPT_ASSETS", 5)
    for _ in range(3):
        desk.current(scope(9))
    assert desk.drawn == 5


def test_how_new_a_map_is_follows_from_its_own_sensors_alone() -> None:
    ground = ground_of([pipe(0), pipe(1)], [sensor(1, 0), sensor(3, 1)])
    newest = Newest(np.array([1, 2, 3]), np.array([100.0, 900.0, 200.0]))  # the second is another network's
    moment = datetime.fromtimestamp(1000, UTC)
    assert riskmap.build(ground, [], newest, moment).data_as_of == 200.0
    silent = ground_of([pipe(0)], [sensor(7, 0)])
    assert riskmap.build(silent, [], newest, moment).data_as_of is None
    assert riskmap.build(ground_of([pipe(0)]), [], newest, moment).data_as_of is None
