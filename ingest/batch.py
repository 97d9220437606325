"""Messages as they came, in columns: what travels from the reader to a writer and back as one acknowledgement."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Batch:
    """Messages of one connection, in order; ``mids`` holds 0 for those that need no acknowledgement (QoS 0).

    ``redelivered`` and ``retained`` hold places; ``cut`` maps the place of a message that was too large to its length.
    ``suspect``: among the first messages after a reconnection, where the broker repeats what it has no answer to, and
    after a crash of its own without the DUP mark. ``born`` and ``handed_over`` are monotonic times of the first message
    and of the hand-over to a writer. ``done`` is set once everything is committed.
    """

    connection: int
    topics: list[bytes] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)
    mids: list[int] = field(default_factory=list)
    redelivered: set[int] = field(default_factory=set)
    retained: set[int] = field(default_factory=set)
    cut: dict[int, int] = field(default_factory=dict)
    suspect: bool = False
    size: int = 0
    born: float = 0.0
    handed_over: float = 0.0
    received_at: datetime = EPOCH
    done: Event = field(default_factory=Event)

    def __len__(self) -> int:
        return len(self.topics)

    def part(self, start: int, stop: int) -> "Batch":
        """Messages ``start`` to ``stop`` as a batch of their own; the acknowledgement stays with the whole."""
        return Batch(
            connection=self.connection,
            topics=self.topics[start:stop],
            payloads=self.payloads[start:stop],
            mids=self.mids[start:stop],
            redelivered={place - start for place in self.redelivered if start <= place < stop},
            retained={place - start for place in self.retained if start <= place < stop},
            cut={place - start: size for place, size in self.cut.items() if start <= place < stop},
            suspect=self.suspect,
            received_at=self.received_at,
        )


@dataclass(slots=True)
class Reject:
    """Something that goes to quarantine: a whole message, or one reading of it when ``channel`` is known.

    ``row`` tells the readings of a message apart; ``ts`` is in microseconds since 1970.
    """

    message: int
    reason: str
    detail: str
    channel: str | None = None
    ts: int | None = None
    value: float | None = None
    row: int = 0
