"""How devices behave beyond the plain: rhythm, what they speak, how well they keep time, how often they stumble.

A file of profiles says it; the first whose pattern matches a device counts, and one that matches none is plain.
"""

import tomllib
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from fnmatch import fnmatchcase
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from lifeline.errors import ConfigurationError
from lifeline.model import JsonObject
from simulators.device import FAST_S, NORMAL_S
from simulators.weather import DAY_S

FORMS = ("json", "senml")


@dataclass(frozen=True, slots=True)
class Habit:
    """One profile. Times in seconds; shares of messages from 0 to 1."""

    form: str = "json"
    """Lifeline's own JSON, or SenML (RFC 8428)."""
    normal_s: float = NORMAL_S
    """Between two samples."""
    fast_s: float = FAST_S
    """The same while a value is a breach; it is then reported at once."""
    gathered: int = 1
    """Samples in a message while nothing is a breach."""
    dead_time_s: float = 0.0
    """What is measured now is what was there so long ago: a sampling line, a slow cell."""
    drift_s_per_day: float = 0.0
    """The clock gains so much from the start on."""
    battery_v_per_day: float = 0.0
    """The battery falls so much from the start on."""
    duplicates: float = 0.0
    """Share of messages that go out twice."""
    late: float = 0.0
    """Share of messages that are overtaken by the one after them."""


PLAIN = Habit()
_BOUNDS = {
    "normal_s": (1.0, 86_400.0), "fast_s": (1.0, 86_400.0), "gathered": (1, 288), "dead_time_s": (0.0, 3600.0),
    "drift_s_per_day": (-3600.0, 3600.0), "battery_v_per_day": (0.0, 10.0), "duplicates": (0.0, 1.0),
    "late": (0.0, 1.0),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Habits:
    """Profiles in the order in which they are looked at: pattern of the device's name, and its habit."""

    profiles: tuple[tuple[str, Habit], ...] = ()

    def of(self, device: str) -> Habit:
        """The habit of a device."""
        return next((habit for pattern, habit in self.profiles if fnmatchcase(device, pattern)), PLAIN)


def shipped_habits() -> list[str]:
    """Names of the files that come with the simulators."""
    folder = resources.files("simulators").joinpath("profiles")
    return sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml"))


def load_habits(name: str) -> Habits:
    """A shipped file by name, or any by its path. Raises ConfigurationError with every mistake."""
    path = Path(name)
    if path.suffix != ".toml" and name not in shipped_habits():
        raise ConfigurationError(f"no habits {name!r}; there are {', '.join(shipped_habits())}, or give a .toml file")
    try:
        shipped = resources.files("simulators").joinpath("profiles", f"{name}.toml")
        return parse_habits((path if path.suffix == ".toml" else shipped).read_text(encoding="utf-8"), name)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{name}: {error}") from error


def parse_habits(text: str, source: str) -> Habits:
    """Read ``[[profile]]`` tables. Raises ConfigurationError with every mistake, one a profile."""
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{source}: not TOML: {error}") from error
    entries = data.get("profile", [])
    if data.keys() - {"profile"} or not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise ConfigurationError(f"{source}: profiles are written as [[profile]], and nothing else stands in the file")
    mistakes = [f"profile {number}: {each}" for number, entry in enumerate(entries, 1) for each in _mistakes(entry)]
    if mistakes:
        raise ConfigurationError(f"{source}: " + "; ".join(mistakes))
    found = []
    for entry in entries:
        habit = Habit(**{key: value for key, value in entry.items() if key != "devices"})
        found += [(pattern, habit) for pattern in entry["devices"]]
    return Habits(tuple(found))


def _mistakes(entry: dict[str, Any]) -> list[str]:
    known = ["devices", *(each.name for each in fields(Habit))]
    found = [f"unknown key {key!r}; there are {', '.join(known)}" for key in sorted(entry.keys() - set(known))]
    patterns = entry.get("devices")
    if not isinstance(patterns, list) or not patterns or not all(isinstance(each, str) for each in patterns):
        found.append('devices must be a list of patterns: ["gas-*"]')
    if entry.get("form", "json") not in FORMS:
        found.append(f"form must be {' or '.join(FORMS)}")
    for key, (low, high) in _BOUNDS.items():
        value = entry.get(key, low)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not low <= value <= high or (key == "gathered" and value != int(value)):
            found.append(f"{key} must be {low:g} to {high:g}")
    return found


@dataclass(slots=True)
class Manner:
    """What one device does with its samples. ``rng`` decides when it stumbles: the same seed, the same stumbles."""

    habit: Habit
    rng: np.random.Generator
    begun: float | None = None
    _line: deque[tuple[float, dict[str, float]]] = field(default_factory=deque)
    _gathered: list[JsonObject] = field(default_factory=list)
    _held: bytes | None = None

    def measured(self, now: float, values: Mapping[str, float]) -> dict[str, float]:
        """What the device has by now of what its instruments show: that of one dead time ago; its battery falls."""
        self.begun = now if self.begun is None else self.begun
        shown = {c: self._drained(v, now) if c.startswith("battery") else v for c, v in values.items()}
        self._line.append((now, shown))
        while len(self._line) > 1 and self._line[1][0] <= now - self.habit.dead_time_s:
            self._line.popleft()
        return self._line[0][1]

    def ahead(self, now: float) -> float:
        """Seconds by which its clock is ahead."""
        return self.habit.drift_s_per_day * self._days(now)

    def _drained(self, volts: float, now: float) -> float:
        return max(round(volts - self.habit.battery_v_per_day * self._days(now), 3), 0.0)

    def _days(self, now: float) -> float:
        return 0.0 if self.begun is None else (now - self.begun) / DAY_S

    def spoken(self, device: str, frame: JsonObject, *, breach: bool) -> list[bytes]:
        """The payloads that go out now that one more frame is there, in their order."""
        self._gathered.append(frame)
        if len(self._gathered) < self.habit.gathered and not breach:
            return []
        out = [self._payload(device)] * (2 if self.rng.random() < self.habit.duplicates else 1)
        if self._held is None and self.rng.random() < self.habit.late:
            self._held = out.pop()
        elif self._held is not None:
            out.append(self._held)
            self._held = None
        return out

    def rest(self, device: str) -> list[bytes]:
        """What it has not said yet, when it is switched off."""
        out = [self._payload(device)] if self._gathered else []
        held, self._held = self._held, None
        return out if held is None else [*out, held]

    def _payload(self, device: str) -> bytes:
        frames = self.left()
        return senml(device, frames) if self.habit.form == "senml" else own_json(frames)

    def left(self) -> list[JsonObject]:
        """Frames that were gathered and not sent: they become backlog when the gateway dies."""
        frames, self._gathered = self._gathered, []
        return frames


def own_json(frames: Sequence[JsonObject]) -> bytes:
    """One frame as an object, more as an array."""
    return orjson.dumps(frames[0] if len(frames) == 1 else list(frames))


def senml(device: str, frames: Sequence[JsonObject]) -> bytes:
    """Frames as one SenML pack: the first record names the device and the time from which the others count."""
    first = datetime.fromisoformat(frames[0]["ts"]).timestamp()
    pack: list[JsonObject] = []
    for frame in frames:
        since = round(datetime.fromisoformat(frame["ts"]).timestamp() - first, 3)
        pack += [{"n": channel, "v": value, "t": since} for channel, value in frame["v"].items()]
    pack[0] = {"bn": f"{device}:", "bt": first} | pack[0]
    return orjson.dumps(pack)
