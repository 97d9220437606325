"""The scheme of the live map: where the colours are cut, how fast an alert fades, how networks are coupled."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lifeline import risk
from lifeline.model import Level
from lifeline.risk import coupling
from lifeline.risk.coupling import Couplings

DECAY_S = 3600.0
"""tau: an hour after its return an alert counts for a third of what it did (default)."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """What the settings say of the map."""

    cuts: tuple[float, float, float]
    """Lowest score of red, orange and yellow."""
    decay_s: float
    couplings: Couplings

    @property
    def lowest(self) -> NDArray[np.float64]:
        """(5,) lowest score by level number; 0 for none and for blue."""
        return np.array([0.0, *self.cuts, 0.0])

    def levels(self, scores: NDArray[np.float64]) -> NDArray[np.int_]:
        """Level number (1 red to 4 blue) of each score."""
        return risk.levels(scores, {**dict(zip(Level, self.cuts, strict=False)), Level.BLUE: 0.0})


@cache
def shipped_scheme() -> Scheme:
    """The defaults."""
    return load_scheme([risk.CUTS[level] for level in (Level.RED, Level.ORANGE, Level.YELLOW)], DECAY_S, None)


def load_scheme(cuts: list[float], decay_s: float, couplings: Path | None) -> Scheme:
    """The scheme of these settings. Raises CatalogueError where the file of couplings is wrong."""
    red, orange, yellow = cuts
    return Scheme((red, orange, yellow), decay_s, coupling.load(couplings))
