"""The same function over many items: on this machine's cores, or on a Dask cluster. The answers are the same.

Items go in parts of a few; a worker keeps what it opened (a model, say) from one part to the next. Answers come in the
order of the items, whatever order they were made in.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any, TypeVar

from lifeline.errors import ConfigurationError, LifelineError
from lifeline.planning import Progress
from lifeline.planning.lifetime import tie_to_parent

T = TypeVar("T")
R = TypeVar("R")

PARTS_A_WORKER = 8
"""Parts of work for each worker: enough that none waits long for the last, few enough to send."""
CONNECT_S = 20
SHORT_S = 3.0
"""What takes no longer than this is not worth starting processes for."""


class PoolError(LifelineError):
    """A worker died, or the cluster cannot be reached; the message says what to look at."""


def map_over(
    function: Callable[[T], R],
    items: Sequence[T],
    *,
    cluster: str | None = None,
    progress: Progress | None = None,
    what: str = "",
    workers: int | None = None,
) -> list[R]:
    """``function`` of every item, in order. It must be importable, and give the same for the same item.

    ``cluster``: address of a Dask scheduler (``tcp://host:8786``), else the cores of this machine. Raises PoolError,
    ConfigurationError where Dask is not installed, and whatever ``function`` raises.
    """
    if not items:
        return []
    if cluster is not None:
        return _on_cluster(function, items, cluster, progress, what)
    count = min(workers or os.cpu_count() or 1, len(items))
    if count <= 1 or (workers is None and _is_short(function, items)):
        return _here(function, items, progress, what)
    parts = list(_parts(items, count))
    context = get_context("spawn")  # a fork of a process with threads may hold their locks for ever
    with ProcessPoolExecutor(count, mp_context=context, initializer=tie_to_parent, initargs=(os.getpid(),)) as pool:
        futures: list[Future[list[R]]] = [pool.submit(_part, function, part) for part in parts]
        try:
            _wait(futures, [len(part) for part in parts], progress, what)
            return [answer for future in futures for answer in future.result()]
        except BrokenProcessPool as error:
            raise PoolError("a worker process died, of memory perhaps: see the log, or use fewer workers") from error
        finally:
            for future in futures:
                future.cancel()


def _part(function: Callable[[T], R], items: Sequence[T]) -> list[R]:
    return [function(item) for item in items]


def _parts(items: Sequence[T], workers: int) -> Iterator[Sequence[T]]:
    size = max(1, -(-len(items) // (workers * PARTS_A_WORKER)))
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _is_short(function: Callable[[T], R], items: Sequence[T]) -> bool:
    """Whether all is done here before processes would have started: the second item tells, the first opens things."""
    for item in items[:1]:
        function(item)
    began = time.perf_counter()
    for item in items[1:2]:
        function(item)
    return (time.perf_counter() - began) * len(items) < SHORT_S


def _here(function: Callable[[T], R], items: Sequence[T], progress: Progress | None, what: str) -> list[R]:
    answers = []
    for done, item in enumerate(items, 1):
        answers.append(function(item))
        if progress is not None:
            progress(done / len(items), what)
    return answers


def _wait(futures: Sequence[Future[Any]], sizes: Sequence[int], progress: Progress | None, what: str) -> None:
    size_of = dict(zip(futures, sizes, strict=True))
    left, done = set(futures), 0
    while left:
        ended, left = wait(left, return_when=FIRST_COMPLETED)
        for future in ended:
            future.result()  # raises at once what the function raised
            done += size_of[future]
        if progress is not None:
            progress(done / sum(sizes), what)


def _on_cluster(
    function: Callable[[T], R], items: Sequence[T], address: str, progress: Progress | None, what: str
) -> list[R]:
    try:
        import distributed
    except ImportError as error:
        raise ConfigurationError("a cluster needs the extra: pip install 'lifeline[cluster]'") from error
    try:
        client: Any = _untyped(distributed).Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise PoolError(f"the Dask scheduler at {address} cannot be reached: {error}") from error
    with client:
        threads = sum(client.nthreads().values())
        if not threads:
            raise PoolError(f"the Dask scheduler at {address} has no workers")
        parts = list(_parts(items, threads))
        futures = [client.submit(_part, function, part, pure=False) for part in parts]
        size_of, done = {future.key: len(part) for future, part in zip(futures, parts, strict=True)}, 0
        for future in _untyped(distributed).as_completed(futures, loop=client.loop):
            future.result()
            done += size_of[future.key]
            if progress is not None:
                progress(done / len(items), what)
        return [answer for part in client.gather(futures) for answer in part]


def _untyped(module: Any) -> Any:
    """The package as it is: it has no types."""
    return module
