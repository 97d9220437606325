"""PUBLISH packets of many devices as one matrix of bytes: a round of 20,000 devices is a few numpy operations.

All devices' packets have the same length, so that times, values, sequence and packet ids are columns of digits.
"""

import numpy as np
from numpy.typing import NDArray

from lifeline import wire

NETWORK, QUANTITY = "gas", "methane"
PACKET_IDS = 65_000
LEAST, SPREAD = 1_000, 8_999
"""Values are 1.000 to 9.998, in thousandths: always four digits, and never the same twice in a row."""
FIRST_SEQUENCE = 100_000_000
_PLACE = "\x00"


def device_name(number: int) -> str:
    return f"load-{number:07d}"


def channel_name(number: int) -> str:
    return f"{QUANTITY}.{number:03d}"


class Packets:
    """Packets of ``devices`` with ``channels`` each; what was written into them is summed up for the check."""

    def __init__(self, devices: int, channels: int) -> None:
        self.devices, self.channels = devices, channels
        self.messages = 0
        self.thousandths = 0
        """Sum of all values that were sent, in thousandths: what the database must hold."""
        values = ",".join(f'"{channel_name(n)}":{_PLACE}.{_PLACE * 3}' for n in range(channels))
        body = f'{{"ts":{_PLACE * 13},"v":{{{values}}},"seq":{_PLACE * 9}}}'.encode()
        self._rows = np.array([np.frombuffer(_packet(device_name(n), body), np.uint8) for n in range(devices)])
        places = np.flatnonzero(self._rows[0, -len(body) :] == 0) + self._rows.shape[1] - len(body)
        self._times, self._values, self._sequence = places[:13], places[13 : 13 + 4 * channels], places[-9:]
        self._id = self._rows.shape[1] - len(body) - 2
        self._last_ms = np.zeros(devices, np.int64)
        self._rounds = np.zeros(devices, np.int64)

    @property
    def size(self) -> int:
        """Bytes of one packet."""
        return int(self._rows.shape[1])

    def next(self, count: int, now_ms: int) -> bytes:
        """The next ``count`` packets, device after device; no two of a device have the same time."""
        number = self.messages + np.arange(count)
        device = number % self.devices
        rows = self._rows[device]
        turn = number // self.devices
        # A device that comes twice in one block, or within a millisecond, is a millisecond later.
        times = np.maximum(now_ms + turn - turn[0], self._last_ms[device] + 1 + turn - turn[0])
        values = LEAST + (7 * device[:, None] + 13 * turn[:, None] + 3 * np.arange(self.channels)) % SPREAD
        rows[:, self._times] = _digits(times, 13)
        rows[:, self._values] = _digits(values.reshape(-1), 4).reshape(count, -1)
        rows[:, self._sequence] = _digits(FIRST_SEQUENCE + turn, 9)
        ids = number % PACKET_IDS + 1
        rows[:, self._id], rows[:, self._id + 1] = ids >> 8, ids & 0xFF
        np.maximum.at(self._last_ms, device, times)
        self.messages += count
        self.thousandths += int(values.sum())
        return rows.tobytes()


def _packet(device: str, body: bytes) -> bytes:
    topic = wire.readings_topic(NETWORK, device).encode()
    rest = len(topic).to_bytes(2, "big") + topic + b"\x01\x01" + body
    return b"\x32" + _length(len(rest)) + rest  # QoS 1


def _length(value: int) -> bytes:
    """MQTT's variable byte integer."""
    found = b""
    while True:
        value, part = divmod(value, 128)
        found += bytes([part | (128 if value else 0)])
        if not value:
            return found


def _digits(values: NDArray[np.int64], count: int) -> NDArray[np.uint8]:
    """Decimal digits as ASCII, (n, count)."""
    powers = 10 ** np.arange(count - 1, -1, -1, dtype=np.int64)
    return (values[:, None] // powers % 10 + 48).astype(np.uint8)
