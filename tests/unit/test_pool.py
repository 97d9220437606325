"""The pool: the same answers in the same order, on one core, on several, and errors that are told."""

import os
from functools import partial

import pytest

from lifeline.errors import ConfigurationError
from lifeline.planning.pool import PARTS_A_WORKER, PoolError, map_over


def square(number: int, plus: int = 0) -> int:
    return number * number + plus


def worker_of(_: int) -> int:
    return os.getpid()


def refuse(number: int) -> int:
    if number == 7:
        raise ConfigurationError("seven is refused")
    return number


def die(number: int) -> int:
    if number == 3:
        os._exit(9)
    return number


def test_two_processes_give_what_one_gives_in_the_same_order():
    items = list(range(53))
    told: list[tuple[float, str]] = []
    function = partial(square, plus=1)
    several = map_over(
        function, items, workers=2, progress=lambda share, what: told.append((share, what)), what="squares"
    )
    assert several == map_over(function, items, workers=1) == [each * each + 1 for each in items]
    assert told[-1] == (1.0, "squares")
    assert [share for share, _ in told] == sorted(share for share, _ in told)
    assert 1 < len(told) <= 2 * PARTS_A_WORKER


def test_the_work_is_done_in_other_processes():
    assert os.getpid() not in map_over(worker_of, range(4), workers=2)
    assert map_over(worker_of, range(4), workers=1) == [os.getpid()] * 4


def test_nothing_to_do_starts_nothing():
    assert map_over(square, [], cluster="tcp://nowhere:1") == []


@pytest.mark.parametrize("workers", [1, 2])
def test_what_the_function_raises_reaches_the_caller(workers):
    with pytest.raises(ConfigurationError, match="seven is refused"):
        map_over(refuse, range(20), workers=workers)


def test_a_worker_that_dies_is_an_error_that_says_so():
    with pytest.raises(PoolError, match="worker process died"):
        map_over(die, range(20), workers=2)


def test_a_cluster_that_is_not_there_is_an_error_that_names_it(monkeypatch):
    monkeypatch.setattr("lifeline.planning.pool.CONNECT_S", 0.5)
    with pytest.raises(PoolError, match=r"tcp://127\.0\.0\.1:9 cannot be reached"):
        map_over(square, [1], cluster="tcp://127.0.0.1:9")
