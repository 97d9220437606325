"""All gateways and devices of a town at the broker: who samples when, what is buffered, and what comes as backlog."""

import math
import threading
from collections import defaultdict
from pathlib import Path
from typing import Protocol

import numpy as np
import structlog

from lifeline import wire
from lifeline.catalogue import Catalogue
from lifeline.model import JsonObject
from lifeline.settings import Settings
from simulators.device import BATTERY_S, BREACH, Device, Meters, make_devices
from simulators.engine import Floats
from simulators.gateway import Gateway, own_login
from simulators.habits import PLAIN, Habit, Habits, Manner
from simulators.town import Town

BACKLOG_FRAMES = 288
"""Frames in one array: a day at five minutes."""
STORED_FRAMES = 2_000
"""What a device keeps at most while its gateway is away."""
log = structlog.get_logger()


class Ills(Protocol):
    """What is wrong with sensors and devices now: the director tells."""

    @property
    def garbling_devices(self) -> set[str]: ...

    def told(self, read: list[float], now: float) -> list[float]: ...

    def clock_offset(self, device: str, now: float) -> float: ...


def rubbish(now: float) -> bytes:
    """What broken firmware sends: another piece of nonsense each second, none of them a reading."""
    pieces = (b"\xff\xfe\x00\x1b", b'{"ts": "now", "v": {', b"NaN,NaN,NaN", b'{"v": {"methane": "high"}}', b"\x00" * 64)
    return pieces[int(now) % len(pieces)] + str(int(now)).encode()


class Fleet:
    """The devices of a town, speaking. ``token`` keeps client ids of two fleets at one broker apart.

    ``passwords``: folder with a file for each device that logs in as itself; the others speak through their gateway.
    """

    def __init__(
        self,
        town: Town,
        catalogue: Catalogue,
        settings: Settings,
        token: str,
        habits: Habits | None = None,
        passwords: Path | None = None,
    ) -> None:
        self._town = town
        self._meters = Meters(town.instruments, catalogue, town.seed)
        self.devices = make_devices(town.instruments)
        self.gateways, self._voice, self._parent = _connections(town, settings, token, passwords)
        self._manners = {
            name: Manner((habits or Habits()).of(name), np.random.default_rng([town.seed, 61, number]))
            for number, name in enumerate(self.devices)
        }
        self._channels = [i.channel for i in town.instruments]
        self._quantities = [i.quantity for i in town.instruments]
        self._stored: dict[str, list[JsonObject]] = defaultdict(list)
        self._root = settings.topic_root

    def start(self) -> None:
        """Connect every gateway."""
        for gateway in self.gateways.values():
            gateway.start()

    def wait_connected(self, stop: threading.Event) -> None:
        """Until all are connected or ``stop`` is set. Raises ConfigurationError when the broker refuses them."""
        for gateway in self.gateways.values():
            while not gateway.wait_connected(1.0) and not stop.is_set():
                log.info("waiting for the broker", gateway=gateway.name)

    def stop(self) -> None:
        """Deliver what can be delivered and say goodbye."""
        for device in self.devices.values():
            for payload in self._manners[device.name].rest(device.name):
                self.gateway_of(device).offer(self._topic(device), payload)
        lost = [gateway.name for gateway in self.gateways.values() if not gateway.stop()]
        if lost:
            log.warning("not everything was delivered", gateways=lost)

    def gateway_of(self, device: Device) -> Gateway:
        """The connection through which a device speaks: its gateway's, or its own."""
        return self.gateways[self._voice[device.name]]

    def recall(self, times: list[float], rows: list[Floats]) -> int:
        """Publish the past: ``rows[i]`` holds the true values at ``times[i]``. Returns how many readings that are."""
        frames: dict[str, list[JsonObject]] = defaultdict(list)
        count = 0
        for time, row in zip(times, rows, strict=True):
            shown = self._meters.read(row)
            for device in self.devices.values():
                values = self._due_values(device, shown, time)
                if values:
                    frames[device.name].append(device.frame(time, values, backlog=True))
                    count += len(values)
        for name, past in frames.items():
            self._publish(self.devices[name], past)
        return count

    def go_live(self, now: float) -> None:
        """Sample from now on, not all devices at once."""
        for number, device in enumerate(self.devices.values()):
            device.due = now + number * self._habit(device).normal_s / len(self.devices)

    def sample(self, now: float, truth: Floats, ill: Ills | None = None) -> int:
        """Devices that are due sample and report, or store while their gateway is dead. Returns the readings sent.

        ``ill`` says which sensors tell something else than they read, which clocks are wrong and who sends rubbish.
        """
        # A rhythm that lies further ahead than an interval is one of before the clock was set back.
        due = [d for d in self.devices.values() if not now < d.due <= now + self._habit(d).normal_s]
        if not due:
            return 0
        shown = self._meters.read(truth)
        told = shown if ill is None else ill.told(shown, now)
        garbling = set[str]() if ill is None else ill.garbling_devices
        sent = 0
        for device in due:
            values = self._due_values(device, told, now)
            breach = self._breach(device, shown)
            interval = self._habit(device).fast_s if breach else self._habit(device).normal_s
            device.due += interval
            if not now < device.due <= now + interval:  # held up: it does not make up for lost samples
                device.due = now + interval
            if device.name in garbling:
                self.gateway_of(device).offer(self._topic(device), rubbish(now))
            elif values:
                offset = 0.0 if ill is None else ill.clock_offset(device.name, now)
                sent += self._say(device, now, offset, values, breach=breach)
        return sent

    def _say(self, device: Device, now: float, offset: float, values: dict[str, float], *, breach: bool) -> int:
        """One sample of a device goes out, or waits as backlog while its gateway is dead; readings that went out."""
        manner = self._manners[device.name]
        plain, gateway = manner.habit is PLAIN, self.gateway_of(device)
        own = values if plain else manner.measured(now, values)
        frame = device.frame(now + offset + manner.ahead(now), own, backlog=not gateway.alive)
        if not gateway.alive:
            stored = self._stored[device.name]
            waiting = [left | {"backlog": True} for left in manner.left()] + [frame]
            stored += waiting[: max(STORED_FRAMES - len(stored), 0)]
            return 0
        if plain:
            self._publish(device, [frame])
        else:
            for payload in manner.spoken(device.name, frame, breach=breach):
                gateway.offer(self._topic(device), payload)
        return len(own)

    def _habit(self, device: Device) -> Habit:
        return self._manners[device.name].habit

    def silence(self, dead: set[str]) -> None:
        """Kill gateways that are now dead, and bring back the others with what their devices stored meanwhile."""
        for name, gateway in self.gateways.items():
            gone = name in dead or self._parent.get(name) in dead
            if gone and gateway.alive:
                log.info("gateway dies", gateway=name)
                gateway.die()
            elif not gone and not gateway.alive:
                log.info("gateway comes back", gateway=name)
                gateway.start()
                for device in self.devices.values():
                    if self.gateway_of(device) is gateway:
                        self._publish(device, self._stored.pop(device.name, []))

    def _topic(self, device: Device) -> str:
        return wire.readings_topic(device.network, device.name, self._root)

    def _publish(self, device: Device, frames: list[JsonObject]) -> None:
        for begin in range(0, len(frames), BACKLOG_FRAMES):
            part = frames[begin : begin + BACKLOG_FRAMES]
            self.gateway_of(device).publish(device.network, device.name, part)

    def _due_values(self, device: Device, shown: list[float], time: float) -> dict[str, float]:
        """Channel -> value; the battery only now and then."""
        values = {self._channels[i]: shown[i] for i in device.sensors if self._quantities[i] != "battery"}
        values = {channel: value for channel, value in values.items() if not math.isnan(value)}
        if not time < device.battery_due <= time + BATTERY_S:
            device.battery_due = time + BATTERY_S
            values |= {
                self._channels[i]: shown[i]
                for i in device.sensors
                if self._quantities[i] == "battery" and not math.isnan(shown[i])
            }
        return values

    def _breach(self, device: Device, shown: list[float]) -> bool:
        return any(shown[i] >= BREACH.get(self._quantities[i], float("inf")) for i in device.sensors)


def _connections(
    town: Town, settings: Settings, token: str, passwords: Path | None
) -> tuple[dict[str, Gateway], dict[str, str], dict[str, str]]:
    """Connections by name, device -> the name of its connection, and device with a connection of its own -> gateway.

    A gateway logs in as itself only where nobody has to speak through it: the broker lets it write its topics alone.
    """
    networks, found, voice, parent = town.device_network(), {}, {}, {}
    for name, behind in town.gateways().items():
        logins = {device: own_login(settings, passwords, device) for device in (name, *behind)}
        through = [device for device in behind if logins[device] is None]
        for device in behind:
            login = logins[device]
            voice[device] = name if login is None else device
            if login is not None:
                parent[device] = name
                found[device] = Gateway(device, networks[device], [(networks[device], device)], login, token)
        own = None if through else logins[name]
        spoken = [(networks[device], device) for device in (name, *through)]
        voice[name], found[name] = name, Gateway(name, networks[name], spoken, own or settings, token)
    return found, voice, parent
