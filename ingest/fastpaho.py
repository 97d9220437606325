"""paho's client with a faster way in for PUBLISH and out for PUBACK; everything else is paho, untouched.

Stock paho spends a system call and several Python calls on each byte or field. Here one large read takes what the
broker has sent, a short pause before it lets hundreds of messages gather, a tight loop cuts the PUBLISH packets out,
and the acknowledgements of a batch are one send. A packet of any other kind is left in the buffer, from which paho
reads it by its own code. ``tests/unit/test_ingest_fastpaho.py`` names what this relies on in paho and checks it on the
release in use.
"""

import ssl
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from paho.mqtt.client import Client
from paho.mqtt.enums import MQTTErrorCode

PAUSE_S = 0.003
READ_BYTES = 1 << 20
_PUBLISH, _PUBACK = 0x30, 0x40
_DUP_OR_RETAIN = 0x09
_INCOMPLETE, _MALFORMED = -1, -2

Publishes = Callable[[list[bytes], list[bytes], list[int], dict[int, int]], None]


class MalformedPacketError(ValueError):
    """The broker sent something that is no MQTT."""


class BufferedSocket:
    """A socket of which much is read at once and handed on in pieces. ``receive`` reads, ``recv`` only hands on."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._parts: list[bytes] = []
        self._missing = 0
        self.data = b""
        self.position = 0

    def receive(self) -> bool:
        """Reads what there is; False when the other side has closed. Raises OSError: Blocking when there is nothing."""
        try:
            part: bytes = self._socket.recv(READ_BYTES)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
            raise BlockingIOError from error
        self._parts.append(part)
        self._missing -= len(part)
        if self._missing <= 0:
            self.data = self.data[self.position :] + b"".join(self._parts)
            self.position = 0
            self._parts.clear()
        return bool(part)

    def want(self, length: int) -> None:
        """Nothing can be done before ``length`` bytes from ``position`` on are there: do not join each part."""
        if not self._parts:
            self._missing = length - (len(self.data) - self.position)

    def recv(self, size: int) -> bytes:
        """Hand on up to ``size`` bytes of the buffer."""
        piece = self.data[self.position : self.position + size]
        if not piece:
            raise BlockingIOError
        self.position += len(piece)
        return piece

    def pending(self) -> int:
        """Bytes that a TLS layer holds and ``select`` cannot see."""
        return int(self._socket.pending()) if hasattr(self._socket, "pending") else 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


def packet_end(data: bytes, position: int) -> tuple[int, int]:
    """(start of the body, end of the packet); the end is negative when the length is incomplete or malformed."""
    length, shift = 0, 0
    for at in range(position + 1, position + 5):
        if at >= len(data):
            return at, _INCOMPLETE
        length |= (data[at] & 127) << shift
        if data[at] < 128:
            return at + 1, at + 1 + length
        shift += 7
    return position, _MALFORMED


class FastClient(Client):
    """A client for MQTT 5, manual acknowledgement and QoS 0 and 1, driven by ``loop``.

    ``on_publishes`` takes the place of ``on_message``: (topics, payloads, packet ids with 0 for QoS 0, first bytes of
    those messages that are marked DUP or RETAIN, by place).
    """

    on_publishes: Publishes

    def _create_socket(self) -> Any:
        return BufferedSocket(super()._create_socket())

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:  # noqa: ARG002 - paho's signature
        """Called by paho when the socket is readable."""
        stream: Any = self._sock
        if not isinstance(stream, BufferedSocket):
            return MQTTErrorCode.MQTT_ERR_NO_CONN
        time.sleep(PAUSE_S)
        try:
            alive = stream.receive()
        except BlockingIOError:
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        except OSError:
            return self._loop_rc_handle(MQTTErrorCode.MQTT_ERR_CONN_LOST)
        with self._msgtime_mutex:
            self._last_bytes_received = time.monotonic()
        try:
            result = self._handle(stream)
        except MalformedPacketError:
            result = self._loop_rc_handle(MQTTErrorCode.MQTT_ERR_PROTOCOL)
        if result == MQTTErrorCode.MQTT_ERR_SUCCESS and not alive:
            result = self._loop_rc_handle(MQTTErrorCode.MQTT_ERR_CONN_LOST)
        return result

    def acknowledge(self, mids: list[int]) -> MQTTErrorCode:
        """PUBACK for all of these in one send. Without reason code and properties it means success: four bytes each."""
        packets = np.empty((len(mids), 2), dtype=">u2")
        packets[:, 0] = _PUBACK << 8 | 2
        packets[:, 1] = mids
        return self._packet_queue(_PUBACK, packets.tobytes(), 0, 1) if mids else MQTTErrorCode.MQTT_ERR_SUCCESS

    def _handle(self, stream: BufferedSocket) -> MQTTErrorCode:
        """All complete packets of the buffer, in order."""
        while True:
            self._cut(stream)
            if stream.position >= len(stream.data):
                return MQTTErrorCode.MQTT_ERR_SUCCESS
            _, end = packet_end(stream.data, stream.position)
            if end == _MALFORMED:
                raise MalformedPacketError("length of more than four bytes")
            if end == _INCOMPLETE or end > len(stream.data):
                stream.want(max(end - stream.position, 0))
                return MQTTErrorCode.MQTT_ERR_SUCCESS
            result = self._packet_read()
            if result > 0:
                return self._loop_rc_handle(result)
            if self._sock is not stream:
                return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _cut(self, stream: BufferedSocket) -> None:
        """Takes PUBLISH packets of QoS 0 and 1 up to the first that is something else or not all there."""
        topics: list[bytes] = []
        payloads: list[bytes] = []
        mids: list[int] = []
        flags: dict[int, int] = {}
        data, position, size = stream.data, stream.position, len(stream.data)
        while position + 2 <= size:
            first = data[position]
            if first & 0xF4 != _PUBLISH:  # another packet, or QoS 2
                break
            start = position + 2
            end = start + data[position + 1]
            if data[position + 1] > 127:
                start, end = packet_end(data, position)
            if end > size or end < 0:
                break
            at = start + 2
            body = at + (data[start] << 8 | data[start + 1]) if at <= end else end + 1
            topic = data[at:body]
            mid = 0
            if first & 2:
                body += 2
                mid = data[body - 2] << 8 | data[body - 1] if body < end else 0
            if body >= end:
                raise MalformedPacketError("PUBLISH ends before its payload")
            body = body + 1 + data[body] if data[body] < 128 else _after_properties(data, body)
            if body > end:
                raise MalformedPacketError("properties of a PUBLISH end after it")
            if first & _DUP_OR_RETAIN:
                flags[len(topics)] = first
            topics.append(topic)
            payloads.append(data[body:end])
            mids.append(mid)
            position = end
        stream.position = position
        if topics:
            self.on_publishes(topics, payloads, mids, flags)


def _after_properties(data: bytes, position: int) -> int:
    """The properties have nothing that concerns us: no topic alias can come, since CONNECT announces none."""
    _, end = packet_end(data, position - 1)
    return end if end >= 0 else len(data) + 1
