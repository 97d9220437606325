"""SenML packs (RFC 8428), of which Lifeline reads numeric values named ``device:channel``."""

from collections.abc import Iterator
from typing import Any

NOW_BELOW = 2**28
"""RFC 8428, 4.5.3: a time below this many seconds is relative to now."""

VERSION = 10
_OTHER_VALUES = ("vs", "vb", "vd")
_US = 1_000_000
_LIMIT_US = 253_402_300_799 * _US  # the year 9999: what a timestamp can hold


class RecordError(ValueError):
    """A record that cannot be read; ``channel`` where its name could be."""

    def __init__(self, message: str, channel: str | None = None) -> None:
        super().__init__(message)
        self.channel = channel


class ForeignNameError(RecordError):
    """The record names another device than the topic."""


def is_record(element: Any) -> bool:
    """Whether an element of an array is a SenML record and not a reading of Lifeline's own form."""
    return isinstance(element, dict) and "ts" not in element and not isinstance(element.get("v"), dict)


def resolve(records: list[dict[str, Any]], device: str, now_s: float) -> Iterator[tuple[str, int, float] | RecordError]:
    """(channel, microseconds since 1970, value) of each record, or the error that it makes, in order.

    ``now_s`` is the time that relative times count from: the message's arrival.
    """
    base: dict[str, Any] = {}
    for record in records:
        try:
            _take_base(base, record)
            if _has_value(record):
                yield _reading(base, record, device, now_s)
        except RecordError as error:
            yield error


def _take_base(base: dict[str, Any], record: dict[str, Any]) -> None:
    for name in record:
        if name.endswith("_"):
            raise RecordError(f"SenML field {name!r} must be understood and is not")
    if _number(record, "bver", VERSION) > VERSION:
        raise RecordError(f"SenML version above {VERSION}")
    for name in ("bt", "bv"):
        if name in record:
            base[name] = _number(record, name, 0.0)
    if "bn" in record:
        base["bn"] = _text(record, "bn")


def _has_value(record: dict[str, Any]) -> bool:
    """A record of base fields alone is no reading (RFC 8428, 4.6)."""
    return any(name in record for name in ("n", "t", "v", "s", *_OTHER_VALUES))


def _reading(base: dict[str, Any], record: dict[str, Any], device: str, now_s: float) -> tuple[str, int, float]:
    name = base.get("bn", "") + _text(record, "n")
    if not name.startswith(f"{device}:"):
        raise ForeignNameError(f"the record names {name[:100]!r}, the topic the device {device!r}")
    channel = name[len(device) + 1 :]
    if "v" not in record:
        other = next((field for field in _OTHER_VALUES if field in record), "no value")
        raise RecordError(f"a numeric value is wanted, the record has {other}", channel)
    try:
        time_s = base.get("bt", 0.0) + _number(record, "t", 0.0)
        value = base.get("bv", 0.0) + _number(record, "v", 0.0)
    except RecordError as error:
        raise RecordError(str(error), channel) from error
    if time_s < NOW_BELOW:
        time_s += now_s
    microseconds = time_s * _US
    if not abs(microseconds) < _LIMIT_US:
        raise RecordError("time out of range", channel)
    return channel, round(microseconds), value


def _text(record: dict[str, Any], name: str) -> str:
    text = record.get(name, "")
    if not isinstance(text, str):
        raise RecordError(f"SenML field {name!r} is not text")
    return text


def _number(record: dict[str, Any], name: str, default: float) -> float:
    number = record.get(name, default)
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise RecordError(f"SenML field {name!r} is not a number")
    try:
        return float(number)
    except OverflowError:
        return float("inf")
