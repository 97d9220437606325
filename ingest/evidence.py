"""What of a batch is no reading: rows for quarantine, and which devices were heard."""

import json
from datetime import datetime, timedelta
from hashlib import blake2b

import numpy as np

from ingest.batch import EPOCH, Batch, Reject
from ingest.check import Checked
from ingest.decode import Decoded
from ingest.inventory import Inventory
from lifeline.model import Reason
from lifeline.storage.columns import Int64s
from lifeline.storage.ingest import Quarantined, Readings, Sightings

SEEN_EVERY_S = 5.0
"""A device without sequence numbers has its last_seen written this often at most."""
_DETAIL, _NAME = 500, 200


def quarantined(batch: Batch, rejects: list[Reject]) -> list[Quarantined]:
    """The first bad reading of a message keeps the message's bytes, the others of the same message only themselves:
    a pack of a thousand bad readings must not be kept a thousand times."""
    whole: set[int] = set()
    rows = []
    for reject in rejects:
        payload = batch.payloads[reject.message]
        if reject.message in whole:
            payload = _alone(reject)
        whole.add(reject.message)
        rows.append(_row(batch, reject, payload))
    return rows


def _row(batch: Batch, reject: Reject, payload: bytes) -> Quarantined:
    topic = batch.topics[reject.message]
    digest = blake2b(digest_size=16)
    for part in (topic, batch.payloads[reject.message], (reject.channel or "").encode(errors="replace")):
        digest.update(len(part).to_bytes(8, "big") + part)
    return Quarantined(
        topic=_text(topic.decode(errors="replace"), 1000),
        payload=payload,
        reason=Reason(reject.reason),
        detail=_text(reject.detail, _DETAIL),
        channel=None if reject.channel is None else _text(reject.channel, _NAME),
        reading_ts=None if reject.ts is None else _moment(reject.ts),
        digest=digest.digest(),
        # a retained status comes again with every subscription
        redelivered=reject.message in batch.redelivered or topic.endswith(b"/status"),
    )


def _alone(reject: Reject) -> bytes:
    alone = {"channel": reject.channel, "ts": reject.ts and _moment(reject.ts).isoformat(), "value": reject.value}
    return json.dumps(alone).encode()


def _text(text: str, longest: int) -> str:
    """What PostgreSQL takes as text: without NUL and without half surrogate pairs."""
    return text[:longest].replace("\x00", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()


def _moment(ts: int) -> datetime:
    return EPOCH + timedelta(microseconds=ts)


def unreadable(detail: str) -> tuple[Decoded, Checked]:
    """A batch of one message of which nothing can be stored."""
    none, numbers = np.empty(0, dtype=np.int64), np.empty(0)
    nothing = Readings(none, none, numbers, np.empty(0, dtype=np.int16))
    decoded = Decoded(none, [], none, numbers, np.empty(0, dtype=np.bool_), none, none)
    return decoded, Checked(nothing, nothing, 0, [Reject(0, Reason.UNPARSABLE, detail)])


def sightings(batch: Batch, decoded: Decoded, inventory: Inventory, seen: dict[int, float], now_s: float) -> Sightings:
    """Devices heard, with their sequence numbers. ``seen``: when each was last written; it is brought up to date."""
    heard = {inventory.device_ids.get(topic, 0) for topic in set(batch.topics)} - {0}
    devices, lowest, highest, n = _sequences(batch, decoded, inventory)
    numbered = set(devices.tolist())
    plain = [d for d in sorted(heard - numbered) if now_s - seen.get(d, 0.0) >= SEEN_EVERY_S]
    seen.update(dict.fromkeys(plain, now_s))
    nothing = np.full(len(plain), -1, dtype=np.int64)
    return Sightings(
        device_id=np.concatenate([devices, np.array(plain, dtype=np.int64)]),
        lowest=np.concatenate([lowest, nothing]),
        highest=np.concatenate([highest, nothing]),
        n=np.concatenate([n, np.zeros(len(plain), dtype=np.int64)]),
        redelivered=bool(batch.redelivered),
    )


def _sequences(batch: Batch, decoded: Decoded, inventory: Inventory) -> tuple[Int64s, Int64s, Int64s, Int64s]:
    ids = [inventory.device_ids.get(batch.topics[m], 0) for m in decoded.seq_message.tolist()]
    device = np.array(ids, dtype=np.int64)
    known = device > 0
    device, seq = device[known], decoded.seq[known]
    order = np.lexsort((seq, device))
    device, seq = device[order], seq[order]
    again = np.concatenate([[False], (device[1:] == device[:-1]) & (seq[1:] == seq[:-1])])[: len(device)]
    device, seq = device[~again], seq[~again]
    devices, first, n = np.unique(device, return_index=True, return_counts=True)
    return devices, seq[first], seq[first + n - 1], n
