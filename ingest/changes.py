"""Everything that a batch changes in the database."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b

import numpy as np

from ingest.batch import EPOCH, Batch, Reject
from ingest.check import Checked
from ingest.decode import Decoded
from ingest.inventory import Inventory
from lifeline.model import Reason
from lifeline.storage.columns import Int64s
from lifeline.storage.ingest import Quarantined, Readings, Sightings, Status, Unknown

SEEN_EVERY_S = 5.0
"""A device without sequence numbers has its last_seen written this often at most."""
_DETAIL, _NAME = 500, 200


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to be written: the good readings and the newest of each sensor, and everything beside them.

    ``repeated`` counts readings that were in the batch twice; ``rejected`` all bad ones, ``rejects`` has each once.
    """

    readings: Readings
    newest: Readings
    repeated: int
    rejected: int
    rejects: list[Quarantined]
    unknown: list[Unknown]
    seen: Sightings
    statuses: list[Status]


def changes_of(
    batch: Batch,
    decoded: Decoded,
    checked: Checked,
    devices: Int64s,
    inventory: Inventory,
    seen: dict[int, float],
    now: datetime,
) -> Changes:
    """Put together what decoding and checking found; see ``sightings`` for ``seen``."""
    return Changes(
        readings=checked.readings,
        newest=checked.newest,
        repeated=checked.repeated,
        rejected=len(checked.rejects),
        rejects=quarantined(batch, checked.rejects),
        unknown=checked.unknown,
        seen=sightings(batch, decoded, devices, inventory, seen, now.timestamp()),
        statuses=statuses(batch, decoded, inventory),
    )


def refused(batch: Batch, detail: str) -> Changes:
    """A batch of one message that the database, or we, cannot digest."""
    none = np.empty(0, dtype=np.int64)
    nothing = Readings(none, none, np.empty(0), np.empty(0, dtype=np.int16))
    rejects = quarantined(batch, [Reject(0, Reason.UNPARSABLE, detail)])
    return Changes(nothing, nothing, 0, 1, rejects, [], Sightings(none, none, none, none, redelivered=False), [])


def quarantined(batch: Batch, rejects: list[Reject]) -> list[Quarantined]:
    """One row a reject, but what is looked up by its digest only once.

    The first bad reading of a message keeps the message's bytes, the others of the same message only themselves: a pack
    of a thousand bad readings must not be kept a thousand times.
    """
    whole: set[int] = set()
    digests: set[bytes] = set()
    rows = []
    for reject in rejects:
        row = _row(batch, reject, _alone(reject) if reject.message in whole else batch.payloads[reject.message])
        whole.add(reject.message)
        if not (row.look_up and row.digest in digests):
            rows.append(row)
        digests.add(row.digest)
    return rows


def _row(batch: Batch, reject: Reject, payload: bytes) -> Quarantined:
    topic = batch.topics[reject.message]
    digest = blake2b(digest_size=16)
    channel, ts = (reject.channel or "").encode(errors="replace"), str(reject.ts).encode()
    for part in (topic, batch.payloads[reject.message], channel, ts):
        digest.update(len(part).to_bytes(8, "big") + part)
    return Quarantined(
        topic=_text(topic.decode(errors="replace"), 1000),
        payload=payload,
        reason=Reason(reject.reason),
        detail=_text(reject.detail, _DETAIL),
        channel=None if reject.channel is None else _text(reject.channel, _NAME),
        reading_ts=None if reject.ts is None else _moment(reject.ts),
        digest=digest.digest(),
        # A reading with a time is the same reading whenever it comes. Bytes that say nothing may rightly come twice,
        # unless the broker repeats them; a retained status comes again with every subscription.
        look_up=reject.ts is not None
        or batch.suspect
        or reject.message in batch.redelivered
        or topic.endswith(b"/status"),
    )


def _alone(reject: Reject) -> bytes:
    alone = {"channel": reject.channel, "ts": reject.ts and _moment(reject.ts).isoformat(), "value": reject.value}
    return json.dumps(alone).encode()


def _text(text: str, longest: int) -> str:
    """What PostgreSQL takes as text: without NUL and without half surrogate pairs."""
    return text[:longest].replace("\x00", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()


def _moment(ts: int) -> datetime:
    return EPOCH + timedelta(microseconds=ts)


def statuses(batch: Batch, decoded: Decoded, inventory: Inventory) -> list[Status]:
    """The last status of each known device, by device id."""
    last: dict[int, Status] = {}
    for place, word, detail in decoded.statuses:
        device_id = inventory.statuses.get(batch.topics[place])
        if device_id is not None:
            last[device_id] = Status(device_id, word, detail, place in batch.retained)
    return [last[device_id] for device_id in sorted(last)]


def sightings(
    batch: Batch, decoded: Decoded, devices: Int64s, inventory: Inventory, seen: dict[int, float], now_s: float
) -> Sightings:
    """Devices heard, with their sequence numbers. ``seen``: when each was last written; it is brought up to date."""
    heard = {inventory.device_of[place] for place in np.flatnonzero(np.bincount(devices)).tolist()} - {0}
    numbered, lowest, highest, n = _sequences(decoded, np.array(inventory.device_of, dtype=np.int64)[devices])
    plain = [d for d in sorted(heard.difference(numbered)) if now_s - seen.get(d, 0.0) >= SEEN_EVERY_S]
    seen.update(dict.fromkeys(plain, now_s))
    nothing = np.full(len(plain), -1, dtype=np.int64)
    return Sightings(
        device_id=np.concatenate([numbered, np.array(plain, dtype=np.int64)]),
        lowest=np.concatenate([lowest, nothing]),
        highest=np.concatenate([highest, nothing]),
        n=np.concatenate([n, np.zeros(len(plain), dtype=np.int64)]),
        redelivered=bool(batch.redelivered),
    )


def _sequences(decoded: Decoded, device_ids: Int64s) -> tuple[Int64s, Int64s, Int64s, Int64s]:
    """Device, lowest, highest and count of its sequence numbers; ``device_ids`` by message."""
    device = device_ids[decoded.seq_message]
    known = device > 0
    device, seq = device[known], decoded.seq[known]
    order = np.lexsort((seq, device))
    device, seq = device[order], seq[order]
    again = np.concatenate([[False], (device[1:] == device[:-1]) & (seq[1:] == seq[:-1])])[: len(device)]
    device, seq = device[~again], seq[~again]
    devices, first, n = np.unique(device, return_index=True, return_counts=True)
    return devices, seq[first], seq[first + n - 1], n
