"""Drives the load in a thread of its own, so that services can be killed meanwhile."""

import threading
import time

from lifeline.loading.packets import Packets
from lifeline.loading.profile import Profile
from lifeline.loading.publisher import Publisher

BLOCK = 2_000
TICK_S = 0.002


class Drive(threading.Thread):
    """Offers what is due, and ends when the broker has all of it. ``failure``: what went wrong."""

    def __init__(self, packets: Packets, publisher: Publisher, profile: Profile) -> None:
        super().__init__(name="load", daemon=True)
        self._packets, self._publisher, self._profile = packets, publisher, profile
        self.began = 0.0
        self.cpu_s = 0.0
        self.offered_s = 0.0
        """Seconds until the last message was sent."""
        self.failure: Exception | None = None
        self.give_up = threading.Event()

    def run(self) -> None:
        self.began = time.monotonic()
        try:
            while not self._done() and not self.give_up.is_set():
                self._offer(time.monotonic() - self.began)
                self._publisher.turn(TICK_S)
            self._publisher.close()
        except Exception as error:  # noqa: BLE001 - told by who started the thread
            self.failure = error
        self.cpu_s = time.thread_time()

    def _offer(self, since: float) -> None:
        if self._profile.silent(since):
            return
        waiting = self._profile.due(since) - self._packets.messages
        count = int(min(waiting, self._publisher.room, BLOCK))
        if count > 0:
            self._publisher.send(self._packets.next(count, int(time.time() * 1000)), count)
            self.offered_s = since

    def _done(self) -> bool:
        since = time.monotonic() - self.began
        over = since >= self._profile.seconds
        all_offered = not self._profile.rate or self._packets.messages >= int(self._profile.due(since))
        return over and all_offered and not self._publisher.unacknowledged
