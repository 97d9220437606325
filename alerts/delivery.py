"""Delivers messages to endpoints by Standard Webhooks 1.0: signed, retried, logged, each with one id for ever.

At least once: a receiver that keeps the ids that it has seen gets each event exactly once. Attempts run in threads, few
of one endpoint at a time, so that one that is slow holds up nobody but itself, and none longer than the time-out.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock

import httpx
import structlog
from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook

from alerts import chat, metrics
from alerts.deadline import Deadline, within
from alerts.egress import GuardedTransport, RefusedAddressError
from alerts.retry import next_delay, retry_after
from lifeline.errors import StorageError
from lifeline.fieldlink import links_for
from lifeline.messages import FORMATS
from lifeline.messages import chat as chat_format
from lifeline.messages.message import Message, Reference
from lifeline.model import Level
from lifeline.storage import outbox
from lifeline.storage.database import Pool, storage_errors
from lifeline.storage.outbox import Claim, DeliveryState

THREADS = 32
PER_ENDPOINT = 4
LEASE_MARGIN_S = 60.0
CHAT = "chat"

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an attempt brought. ``error`` is empty where the receiver took the message."""

    status_code: int | None
    error: str
    retry_after_s: float | None
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Style:
    """What this city puts into every message. ``link_secret`` empty: no field links."""

    public_url: str = ""
    sender: str = "lifeline"
    status: str = "Actual"
    link_secret: str = ""
    link_lifetime: timedelta = timedelta(hours=24)

    def message(self, claim: Claim) -> Message:
        """The message of a delivery as its format wants it. Raises ValueError."""
        links = {}
        if claim.links and self.link_secret and self.public_url:
            links = links_for(
                self.link_secret, self.public_url, claim.message_id, claim.endpoint_id, claim.body, self.link_lifetime
            )
        return Message(
            claim.message_id,
            claim.body,
            claim.endpoint,
            self.sender,
            self.public_url,
            self.status,
            tuple(Reference(*earlier) for earlier in claim.references),
            links,
        )


class Courier:
    """Carries messages. ``clock`` gives the time of each attempt."""

    def __init__(
        self,
        pool: Pool,
        clock: Callable[[], datetime],
        *,
        timeout_s: float = 20,
        allowed: Collection[str] = (),
        style: Style | None = None,
    ) -> None:
        self._pool, self._clock, self._timeout_s, self._style = pool, clock, timeout_s, style or Style()
        self._allowed = allowed
        self._client = httpx.Client(
            transport=GuardedTransport(allowed), timeout=timeout_s, follow_redirects=False, trust_env=False
        )
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="delivery")
        self._lock = Lock()
        self._busy: Counter[int] = Counter()
        self._in_flight: set[int] = set()

    def run(self, now: datetime) -> list[Future[None]]:
        """Fan out what is new and start the attempts that are due; give them, running."""
        with self._lock:
            spare = THREADS - len(self._in_flight)
            free = {endpoint: max(PER_ENDPOINT - busy, 0) for endpoint, busy in self._busy.items() if busy}
        lease = now + timedelta(seconds=self._timeout_s + LEASE_MARGIN_S)
        with storage_errors(), self._pool.connection() as connection:
            outbox.fan_out(connection, now)
            claims = outbox.claim(connection, now, lease, per_endpoint=PER_ENDPOINT, free=free, limit=spare)
        return [self._start(claim) for claim in claims if claim.delivery_id not in self._in_flight]

    def close(self) -> None:
        """Finish what is on its way; what is not begins again with the next start."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._client.close()

    def _start(self, claim: Claim) -> Future[None]:
        with self._lock:
            self._busy[claim.endpoint_id] += 1
            self._in_flight.add(claim.delivery_id)
        return self._threads.submit(self._carry, claim)

    def _carry(self, claim: Claim) -> None:
        try:
            self._settle(claim, self._attempt(claim))
        except StorageError as error:
            _log.warning("attempt not recorded, it will be repeated", message_id=claim.message_id, error=str(error))
        finally:
            with self._lock:
                self._busy[claim.endpoint_id] -= 1
                self._in_flight.discard(claim.delivery_id)

    def _attempt(self, claim: Claim) -> Outcome:
        started = time.monotonic()
        with within(self._timeout_s) as deadline:
            if claim.format == CHAT:
                status, error, wait_s = None, self._talk(claim), None
            else:
                status, error, wait_s = self._post(claim)
        if error and status is None:
            error = _late(error, deadline)
        return Outcome(status, error, wait_s, round((time.monotonic() - started) * 1000))

    def _post(self, claim: Claim) -> tuple[int | None, str, float | None]:
        """The answer's status, what is wrong and how long to wait. The answer's body is of no interest and not read."""
        try:
            content, media_type = FORMATS[claim.format](self._style.message(claim))
            headers = sign(claim.secret, claim.message_id, self._clock(), content, media_type)
            with self._client.stream("POST", claim.url, content=content, headers=headers) as response:
                wait_s = retry_after(response.headers.get("retry-after"), self._clock())
                return response.status_code, "" if response.is_success else f"HTTP {response.status_code}", wait_s
        except (httpx.HTTPError, httpx.InvalidURL, RefusedAddressError, ValueError) as problem:
            return None, f"{type(problem).__name__}: {problem}"[:500], None

    def _talk(self, claim: Claim) -> str:
        try:
            title, text = chat_format.encode(self._style.message(claim))
            chat.send(claim.secret, title, text, red=claim.level == Level.RED, allowed=self._allowed)
        except chat.ChatError as problem:
            return str(problem)[:500]
        except (RefusedAddressError, OSError, ValueError) as problem:
            return f"{type(problem).__name__}: {problem}"[:500]
        return ""

    def _settle(self, claim: Claim, outcome: Outcome) -> None:
        at = self._clock()
        state, again = DeliveryState.DELIVERED, None
        if outcome.error:
            chance = random.random()  # noqa: S311
            delay = next_delay(claim.level, claim.attempts, outcome.status_code, outcome.retry_after_s, chance)
            if delay is None or outcome.status_code == httpx.codes.GONE:
                state = DeliveryState.FAILED
            else:
                state, again = DeliveryState.PENDING, at + timedelta(seconds=delay)
        with storage_errors(), self._pool.connection() as connection:
            outbox.record(
                connection,
                claim.delivery_id,
                at,
                state=state,
                status_code=outcome.status_code,
                error=outcome.error,
                duration_ms=outcome.duration_ms,
                next_attempt_at=again,
            )
            if outcome.status_code == httpx.codes.GONE:
                outbox.disable(connection, claim.endpoint_id, "the receiver answered 410 Gone")
        metrics.DELIVERIES.labels({"pending": "retry"}.get(state, state.value)).inc()
        if outcome.error:
            _log.warning(
                "delivery failed", endpoint=claim.endpoint, error=outcome.error, attempts=claim.attempts, again=again
            )


def _late(error: str, deadline: Deadline) -> str:
    """What went wrong; that the time was over where it was, as the broken connection alone would not tell."""
    return f"no whole answer within {deadline.seconds:g} s: {error}"[:500] if deadline.passed else error


def sign(
    secrets: str, message_id: str, at: datetime, content: bytes, media_type: str = "application/json"
) -> dict[str, str]:
    """The headers of Standard Webhooks for this attempt; while a secret is replaced, a signature by each.

    ``secrets`` are separated by spaces. Raises ValueError for a secret that is none.
    """
    try:
        signatures = [Webhook(secret).sign(message_id, at, content.decode()) for secret in secrets.split() or [""]]
    except EmptyWebhookSecretError as error:
        raise ValueError("the endpoint has no secret") from error
    return {
        "content-type": media_type,
        "user-agent": "Lifeline",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
