"""A day and a half of readings on which the detectors are tried one by one."""

import numpy as np
from hypothesis import strategies as st

STEP = 300.0
ROWS, SENSORS = 400, 4
TIMES = 1_767_571_200.0 + STEP * np.arange(ROWS)

uneven = st.lists(st.floats(1, 600), min_size=6, max_size=40).map(lambda steps: 1.7e9 + np.cumsum(steps))
"""Times at which readings come, from a second to ten minutes apart."""


def readings(seed: int = 1, gaps: float = 0.05) -> np.ndarray:
    """Levels of about 1 m that swing, jump and have gaps."""
    rng = np.random.default_rng(seed)
    values = (
        1 + 0.3 * np.sin(2 * np.pi * TIMES / 86_400)[:, None] + 0.1 * np.cumsum(rng.normal(size=(ROWS, SENSORS)), 0) / 5
    )
    values[rng.random(values.shape) < gaps] = np.nan
    return values
