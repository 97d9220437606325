"""The connection to the broker: MQTT 5, QoS 1, a session that outlives us, and acknowledgement only after commit."""

import hashlib
import hmac
import os
import random
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from ingest.batch import Batch
from ingest.fastpaho import FastClient
from ingest.metrics import Metrics
from lifeline import wire
from lifeline.settings import Settings

SESSION_EXPIRY_S = 30 * 86_400
"""How long the broker keeps our place and what we have not taken."""
KEEPALIVE_S = 30
RECONNECT_S = (0.2, 10.0)
"""First and longest wait before the next attempt; each wait is drawn between half and the whole of it."""
ATTEMPT_S = 10.0
"""A connection that is not subscribed after so long is given up."""
FAREWELL_S = 2.0
"""For so long it is waited until the broker has closed the connection in its turn."""
FULL_BYTES = 1_000_000
"""A batch with so many bytes is full, however few messages it has."""
HELD_BYTES = 128_000_000
"""Bytes held at most, besides the limit on messages; then the socket is not read."""

log = structlog.get_logger()


def session_name(client_id: str, password: str) -> str:
    """The client id at the broker: ours, and a part that nobody knows who has not the password.

    A broker gives a session to whoever connects under its client id, and drops what waits in it where that user may
    not read it: a device that could name our session could destroy every reading in it.
    """
    if not password:
        return client_id
    return f"{client_id}-{hmac.new(password.encode(), client_id.encode(), hashlib.sha256).hexdigest()[:32]}"


@dataclass(frozen=True, slots=True)
class Subscriptions:
    """Filters to hold, and those of an earlier configuration that the session may still hold."""

    wanted: list[str]
    obsolete: list[str]

    @classmethod
    def of(cls, topics: list[str], earlier: set[str], root: str = wire.ROOT, *, shared: bool = True) -> "Subscriptions":
        """Readings are ``shared`` among consumers, unless there is one alone on a broker that forgets such
        subscriptions. Statuses never are: a shared subscription brings no retained message."""
        wanted = [*(wire.shared(topic) if shared else topic for topic in topics), wire.status_topic("+", "+", root)]
        return cls(wanted, sorted(earlier - set(wanted)))


class Consumer:
    """Reads messages into batches, hands full or waiting ones over, and acknowledges those that are done.

    ``step`` is to be called again and again by one thread; nothing here is for another thread.
    ``on_subscribed`` is called when the broker has confirmed the whole list of subscriptions.
    """

    def __init__(
        self,
        settings: Settings,
        subscriptions: Subscriptions,
        metrics: Metrics,
        hand_over: Callable[[Batch], None],
        on_subscribed: Callable[[], None],
        clock: Callable[[], datetime],
    ) -> None:
        self._settings = settings
        self._subscriptions = subscriptions
        self._metrics = metrics
        self._hand_over = hand_over
        self._on_subscribed = on_subscribed
        self._clock = clock
        self._generation = 0
        self._collecting = Batch(0)
        self._under_way: deque[Batch] = deque()
        self._awaited: set[int] = set()
        self._subscribed = False
        self._online = False
        self._given_up = ""
        self._repeats = 0
        self._linger_ms = float(settings.ingest_idle_ms)
        self._attempted = 0.0
        self._next_attempt = 0.0
        self._wait_s = RECONNECT_S[0]
        self._root = settings.topic_root.encode() if settings.topic_root != wire.ROOT else b""
        self._client = self._make_client()

    @property
    def subscribed(self) -> bool:
        """Whether the broker has confirmed every subscription of this connection."""
        return self._subscribed

    @property
    def idle(self) -> bool:
        """Nothing collected and nothing under way."""
        return not self._under_way and not len(self._collecting)

    def _make_client(self) -> Client:
        settings = self._settings
        kind = FastClient if settings.ingest_fast_reader else Client
        client = kind(
            CallbackAPIVersion.VERSION2,
            client_id=session_name(settings.ingest_client_id, settings.mqtt_password.get_secret_value()),
            protocol=MQTTProtocolVersion.MQTTv5,
            manual_ack=True,
            reconnect_on_failure=False,
        )
        if settings.mqtt_username:
            client.username_pw_set(settings.mqtt_username, settings.mqtt_password.get_secret_value())
        if settings.mqtt_ca_file is not None:
            client.tls_set(str(settings.mqtt_ca_file), cert_reqs=ssl.CERT_REQUIRED)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_confirmed
        client.on_unsubscribe = self._on_confirmed
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        if isinstance(client, FastClient):
            client.on_publishes = self._take
        return client

    # --- the loop

    def step(self) -> None:
        """Reads what is there, hands over what is due, acknowledges what is done. Takes a few milliseconds."""
        now = time.monotonic()
        if not self._online:
            self._try_to_connect(now)
        elif self._must_wait():
            time.sleep(0.005)
            self._client.loop_misc()
        else:
            self._check(self._client.loop(timeout=0.002 if self._under_way or len(self._collecting) else 0.05))
            self._read_on()
            if not self._subscribed and now - self._attempted > ATTEMPT_S:
                self._given_up = "the broker did not confirm the subscriptions in time"
            if self._given_up:
                self._drop()
        self.acknowledge()
        self._flush(time.monotonic())

    def _read_on(self) -> None:
        """Stock paho reads one packet a call: have it read what else is there before we look at anything else."""
        for _ in range(0 if isinstance(self._client, FastClient) else 200):
            before = len(self._collecting)
            self._check(self._client.loop_read())
            if len(self._collecting) == before:
                break

    def finish(self) -> None:
        """Hand over the rest; nothing more is read."""
        if len(self._collecting):
            self._dispatch()

    def acknowledge(self) -> None:
        """In the order of arrival, whatever the order of commits, and only on the connection that they came on."""
        while self._under_way and self._under_way[0].done.is_set():
            batch = self._under_way.popleft()
            self._adapt((time.monotonic() - batch.handed_over) * 1000)
            if batch.connection == self._generation and self._online:
                self._acknowledge([mid for mid in batch.mids if mid])
        self._metrics.pending.set(self._held_messages())

    def close(self) -> None:
        """Leaves the broker; the session stays.

        Heard out to its end: a socket that is closed while something unread is in it resets the connection, and the
        broker then throws away the acknowledgements that it had not read yet. All of that would come once more.
        """
        was_online, self._online = self._online, False
        used = self._client.socket()
        if not was_online or used is None:
            return
        deadline = time.monotonic() + FAREWELL_S
        with _kept_open(used) as connection, suppress(OSError):
            self._client.disconnect()
            while self._client.want_write() and time.monotonic() < deadline:
                self._client.loop_write()
                time.sleep(0.002)
            while connection.recv(1 << 20) and time.monotonic() < deadline:
                pass

    def _acknowledge(self, mids: list[int]) -> None:
        if isinstance(self._client, FastClient):
            self._check(self._client.acknowledge(mids))
            return
        for mid in mids:
            self._client.ack(mid, 1)

    def _held_messages(self) -> int:
        return len(self._collecting) + sum(map(len, self._under_way))

    def _must_wait(self) -> bool:
        held = self._collecting.size + sum(batch.size for batch in self._under_way)
        return self._held_messages() >= self._settings.ingest_max_pending or held >= HELD_BYTES

    # --- batches

    def _flush(self, now: float) -> None:
        """When full or old; or when no writer is at work: what came during a commit is the next batch."""
        batch = self._collecting
        if not len(batch) or self._blocked():
            return
        age_ms = (now - batch.born) * 1000
        full = len(batch) >= self._settings.ingest_batch_messages or batch.size >= FULL_BYTES
        free = not self._under_way and age_ms >= self._linger_ms
        if full or free or age_ms >= self._settings.ingest_batch_age_ms:
            self._dispatch()

    def _adapt(self, commit_ms: float) -> None:
        """Gather for about as long as a commit takes: the busier the database, the larger the batches.

        A large one is cheaper by the message, since of each sensor only the newest state is written. A twentieth of the
        greatest age at most: gathering must not be what a reading waits for.
        """
        factor = 1.25 if commit_ms > self._linger_ms else 0.8
        longest = self._settings.ingest_batch_age_ms / 20
        self._linger_ms = max(min(self._linger_ms * factor, longest), float(self._settings.ingest_idle_ms), 1.0)

    def _blocked(self) -> bool:
        """No writer is free; or one still has a batch of the last connection, whose messages are coming again."""
        return len(self._under_way) >= self._settings.ingest_writers or (
            bool(self._under_way) and self._under_way[-1].connection != self._collecting.connection
        )

    def _dispatch(self) -> None:
        batch, self._collecting = self._collecting, Batch(self._generation)
        batch.handed_over = time.monotonic()
        self._under_way.append(batch)
        self._hand_over(batch)

    def _take(self, topics: list[bytes], payloads: list[bytes], mids: list[int], flags: dict[int, int]) -> None:
        """Messages as they come from the socket; ``flags``: the first byte of those where it says DUP or RETAIN."""
        batch = self._collecting
        start = len(batch)
        if not start:
            batch.born = time.monotonic()
            batch.received_at = self._clock()
        batch.topics += [_by_contract(topic, self._root) for topic in topics] if self._root else topics
        batch.payloads += payloads
        batch.mids += mids
        batch.size += sum(map(len, payloads))
        batch.suspect = batch.suspect or self._repeats > 0
        self._repeats -= len(topics)
        for place, flag in flags.items():
            if flag & 8:
                batch.redelivered.add(start + place)
            if flag & 1:
                batch.retained.add(start + place)
        longest = self._settings.ingest_max_payload_bytes
        if max(map(len, payloads)) > longest:
            for place, payload in enumerate(payloads, start):
                if len(payload) > longest:
                    batch.cut[place] = len(payload)
                    batch.payloads[place] = payload[:longest]

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        flags = message.dup << 3 | message.retain
        # paho's own decoded topic raises on bytes that are not UTF-8
        topic = message._topic
        self._take([topic], [bytes(message.payload)], [message.mid if message.qos else 0], {0: flags} if flags else {})

    # --- the connection

    def _try_to_connect(self, now: float) -> None:
        if now < self._next_attempt:
            time.sleep(0.01)
            return
        self._attempted = now
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = SESSION_EXPIRY_S
        properties.ReceiveMaximum = self._settings.ingest_max_pending
        host, port = self._settings.require_broker()
        self._new_generation()
        try:
            self._client.connect(host, port, keepalive=KEEPALIVE_S, clean_start=False, properties=properties)
        except (OSError, UnicodeError) as error:  # UnicodeError: the host is no name
            self._back_off(str(error))
        else:
            self._online = True

    def _new_generation(self) -> None:
        """A batch never mixes two connections: its acknowledgements belong to one."""
        self._generation += 1
        if len(self._collecting):
            self._dispatch()
        self._collecting = Batch(self._generation)

    def _check(self, rc: MQTTErrorCode) -> None:
        if rc != MQTTErrorCode.MQTT_ERR_SUCCESS and self._online:
            self._lost(str(rc))

    def _lost(self, reason: str) -> None:
        self._online = self._subscribed = False
        self._metrics.broker_connected.set(0)
        self._back_off(reason)

    def _drop(self) -> None:
        """Not from inside a callback of paho's: there it would only be queued."""
        self._client.disconnect()
        self._lost(self._given_up)
        self._given_up = ""

    def _back_off(self, reason: str) -> None:
        wait_s = self._wait_s * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing
        self._next_attempt = time.monotonic() + wait_s
        self._wait_s = min(self._wait_s * 2, RECONNECT_S[1])
        log.warning("broker away", reason=reason, next_attempt_s=round(wait_s, 2))

    def _on_connect(self, client: Client, _data: Any, flags: Any, reason: ReasonCode, _properties: Any) -> None:
        if reason.is_failure:
            self._given_up = f"refused: {reason}"
            return
        if self._generation > 1:
            self._metrics.reconnects.inc()
        self._repeats = self._settings.ingest_max_pending if flags.session_present else 0
        options = SubscribeOptions(qos=1)
        _, subscribed = client.subscribe([(topic, options) for topic in self._subscriptions.wanted])
        self._awaited = {subscribed or 0}
        if self._subscriptions.obsolete:
            _, unsubscribed = client.unsubscribe(self._subscriptions.obsolete)
            self._awaited.add(unsubscribed or 0)
        log.info("connected to the broker", session_present=flags.session_present)

    def _on_confirmed(self, _client: Client, _data: Any, mid: int, reasons: list[ReasonCode], _properties: Any) -> None:
        refused = [str(reason) for reason in reasons if reason.is_failure and reason.value != 0x11]
        if refused:
            self._given_up = f"subscription refused: {refused}"
            return
        self._awaited.discard(mid)
        if not self._awaited and not self._subscribed:
            self._subscribed = True
            self._wait_s = RECONNECT_S[0]
            self._metrics.broker_connected.set(1)
            log.info("subscribed", filters=self._subscriptions.wanted, ended=self._subscriptions.obsolete)
            self._on_subscribed()

    def _on_disconnect(self, _client: Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:
        if self._online:
            self._lost(str(reason))


def _kept_open(used: Any) -> socket.socket:
    """The same connection once more: it stays open, and is read as it is, when the client has closed its own."""
    kept = socket.socket(fileno=os.dup(used.fileno()))
    kept.settimeout(FAREWELL_S)
    return kept


def _by_contract(topic: bytes, root: bytes) -> bytes:
    """A topic below another root as the contract has it: what comes after knows one root alone."""
    return wire.ROOT.encode() + topic[len(root) :] if topic.startswith(root + b"/") else topic
