"""Payload bytes to readings, a whole batch in one call where that is possible.

All payloads are joined to one JSON array and decoded at once. Between every two stands a number that nobody outside
this process can guess: when each stands where it must, every payload was one value by itself, and none reached over
into the next one, which may be another device's. A batch that cannot be read so is read message by message, and a
message that cannot be read so is read element by element: one bad reading costs only itself.
"""

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from operator import attrgetter
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from ingest import senml
from ingest.batch import Batch, Reject
from lifeline import wire
from lifeline.model import Reason
from lifeline.storage.columns import Floats, Int64s

NO_SEQ = -1
_US = 1_000_000
_YEAR_1_US, _YEAR_9999_US = -62_135_596_800 * _US, 253_402_300_799 * _US
_NOT_FINITE = {"nan", "inf", "-inf", "+inf", "infinity", "-infinity", "+infinity"}

_Time = Annotated[datetime, Meta(tz=True)]
_Milliseconds = Annotated[int, Meta(ge=-(10**18), le=10**18)]
_Sequence = Annotated[int, Meta(ge=-1, le=2**62)]


class Item(msgspec.Struct, gc=False):
    """One object of Lifeline's own form; a SenML record comes out with a ``v`` that is no dict, and is read again."""

    ts: _Time | _Milliseconds | float | None = None
    v: dict[str, float] | float | None = None
    seq: _Sequence = NO_SEQ
    backlog: bool = False


_GUARD = secrets.randbelow(2**62)
_BETWEEN = b",%d," % _GUARD
_JOINED = msgspec.json.Decoder(list[Item | list[Item] | int])
_ONE = msgspec.json.Decoder(Item | list[Item])
_UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)

_ts, _v, _seq, _backlog = (attrgetter(name) for name in ("ts", "v", "seq", "backlog"))


@dataclass(slots=True)
class Decoded:
    """Readings in columns, and what could not be read.

    ``message`` is the place in the batch, ``ts`` in microseconds since 1970.
    ``seq_message`` and ``seq`` are the sequence numbers of the messages that have one.
    ``statuses`` holds (place, status, JSON text or None).
    """

    message: Int64s
    channel: list[str]
    ts: Int64s
    value: Floats
    backlog: NDArray[np.bool_]
    seq_message: Int64s
    seq: Int64s
    rejects: list[Reject] = field(default_factory=list)
    statuses: list[tuple[int, str, str | None]] = field(default_factory=list)


@dataclass(slots=True)
class _Loose:
    """Readings that were read one at a time."""

    message: list[int] = field(default_factory=list)
    channel: list[str] = field(default_factory=list)
    ts: list[int] = field(default_factory=list)
    value: list[float] = field(default_factory=list)
    backlog: list[bool] = field(default_factory=list)
    seq_message: list[int] = field(default_factory=list)
    seq: list[int] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)

    def reject(self, message: int, detail: str, channel: str | None = None, **more: Any) -> None:
        self.rejects.append(Reject(message, more.pop("reason", Reason.UNPARSABLE), detail[:500], channel, **more))

    def add(self, message: int, channel: str, ts: int, value: float, *, backlog: bool) -> None:
        self.message.append(message)
        self.channel.append(channel)
        self.ts.append(ts)
        self.value.append(value)
        self.backlog.append(backlog)


def decode(batch: Batch) -> Decoded:
    """Never raises on any bytes: each message ends as readings, as rejects, as both, or as a status."""
    statuses: list[int] = []
    if b"/status" in b"\n".join(batch.topics):  # a sixth of the time of asking each
        statuses = [place for place, topic in enumerate(batch.topics) if topic.endswith(b"/status")]
    aside = {*statuses, *batch.cut}
    places = [place for place in range(len(batch)) if place not in aside] if aside else None
    payloads = batch.payloads if places is None else [batch.payloads[place] for place in places]
    items, owner, odd = _typed(payloads)
    if places is not None:
        owner = np.array(places, dtype=np.int64)[owner]
        odd = [places[place] for place in odd]
    loose = _Loose()
    for place in odd:
        _read_loosely(batch, place, loose)
    for place, length in batch.cut.items():
        loose.reject(place, f"{length} bytes is more than a message may have; cut")
    decoded = _columns(items, owner, loose)
    for place in statuses:
        if place not in batch.cut:
            _read_status(batch, place, decoded)
    return decoded


def _typed(payloads: list[bytes]) -> tuple[list[Item], Int64s, list[int]]:
    """Objects of the own form with the payload that each came in, and the payloads that hold anything else."""
    if not payloads:
        return [], np.empty(0, dtype=np.int64), []
    try:
        answer = _JOINED.decode(b"[" + _BETWEEN.join(payloads) + b"]")
    except _UNREADABLE:
        answer = []
    if len(answer) == 2 * len(payloads) - 1 and answer[1::2] == [_GUARD] * (len(payloads) - 1):
        found: list[Any] = answer[::2]
    else:
        found = [_one(payload) for payload in payloads]
    if set(map(type, found)) == {Item} and _all_own(found):
        return found, np.arange(len(found)), []
    return _sorted_out(found)


def _one(payload: bytes) -> Item | list[Item] | None:
    try:
        item: Item | list[Item] = _ONE.decode(payload)
    except _UNREADABLE:
        return None
    return item


def _all_own(items: list[Item]) -> bool:
    values = list(map(_v, items))
    return set(map(type, values)) == {dict} and all(values) and type(None) not in set(map(type, map(_ts, items)))


def _sorted_out(found: list[Any]) -> tuple[list[Item], Int64s, list[int]]:
    items: list[Item] = []
    owner: list[int] = []
    odd: list[int] = []
    for place, one in enumerate(found):
        group = [one] if type(one) is Item else one
        if type(group) is list and group and all(type(i.v) is dict and i.v and i.ts is not None for i in group):
            items.extend(group)
            owner.extend([place] * len(group))
        else:
            odd.append(place)
    return items, np.array(owner, dtype=np.int64), odd


def _columns(items: list[Item], owner: Int64s, loose: _Loose) -> Decoded:
    values: list[dict[str, float]] = list(map(_v, items))
    counts = np.fromiter(map(len, values), np.int64, len(values))
    seq = np.fromiter(map(_seq, items), np.int64, len(items))
    numbered = seq >= 0
    channel = list(chain.from_iterable(values))
    value = np.fromiter(chain.from_iterable(map(dict.values, values)), np.float64, len(channel))
    backlog = np.fromiter(map(_backlog, items), np.bool_, len(items))
    return Decoded(
        message=np.concatenate([np.repeat(owner, counts), np.array(loose.message, dtype=np.int64)]),
        channel=channel + loose.channel,
        ts=np.concatenate([np.repeat(_times(list(map(_ts, items))), counts), np.array(loose.ts, dtype=np.int64)]),
        value=np.concatenate([value, np.array(loose.value, dtype=np.float64)]),
        backlog=np.concatenate([np.repeat(backlog, counts), np.array(loose.backlog, dtype=np.bool_)]),
        seq_message=np.concatenate([owner[numbered], np.array(loose.seq_message, dtype=np.int64)]),
        seq=np.concatenate([seq[numbered], np.array(loose.seq, dtype=np.int64)]),
        rejects=loose.rejects,
    )


def _times(times: list[Any]) -> Int64s:
    """Microseconds since 1970 of aware datetimes and of milliseconds."""
    kinds = set(map(type, times))
    if kinds == {datetime}:
        seconds = np.fromiter(map(datetime.timestamp, times), np.float64, len(times))
        return np.rint(seconds * _US).astype(np.int64)
    if datetime in kinds:
        times = [t.timestamp() * 1000 if type(t) is datetime else t for t in times]
    microseconds = np.rint(np.array(times, dtype=np.float64) * 1000)
    return np.clip(microseconds, _YEAR_1_US, _YEAR_9999_US).astype(np.int64)


def _read_loosely(batch: Batch, place: int, loose: _Loose) -> None:
    try:
        content = _parsed(batch.payloads[place])
    except _UNREADABLE as error:
        loose.reject(place, f"not JSON: {error}" if batch.payloads[place] else "empty")
        return
    elements = content if isinstance(content, list) else [content]
    before = len(loose.message) + len(loose.rejects)
    if elements and isinstance(content, list) and all(map(senml.is_record, elements)):
        _read_pack(batch, place, elements, loose)
    else:
        for element in elements:
            _read_element(place, element, loose)
    if len(loose.message) + len(loose.rejects) == before:
        loose.reject(place, "no reading in it")


def _parsed(payload: bytes) -> Any:
    """Plain objects. The standard library's reader also takes NaN and Infinity, which JSON does not have."""
    try:
        return msgspec.json.decode(payload)
    except _UNREADABLE:
        return json.loads(payload.decode())


def _read_pack(batch: Batch, place: int, records: list[dict[str, Any]], loose: _Loose) -> None:
    topic = wire.parse_topic(batch.topics[place].decode(errors="replace"))
    device = topic.device if topic else ""
    for found in senml.resolve(records, device, batch.received_at.timestamp()):
        if isinstance(found, senml.ForeignNameError):
            loose.reject(place, str(found), reason=Reason.UNKNOWN_SENSOR)
        elif isinstance(found, senml.RecordError):
            loose.reject(place, str(found), found.channel)
        else:
            loose.add(place, *found, backlog=False)


def _read_element(place: int, element: Any, loose: _Loose) -> None:
    if not isinstance(element, dict) or not isinstance(element.get("v"), dict):
        loose.reject(place, 'neither {"ts": ..., "v": {...}} nor a SenML record')
        return
    backlog = element.get("backlog", False)
    if not isinstance(backlog, bool):
        loose.reject(place, "backlog is neither true nor false")
        return
    try:
        ts = _time(element.get("ts"))
    except _UNREADABLE as error:
        loose.reject(place, f"ts: {error}")
        return
    seq = element.get("seq")
    if type(seq) is int and 0 <= seq <= 2**62:
        loose.seq_message.append(place)
        loose.seq.append(seq)
    for channel, value in _values(place, ts, element["v"], loose):
        loose.add(place, channel, ts, value, backlog=backlog)


def _time(ts: Any) -> int:
    if ts is None:
        raise ValueError("missing")
    time = msgspec.convert(ts, _Time | _Milliseconds | float)
    if isinstance(time, float) and not np.isfinite(time):
        raise ValueError("not finite")
    return int(_times([time])[0])


def _values(place: int, ts: int, values: dict[str, Any], loose: _Loose) -> Iterator[tuple[str, float]]:
    for channel, value in values.items():
        if isinstance(value, str) and value.lower() in _NOT_FINITE:
            yield channel, float("nan")
        elif isinstance(value, bool) or not isinstance(value, int | float):
            loose.reject(place, f"the value is not a number but {json.dumps(value)[:100]}", channel, ts=ts)
        else:
            try:
                yield channel, float(value)
            except OverflowError:
                yield channel, float("inf")


def _read_status(batch: Batch, place: int, decoded: Decoded) -> None:
    """``online``, ``offline``, or a JSON object with ``status``."""
    payload = batch.payloads[place]
    word: Any = payload.decode(errors="replace").strip()
    detail = None
    if word.startswith(("{", '"')):
        try:
            content = msgspec.json.decode(payload)
        except _UNREADABLE as error:
            decoded.rejects.append(Reject(place, Reason.UNPARSABLE, f"status: not JSON: {error}"[:500]))
            return
        word = content.get("status") if isinstance(content, dict) else content
        detail = json.dumps(content) if isinstance(content, dict) else None
    if word in ("online", "offline"):
        decoded.statuses.append((place, word, detail))
    elif payload:  # empty: a retained status that was taken back
        decoded.rejects.append(
            Reject(place, Reason.UNPARSABLE, f"status is neither online nor offline but {word!r:.100}")
        )
