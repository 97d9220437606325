"""A gateway: one MQTT 5 client with a last will, and the buffer in which readings wait while it has no connection."""

import threading
from collections import deque
from collections.abc import Sequence

import orjson
import paho.mqtt.client as mqtt
import structlog
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from lifeline import wire
from lifeline.errors import ConfigurationError
from lifeline.model import JsonObject
from lifeline.settings import Settings

WINDOW = 20
"""Unacknowledged messages at most, or fewer where the broker's receive maximum says so."""
BUFFERED_MESSAGES = 20_000
KEEPALIVE_S = 20
SESSION_S = 3600
log = structlog.get_logger()


class Gateway:
    """Speaks for itself and for the devices behind it. Messages are QoS 1 and leave in the order in which they came.

    ``devices``: (network, device) of every device whose retained status it keeps, its own first.
    """

    def __init__(
        self, name: str, network: str, devices: Sequence[tuple[str, str]], settings: Settings, token: str
    ) -> None:
        self.name, self.network = name, network
        self._devices, self._settings, self._token = devices, settings, token
        self._lock = threading.RLock()
        self._waiting: deque[tuple[str, bytes, bool]] = deque()
        self._in_flight: set[int] = set()
        self._window = WINDOW
        self._connected = threading.Event()
        self._client: mqtt.Client | None = None
        self.dropped = 0
        self.refused: str | None = None

    def start(self) -> None:
        """Connect, now or as soon as the broker is there, and keep connected."""
        host, port = self._settings.require_broker()
        client = self._new_client()
        with self._lock:
            self._client = client
            self._in_flight.clear()
        client.connect_async(
            host, port, keepalive=KEEPALIVE_S, clean_start=mqtt.MQTT_CLEAN_START_FIRST_ONLY, properties=_session()
        )
        client.loop_start()

    def stop(self, timeout_s: float = 10.0) -> bool:
        """Deliver what waits, say offline, disconnect. False when something could not be delivered in time."""
        if self._client is None:
            return not self._waiting
        for network, device in self._devices:
            self.offer(wire.status_topic(network, device), _status("offline"), retain=True)
        delivered = self.drain(timeout_s)
        self._client.disconnect(ReasonCode(PacketTypes.DISCONNECT, "Normal disconnection"))
        self._client.loop_stop()
        self._client = None
        return delivered

    def die(self) -> None:
        """Vanish without a word: the socket closes, no DISCONNECT is sent, the broker publishes the last will."""
        client, self._client = self._client, None
        if client is None:
            return
        client.loop_stop()  # first the thread, or it would connect again
        socket = client.socket()
        if socket is not None:
            socket.close()
        self._connected.clear()

    @property
    def alive(self) -> bool:
        return self._client is not None

    def publish(self, network: str, device: str, frames: Sequence[JsonObject]) -> None:
        """Readings of one device; one frame goes as an object, more as an array."""
        payload = orjson.dumps(frames[0] if len(frames) == 1 else frames)
        self.offer(wire.readings_topic(network, device), payload)

    def offer(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Send as soon as the window allows. A full buffer forgets its oldest message and counts it."""
        with self._lock:
            if len(self._waiting) >= BUFFERED_MESSAGES:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append((topic, payload, retain))
        self._pump()

    def waiting(self) -> int:
        """Messages not yet acknowledged by the broker."""
        with self._lock:
            return len(self._waiting) + len(self._in_flight)

    def drain(self, timeout_s: float, stop: threading.Event | None = None) -> bool:
        """Wait until the broker has everything; False after ``timeout_s`` or when ``stop`` is set."""
        pause = threading.Event()
        waited = 0.0
        while self.waiting():
            if waited >= timeout_s or (stop is not None and stop.is_set()):
                return False
            pause.wait(0.02)
            waited += 0.02
        return True

    def wait_connected(self, timeout_s: float) -> bool:
        """True once connected. Raises ConfigurationError when the broker refuses the user."""
        connected = self._connected.wait(timeout_s)
        if self.refused:
            raise ConfigurationError(f"the broker refuses {self.name}: {self.refused}")
        return connected

    def _new_client(self) -> mqtt.Client:
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"{self.name}-{self._token}", protocol=mqtt.MQTTv5)
        client.max_inflight_messages = WINDOW
        if self._settings.mqtt_username:
            password = self._settings.mqtt_password.get_secret_value()
            client.username_pw_set(self._settings.mqtt_username, password)
        if self._settings.mqtt_ca_file:
            client.tls_set(ca_certs=str(self._settings.mqtt_ca_file))
        client.reconnect_delay_set(1, 15)
        client.will_set(wire.status_topic(self.network, self.name), _status("offline"), qos=1, retain=True)
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
        self.refused = None
        with self._lock:
            self._window = min(WINDOW, getattr(properties, "ReceiveMaximum", WINDOW))
            # Before anything that waits: who comes back says so first.
            online = [(wire.status_topic(*device), _status("online"), True) for device in self._devices]
            self._waiting.extendleft(reversed(online))
        self._connected.set()
        self._pump()

    def _on_disconnect(
        self, _client: mqtt.Client, _data: object, _flags: object, reason: ReasonCode, _p: object
    ) -> None:
        self._connected.clear()
        if reason.is_failure:
            log.warning("gateway disconnected", gateway=self.name, reason=str(reason))

    def _on_publish(self, client: mqtt.Client, _data: object, mid: int, reason: ReasonCode, _p: object) -> None:
        if reason.is_failure:
            log.error("publish refused", gateway=self.name, reason=str(reason))
        with self._lock:
            if client is self._client:
                self._in_flight.discard(mid)
        self._pump()

    def _pump(self) -> None:
        with self._lock:
            client = self._client
            while (
                client is not None
                and self._connected.is_set()
                and self._waiting
                and len(self._in_flight) < self._window
            ):
                topic, payload, retain = self._waiting.popleft()
                self._in_flight.add(client.publish(topic, payload, qos=1, retain=retain).mid)


def _session() -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = SESSION_S
    return properties


def _status(word: str) -> bytes:
    return orjson.dumps({"status": word})
