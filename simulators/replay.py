"""Plays a recording into the broker, through the front door, at any speed: ``python -m simulators replay``."""

import threading
import time as clock
import uuid
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from lifeline.errors import ConfigurationError
from lifeline.model import JsonObject
from lifeline.settings import Settings
from simulators.fleet import BACKLOG_FRAMES
from simulators.gateway import Gateway, own_login
from simulators.recorded import Block, Recorded, Sensor

TICK_S = 0.2
AT_ONCE = 50_000
"""Readings that are made into messages at a time."""
COMMON = ""
"""The log-in of all devices that have none of their own."""


@dataclass(frozen=True, slots=True)
class Pace:
    """When a reading is played and which time it then bears.

    ``speed``: seconds of the recording in a second; 0 is as fast as it goes. ``shift``: readings bear the moment at
    which they are played, so that they are live. As fast as it goes the last one bears ``begun``. What is not live is
    marked as backlog, which never raises a live alert.
    """

    first: float
    last: float
    begun: float
    speed: float
    shift: bool

    def due(self, now: float) -> float:
        """The recording's time up to which is played at ``now``."""
        return self.first + (now - self.begun) * self.speed if self.speed else self.last

    def borne(self, time: float) -> float:
        """The time that a reading of the recording's ``time`` bears."""
        if not self.shift:
            return time
        return self.begun + (time - self.first) / self.speed if self.speed else time + self.begun - self.last

    @property
    def live(self) -> bool:
        """Whether readings bear the moment at which they are played."""
        return self.shift and self.speed > 0

    @property
    def lasts_s(self) -> float:
        """Seconds that it takes, as far as the speed says."""
        return (self.last - self.first) / self.speed if self.speed else 0.0


class Voices:
    """One connection for each log-in: devices with a password of their own speak for themselves, the others through
    the common user.

    ``passwords``: folder with a file for each device. Raises ConfigurationError where a device has neither.
    """

    def __init__(self, settings: Settings, passwords: Path | None, sensors: Sequence[Sensor]) -> None:
        token = uuid.uuid4().hex[:8]
        self._of: dict[str, str] = {}
        self.gateways: dict[str, Gateway] = {}
        for sensor in dict.fromkeys((sensor.network, sensor.device) for sensor in sensors):
            network, device = sensor
            login = own_login(settings, passwords, device)
            self._of[device] = COMMON if login is None else device
            if login is not None:
                self.gateways[device] = Gateway(f"replay-{device}", network, [], login, token)
        lost = [device for device, name in self._of.items() if name == COMMON]
        if lost and not settings.mqtt_username:
            raise ConfigurationError(
                f"no log-in for {len(lost)} device(s), {lost[0]} the first: `lifeline sensors password {lost[0]}` "
                "makes one, or LIFELINE_MQTT_USERNAME names a user who may write for all"
            )
        if lost:
            self.gateways[COMMON] = Gateway("replay", "", [], settings, token)

    def of(self, device: str) -> Gateway:
        """Through which a device speaks."""
        return self.gateways[self._of[device]]

    def start(self, stop: threading.Event) -> None:
        """Connect all. Raises ConfigurationError when the broker refuses one."""
        for gateway in self.gateways.values():
            gateway.start()
        for gateway in self.gateways.values():
            while not gateway.wait_connected(1.0) and not stop.is_set():
                pass

    def end(self, timeout_s: float = 60.0) -> bool:
        """Deliver what waits and disconnect; False where something could not be delivered."""
        delivered = [gateway.stop(timeout_s) for gateway in self.gateways.values()]
        return all(delivered) and not any(gateway.dropped for gateway in self.gateways.values())


class Player:
    """Plays one recording. ``readings`` and ``messages`` count what was handed over."""

    def __init__(
        self,
        recorded: Recorded,
        voices: Voices,
        pace: Pace,
        stop: threading.Event,
        now: Callable[[], float] = clock.time,
    ) -> None:
        self._recorded, self._voices, self._pace, self._now, self._stop = recorded, voices, pace, now, stop
        self.readings = self.messages = 0

    def play(self, tell: Callable[[float], None]) -> None:
        """Until the end, or until ``stop`` is set; ``tell`` hears the recording's time that has been reached."""
        for block in self._recorded.blocks():
            begin = 0
            while begin < len(block.times) and not self._stop.is_set():
                due = self._pace.due(self._now())
                end = min(int(np.searchsorted(block.times, due, side="right")), begin + AT_ONCE)
                if end > begin:
                    part = slice(begin, end)
                    self._publish(Block(block.times[part], block.sensor[part], block.values[part]))
                    tell(float(block.times[end - 1]))
                    begin = end
                else:
                    tell(due)
                    wait = (block.times[begin] - due) / self._pace.speed
                    self._stop.wait(float(np.clip(wait, 0.001, TICK_S)))
            if self._stop.is_set():
                return

    def _publish(self, block: Block) -> None:
        """Frames of one moment are one object, moments of one device an array: as a gateway that batches sends them."""
        order = np.lexsort((block.times, block.sensor))
        frames: dict[tuple[str, str], dict[float, dict[str, float]]] = defaultdict(dict)
        columns = (block.times[order].tolist(), block.sensor[order].tolist(), block.values[order].tolist())
        sensors = self._recorded.sensors
        for time, place, value in zip(*columns, strict=True):
            network, device, channel = sensors[place]
            frames[network, device].setdefault(time, {})[channel] = value
        for (network, device), moments in frames.items():
            own = [self._frame(time, moments[time]) for time in sorted(moments)]
            for begin in range(0, len(own), BACKLOG_FRAMES):
                gateway = self._voices.of(device)
                gateway.wait_for_room(self._stop)
                gateway.publish(network, device, own[begin : begin + BACKLOG_FRAMES])
                self.messages += 1

    def _frame(self, time: float, values: dict[str, float]) -> JsonObject:
        """Without a sequence number: it would break the device's own count."""
        borne = datetime.fromtimestamp(self._pace.borne(time), UTC).isoformat(timespec="microseconds")
        self.readings += len(values)
        frame: JsonObject = {"ts": borne, "v": values}
        return frame if self._pace.live else frame | {"backlog": True}
