"""What the town asks of an engine, and how its steps are read at any moment between them."""

import math
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Engine(Protocol):
    """A network's physics behind one small door. Times are seconds since the epoch.

    An engine knows from the start which (asset, quantity) pairs it is asked for; ``step`` returns them in that order.
    """

    def step(self, to: float) -> Floats:
        """Advance to ``to``, which never lies before the step before, and return the values there."""
        ...

    def disturb(self, effect: str, asset: str, amount: float) -> None:
        """Set one effect at one asset from now on; 0 ends it. Raises KeyError for what it does not have."""
        ...

    def close(self) -> None:
        """Give back memory and files."""
        ...


def scratch_folder(engine: str) -> "tempfile.TemporaryDirectory[str]":
    """A folder for an engine's files. What a killed process left behind is removed on the way."""
    root = Path(tempfile.gettempdir())
    for left in root.glob("lifeline-engine-*"):
        owner = re.match(r"lifeline-engine-(\d+)-", left.name)
        if owner and not Path(f"/proc/{owner[1]}").exists():
            shutil.rmtree(left, ignore_errors=True)
    return tempfile.TemporaryDirectory(prefix=f"lifeline-engine-{os.getpid()}-{engine}-")


class Track:
    """An engine read at any time: it steps on a grid of ``every_s`` seconds and values between steps are interpolated.

    The engine is at most one step ahead, so that is also how late a disturbance shows.
    """

    def __init__(self, engine: Engine, start: float, every_s: float) -> None:
        self.engine = engine
        self.every_s = every_s
        self._before_at = self._after_at = start
        self._before = self._after = engine.step(start)

    def at(self, time: float) -> Floats:
        """The values at ``time``; asking for a time before the newest two steps gives the older of them."""
        while time > self._after_at:
            self._before_at, self._before = self._after_at, self._after
            self._after_at = (math.floor(self._after_at / self.every_s) + 1) * self.every_s
            self._after = self.engine.step(self._after_at)
        if self._after_at == self._before_at:
            return self._after
        share = max(0.0, (time - self._before_at) / (self._after_at - self._before_at))
        return np.asarray(self._before + share * (self._after - self._before))

    def restart(self, time: float) -> None:
        """Forget the steps taken ahead and solve at ``time``: only for an engine without memory."""
        self._before_at = self._after_at = time
        self._before = self._after = self.engine.step(time)
