"""Devices as they are: noise, resolution, a bias of their own, and a rhythm that quickens on a breach."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from lifeline.catalogue import Catalogue
from lifeline.model import JsonObject
from simulators.engine import Floats
from simulators.town import Instrument

NOISE = {
    "methane": 0.004, "gas_pressure": 0.0015, "gas_flow": 0.6, "pressure": 0.06, "flow": 0.25, "level": 0.0015,
    "residual_chlorine": 0.008, "rain": 0.0, "ponding_depth": 0.0, "h2s": 0.08, "battery": 0.004,
    "turbidity": 0.01, "pump_current": 0.0,
}  # fmt: skip
"""Standard deviation of one sample, in the quantity's unit; plus ``NOISE_SHARE`` of the value."""
NOISE_SHARE = {"gas_flow": 0.004, "flow": 0.006, "methane": 0.02, "h2s": 0.03, "turbidity": 0.03, "pump_current": 0.01}
BREACH = {"methane": 0.25, "h2s": 10.0, "ponding_depth": 0.03, "rain": 16.0}
"""At or above this a device reports at its fast rate."""
NORMAL_S, FAST_S, BATTERY_S = 10.0, 3.0, 600.0


@dataclass(slots=True)
class Device:
    """One device: its sensors (indices into the town's instruments), its sequence and its rhythm."""

    name: str
    network: str
    gateway: str
    sensors: list[int] = field(default_factory=list)
    sequence: int = 0
    due: float = 0.0
    battery_due: float = 0.0

    def frame(self, time: float, values: dict[str, float], *, backlog: bool = False) -> JsonObject:
        """One object of the wire contract."""
        self.sequence += 1
        frame: JsonObject = {"ts": timestamp(time), "v": values, "seq": self.sequence}
        return frame | {"backlog": True} if backlog else frame


def timestamp(time: float) -> str:
    """ISO 8601 in UTC to the millisecond, with Z."""
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Meters:
    """All instruments of a town as arrays: turns true values into what is read off them."""

    def __init__(self, instruments: Sequence[Instrument], catalogue: Catalogue, seed: int) -> None:
        self._rng = np.random.default_rng([seed, 60])
        quantities = [catalogue.quantities[i.quantity] for i in instruments]
        self._resolution = np.array([q.resolution for q in quantities])
        self._low, self._high = np.array([q.low for q in quantities]), np.array([q.high for q in quantities])
        # What cannot be negative is cut at zero even where the catalogue allows for an instrument's offset.
        signed = np.array([q.key in ("flow", "gas_flow", "pressure") for q in quantities])
        self._low = np.where(signed, self._low, np.maximum(self._low, 0.0))
        self._noise = np.array([NOISE[i.quantity] for i in instruments])
        self._share = np.array([NOISE_SHARE.get(i.quantity, 0.0) for i in instruments])
        self._bias = self._rng.normal(0, 0.5, len(instruments)) * self._noise
        self._decimals = np.array([max(0, round(-np.log10(r))) for r in self._resolution])

    def read_all(self, truth: Floats) -> Floats:
        """What the instruments show at many moments: ``truth`` and the result (moments, n)."""
        spread = self._noise + self._share * np.abs(truth)
        shown = truth + self._bias + self._rng.standard_normal(truth.shape) * spread
        return np.asarray(np.round(np.clip(shown, self._low, self._high) / self._resolution) * self._resolution)

    def read(self, truth: Floats) -> list[float]:
        """What the instruments show: ``truth`` (n,) with bias and noise, at their resolution, inside their range."""
        spread = self._noise + self._share * np.abs(truth)
        shown = truth + self._bias + self._rng.normal(0, 1, len(truth)) * spread
        steps = np.round(np.clip(shown, self._low, self._high) / self._resolution) * self._resolution
        return [round(v, d) for v, d in zip(steps.tolist(), self._decimals.tolist(), strict=True)]


def make_devices(instruments: Sequence[Instrument]) -> dict[str, Device]:
    """Every device by name, gateways included, in the order of the inventory."""
    devices: dict[str, Device] = {}
    for index, instrument in enumerate(instruments):
        device = devices.setdefault(
            instrument.device, Device(instrument.device, instrument.network, instrument.gateway)
        )
        device.sensors.append(index)
    return devices
