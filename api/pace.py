"""How much one may do in a while: a key that hands in reports, an address of which the log tells."""

from collections import OrderedDict, deque
from threading import Lock

_REMEMBERED = 1000


class Pace:
    """Counts what each name does by a monotonic clock. Bounded: beyond 1,000 names the oldest is forgotten."""

    def __init__(self, most: int, window_s: float = 60.0) -> None:
        self._most, self._window_s, self._lock = most, window_s, Lock()
        self._sent: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_s(self, name: str, at: float) -> float:
        """Count one at ``at`` seconds; where it is too many, how long to wait: then it does not count."""
        with self._lock:
            sent = self._sent.setdefault(name, deque(maxlen=self._most))
            self._sent.move_to_end(name)
            if len(self._sent) > _REMEMBERED:
                self._sent.popitem(last=False)
            if len(sent) == self._most and at - sent[0] < self._window_s:
                return self._window_s - (at - sent[0])
            sent.append(at)
            return 0.0
