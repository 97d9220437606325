"""A gateway: one MQTT 5 client with a last will, and the buffer in which readings wait while it has no connection."""

import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import orjson
import paho.mqtt.client as mqtt
import structlog
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from pydantic import SecretStr

from lifeline import wire
from lifeline.errors import ConfigurationError
from lifeline.model import JsonObject
from lifeline.settings import Settings

WINDOW = 20
"""Unacknowledged messages at most, or fewer where the broker's receive maximum says so."""
BUFFERED_MESSAGES = 20_000
KEEPALIVE_S = 20
SESSION_S = 3600
PATIENCE_S = 0.05
log = structlog.get_logger()


def own_login(settings: Settings, passwords: Path | None, device: str) -> Settings | None:
    """The settings with a device's own log-in, where the folder ``passwords`` has a file of its name; else None."""
    file = None if passwords is None else passwords / device
    if file is None or not file.is_file():
        return None
    secret = SecretStr(file.read_text(encoding="utf-8").strip())
    return settings.model_copy(update={"mqtt_username": device, "mqtt_password": secret})


class Message(NamedTuple):
    """What waits to be sent."""

    topic: str
    payload: bytes
    retain: bool


class Gateway:
    """Speaks for itself and for the devices behind it. Messages are QoS 1 and leave in the order in which they came.

    ``devices``: (network, device) of every device whose retained status it keeps, its own first; without any it leaves
    no word and no last will. A thread of its own sends, so that the window is respected and nobody else waits for the
    broker. paho calls back with its locks held, so ``_turn`` is never held while paho is called.
    """

    def __init__(
        self, name: str, network: str, devices: Sequence[tuple[str, str]], settings: Settings, token: str
    ) -> None:
        self.name, self.network = name, network
        self._devices, self._settings, self._token = devices, settings, token
        self._turn = threading.Condition()
        self._waiting: deque[Message] = deque()
        self._in_flight: dict[int, Message] = {}
        self._acknowledged_early: set[int] = set()
        self._sending = 0
        self._window = WINDOW
        self._connected = threading.Event()
        self._ended = True
        self._client: mqtt.Client | None = None
        self._sender: threading.Thread | None = None
        self.dropped = 0
        self.refused: str | None = None

    def start(self) -> None:
        """Connect, now or as soon as the broker is there, and keep connected."""
        host, port = self._settings.require_broker()
        self._ended = False
        self._client = self._new_client()
        self._client.connect_async(
            host, port, keepalive=KEEPALIVE_S, clean_start=mqtt.MQTT_CLEAN_START_FIRST_ONLY, properties=_session()
        )
        self._client.loop_start()
        self._sender = threading.Thread(target=self._send, args=(self._client,), name=self.name, daemon=True)
        self._sender.start()

    def stop(self, timeout_s: float = 10.0) -> bool:
        """Deliver what waits, say offline, disconnect. False when something could not be delivered in time."""
        client = self._client
        if client is None:
            return not self._waiting
        for network, device in self._devices:
            self.offer(self._status_topic(network, device), _status("offline"), retain=True)
        delivered = self.drain(timeout_s if self._connected.is_set() else 0.0)
        self._end_sending()
        client.disconnect()
        client.loop_stop()
        self._client = None
        return delivered

    def die(self) -> None:
        """Vanish without a word: the socket closes, no DISCONNECT is sent, the broker publishes the last will."""
        client, self._client = self._client, None
        if client is None:
            return
        self._end_sending()
        client.loop_stop()  # before the socket is closed, or it would connect again
        socket = client.socket()
        if socket is not None:
            socket.close()
        self._connected.clear()
        with self._turn:  # readings that were not acknowledged go out again when it is back; its status is said anew
            unsent = [*self._in_flight.values(), *self._waiting]
            self._waiting = deque(message for message in unsent if not message.retain)
            self._in_flight.clear()
            self._acknowledged_early.clear()

    @property
    def alive(self) -> bool:
        """Whether it is, or tries to be, connected."""
        return self._client is not None

    def publish(self, network: str, device: str, frames: Sequence[JsonObject]) -> None:
        """Readings of one device; one frame goes as an object, more as an array."""
        payload = orjson.dumps(frames[0] if len(frames) == 1 else frames)
        self.offer(wire.readings_topic(network, device, self._settings.topic_root), payload)

    def _status_topic(self, network: str, device: str) -> str:
        return wire.status_topic(network, device, self._settings.topic_root)

    def offer(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Send as soon as the window allows. A full buffer forgets its oldest message and counts it."""
        with self._turn:
            if len(self._waiting) >= BUFFERED_MESSAGES:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(Message(topic, payload, retain))
            self._turn.notify_all()

    def drain(self, timeout_s: float, stop: threading.Event | None = None) -> bool:
        """Wait until the broker has everything; False after ``timeout_s`` or when ``stop`` is set."""
        end = time.monotonic() + timeout_s
        with self._turn:
            while self._waiting or self._in_flight or self._sending:
                if time.monotonic() >= end or (stop is not None and stop.is_set()):
                    return False
                self._turn.wait(PATIENCE_S)
        return True

    def wait_for_room(self, stop: threading.Event) -> None:
        """Until half the buffer is free, or ``stop`` is set: for who has more to say than the broker takes."""
        with self._turn:
            while len(self._waiting) >= BUFFERED_MESSAGES // 2 and not stop.is_set():
                self._turn.wait(PATIENCE_S)

    def wait_connected(self, timeout_s: float) -> bool:
        """True once connected. Raises ConfigurationError when the broker refuses the user."""
        connected = self._connected.wait(timeout_s)
        if self.refused:
            raise ConfigurationError(f"the broker refuses {self.name}: {self.refused}")
        return connected

    def _send(self, client: mqtt.Client) -> None:
        while True:
            with self._turn:
                self._turn.wait_for(lambda: self._ended or self._may_send())
                if self._ended:
                    return
                message = self._waiting.popleft()
                self._sending += 1
            mid = client.publish(message.topic, message.payload, qos=1, retain=message.retain).mid
            with self._turn:
                self._sending -= 1
                if mid in self._acknowledged_early:
                    self._acknowledged_early.discard(mid)
                else:
                    self._in_flight[mid] = message
                self._turn.notify_all()

    def _may_send(self) -> bool:
        return self._connected.is_set() and bool(self._waiting) and len(self._in_flight) < self._window

    def _end_sending(self) -> None:
        with self._turn:
            self._ended = True
            self._turn.notify_all()
        if self._sender is not None:
            self._sender.join()

    def _new_client(self) -> mqtt.Client:
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"{self.name}-{self._token}", protocol=mqtt.MQTTv5)
        client.max_inflight_messages = WINDOW
        if self._settings.mqtt_username:
            password = self._settings.mqtt_password.get_secret_value()
            client.username_pw_set(self._settings.mqtt_username, password)
        if self._settings.mqtt_ca_file:
            client.tls_set(ca_certs=str(self._settings.mqtt_ca_file))
        client.reconnect_delay_set(1, 15)
        if self._devices:
            will = self._status_topic(self.network, self.name)
            client.will_set(will, _status("offline"), qos=1, retain=True)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        return client

    def _on_connect(
        self,
        _client: mqtt.Client,
        _data: object,
        _flags: mqtt.ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self.refused = str(reason)
            log.error("gateway refused", gateway=self.name, reason=str(reason))
            self._connected.set()
            return
        with self._turn:
            self._window = min(WINDOW, getattr(properties, "ReceiveMaximum", WINDOW))
            # Before anything that waits: who comes back says so first.
            online = [Message(self._status_topic(*device), _status("online"), True) for device in self._devices]
            self._waiting.extendleft(reversed(online))
            self.refused = None
            self._connected.set()
            self._turn.notify_all()

    def _on_disconnect(
        self, _client: mqtt.Client, _data: object, _flags: object, reason: ReasonCode, _properties: object
    ) -> None:
        self._connected.clear()
        if reason.is_failure:
            log.warning("gateway disconnected", gateway=self.name, reason=str(reason))

    def _on_publish(
        self, client: mqtt.Client, _data: object, mid: int, reason: ReasonCode, _properties: object
    ) -> None:
        if reason.is_failure:
            log.error("publish refused", gateway=self.name, reason=str(reason))
        with self._turn:
            if client is self._client and self._in_flight.pop(mid, None) is None:
                self._acknowledged_early.add(mid)
            self._turn.notify_all()


def _session() -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = SESSION_S
    return properties


def _status(word: str) -> bytes:
    return orjson.dumps({"status": word})
