"""Rain and temperature: a function of the seed and the time, so that any moment can be asked for in any order."""

import math
from dataclasses import dataclass

import numpy as np

DAY_S, YEAR_S = 86_400.0, 365.2425 * 86_400.0
LOCAL_S = 8 * 3600.0
"""China keeps one time, UTC+8, all year."""


@dataclass(frozen=True, slots=True)
class Storm:
    """A Chicago design storm (Keifer and Chu 1957): ``depth_mm`` in ``lasts_s``, its peak after ``peak_share`` of it.

    Intensity at a time s before the peak is a((1-n) s/r + b) / (s/r + b)^(n+1), after it with 1-r in place of r;
    ``b_min`` in minutes and n of the usual order, ``a`` so that the whole gives ``depth_mm``.
    """

    start: float
    lasts_s: float
    depth_mm: float
    peak_share: float = 0.4
    b_min: float = 14.0
    n: float = 0.84

    def intensity(self, time: float) -> float:
        """mm/h at ``time``."""
        if not self.start <= time < self.start + self.lasts_s:
            return 0.0
        # The average intensity over the whole duration T is a / (T + b)^n.
        a = self.depth_mm / (self.lasts_s / 3600) * (self.lasts_s / 60 + self.b_min) ** self.n
        peak = self.start + self.peak_share * self.lasts_s
        side = self.peak_share if time < peak else 1 - self.peak_share
        s = abs(time - peak) / 60 / side
        return float(a * ((1 - self.n) * s + self.b_min) / (s + self.b_min) ** (self.n + 1))


def design_depth(return_years: float, lasts_s: float) -> float:
    """mm of the storm of this return period and duration, by a formula of the form that is used in China,
    q = 3600 (1 + 0.76 lg P) / (t + 14)^0.84 in L/(s ha), t in minutes (default: from no standard)."""
    rate_mm_h = 0.36 * 3600 * (1 + 0.76 * math.log10(max(return_years, 0.1))) / (lasts_s / 60 + 14) ** 0.84
    return float(rate_mm_h * lasts_s / 3600)


class Weather:
    """Temperature and rain of one town. Showers come by themselves, about one in three days; storms are added."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._phases = np.random.default_rng([seed, 10]).uniform(0, 2 * math.pi, 3)
        self._storms: dict[str, Storm] = {}
        self._showers: dict[int, Storm | None] = {}
        self._warmer: dict[str, float] = {}

    def air_c(self, time: float) -> float:
        """Air temperature in Celsius: mean 16.5, 12.5 by season, 4 by the hour, a few degrees of weather."""
        local = time + LOCAL_S
        season = 12.5 * math.cos(2 * math.pi * (local / YEAR_S - 200 / 365.25))  # hottest on about 20 July
        hour = 4.0 * math.cos(2 * math.pi * (local / DAY_S - 15 / 24))
        days = local / DAY_S
        spell = 2.4 * math.sin(days / 1.1 + self._phases[0]) + 1.6 * math.sin(days / 0.47 + self._phases[1])
        return 16.5 + season + hour + spell + self._extra_k

    def sewer_c(self, time: float) -> float:
        """Temperature in sewers and chambers: it follows the season at half its swing, and hardly the hour."""
        local = time + LOCAL_S
        usual = 18.0 + 6.0 * math.cos(2 * math.pi * (local / YEAR_S - 215 / 365.25))
        return usual + 0.05 * (self.air_c(time) - 16.5) + 0.95 * self._extra_k

    def wind(self, time: float) -> float:
        """A factor around 1 by which wind changes the ventilation of chambers."""
        days = (time + LOCAL_S) / DAY_S
        gust = math.sin(days * 41 + self._phases[2]) * math.sin(days * 97 + self._phases[0])
        return 1.0 + 0.25 * math.sin(2 * math.pi * (days - 14 / 24) + math.pi / 2) + 0.2 * gust

    def rain(self, time: float) -> float:
        """mm/h at ``time``, showers and storms together."""
        day = math.floor((time + LOCAL_S) / DAY_S)
        showers = (self._shower(day), self._shower(day - 1))
        natural = sum(shower.intensity(time) for shower in showers if shower)
        return natural + sum(storm.intensity(time) for storm in self._storms.values())

    def add(self, name: str, storm: Storm) -> None:
        """A storm from a scenario."""
        self._storms[name] = storm

    def remove(self, name: str) -> None:
        """Take a storm away again; a name that is not there is no error."""
        self._storms.pop(name, None)

    def warm(self, name: str, kelvin: float) -> None:
        """A hot spell from a scenario: warmer by so much than usual, in the air and in sewers; 0 ends it."""
        self._warmer[name] = kelvin

    @property
    def _extra_k(self) -> float:
        return sum(self._warmer.values())

    def _shower(self, day: int) -> Storm | None:
        if day not in self._showers:
            rng = np.random.default_rng([self._seed, 11, day % 2**31])
            wet, start, lasts, depth = rng.random(), rng.random(), rng.uniform(1.0, 4.0), rng.gamma(2.0, 3.0)
            begin = day * DAY_S - LOCAL_S + start * DAY_S
            self._showers[day] = Storm(begin, lasts * 3600, min(float(depth), 14.0)) if wet < 0.35 else None
        return self._showers[day]
