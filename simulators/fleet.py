"""All gateways and devices of a town at the broker: who samples when, what is buffered, and what comes as backlog."""

import math
import threading
from collections import defaultdict
from typing import Protocol

import structlog

from lifeline import wire
from lifeline.catalogue import Catalogue
from lifeline.model import JsonObject
from lifeline.settings import Settings
from simulators.device import BATTERY_S, BREACH, FAST_S, NORMAL_S, Device, Meters, make_devices
from simulators.engine import Floats
from simulators.gateway import Gateway
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
    """The devices of a town, speaking. ``token`` keeps client ids of two fleets at one broker apart."""

    def __init__(self, town: Town, catalogue: Catalogue, settings: Settings, token: str) -> None:
        self._town = town
        self._meters = Meters(town.instruments, catalogue, town.seed)
        self.devices = make_devices(town.instruments)
        networks = town.device_network()
        self.gateways = {
            name: Gateway(name, networks[name], [(networks[d], d) for d in (name, *behind)], settings, token)
            for name, behind in town.gateways().items()
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
        lost = [gateway.name for gateway in self.gateways.values() if not gateway.stop()]
        if lost:
            log.warning("not everything was delivered", gateways=lost)

    def gateway_of(self, device: Device) -> Gateway:
        """The gateway through which a device speaks; a gateway speaks for itself."""
        return self.gateways[device.gateway or device.name]

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
            device.due = now + number * NORMAL_S / len(self.devices)

    def sample(self, now: float, truth: Floats, ill: Ills | None = None) -> int:
        """Devices that are due sample and report, or store while their gateway is dead. Returns the readings sent.

        ``ill`` says which sensors tell something else than they read, which clocks are wrong and who sends rubbish.
        """
        # A rhythm that lies further ahead than an interval is one of before the clock was set back.
        due = [device for device in self.devices.values() if not now < device.due <= now + NORMAL_S]
        if not due:
            return 0
        shown = self._meters.read(truth)
        told = shown if ill is None else ill.told(shown, now)
        garbling = set[str]() if ill is None else ill.garbling_devices
        sent = 0
        for device in due:
            values = self._due_values(device, told, now)
            interval = self._interval(device, shown)
            device.due += interval
            if not now < device.due <= now + interval:  # held up: it does not make up for lost samples
                device.due = now + interval
            if device.name in garbling:
                self.gateway_of(device).offer(self._topic(device), rubbish(now))
                continue
            if not values:
                continue
            stamp = now if ill is None else now + ill.clock_offset(device.name, now)
            if self.gateway_of(device).alive:
                self._publish(device, [device.frame(stamp, values)])
                sent += len(values)
            elif len(self._stored[device.name]) < STORED_FRAMES:
                self._stored[device.name].append(device.frame(stamp, values, backlog=True))
        return sent

    def silence(self, dead: set[str]) -> None:
        """Kill gateways that are now dead, and bring back the others with what their devices stored meanwhile."""
        for name, gateway in self.gateways.items():
            if name in dead and gateway.alive:
                log.info("gateway dies", gateway=name)
                gateway.die()
            elif name not in dead and not gateway.alive:
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

    def _interval(self, device: Device, shown: list[float]) -> float:
        breach = any(shown[i] >= BREACH.get(self._quantities[i], float("inf")) for i in device.sensors)
        return FAST_S if breach else NORMAL_S
