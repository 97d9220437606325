"""Service through time after a shock: what is served from when on, and when all is as it was."""

from typing import NamedTuple

import numpy as np

from lifeline.risk.assets import Floats

NEARLY, WHOLE = 0.9, 0.999
"""Shares of service: nearly all, and all but what a solver's tolerance may lose (default)."""


class Course(NamedTuple):
    """``share`` (t,) is served from ``hours`` (t,) after the shock on until the next; the last holds for good.

    ``ended``: hours until all is mended, served, and stored as if nothing had been; infinite where what was followed
    ended before.
    """

    hours: Floats
    share: Floats
    ended: float

    @property
    def worst(self) -> float:
        """The least share that is served at any time."""
        return float(self.share.min())

    @property
    def lasts(self) -> float:
        """Hours until the first goes short: what tanks bridge; infinite where nobody does."""
        short = np.flatnonzero(self.share < WHOLE)
        return float(self.hours[short[0]]) if len(short) else float("inf")

    def since(self, share: float) -> float:
        """Hours until so much is served and never less again; infinite where that was not seen."""
        below = np.flatnonzero(self.share < share)
        if not len(below):
            return 0.0
        return float(self.hours[below[-1] + 1]) if below[-1] + 1 < len(self.hours) else float("inf")

    def mean(self, until: float) -> float:
        """Mean share from the shock until an hour."""
        if until <= 0:
            return float(self.share[0])
        edges = np.minimum(np.append(self.hours, max(until, float(self.hours[-1]))), until)
        return float((np.diff(edges) * self.share).sum() / until)
