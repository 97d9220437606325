"""A design storm of a return period, what it does to drains by reckoning, and the pumps of a SWMM model.

What it does in a SWMM model: lifeline.planning.flood.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from lifeline.errors import ConfigurationError
from lifeline.risk.assets import Floats, Ints

STEP_MIN = 5.0
DEAD_CURVE = "LIFELINE_NO_FLOW"
MOST_H = 168.0
"""Hours from the beginning of the rain that are computed, if it is not dry before (default)."""


class Ponding(NamedTuple):
    """Of each node or asset: hours under water and cubic metres that came out.

    ``dry_after``: hours from the beginning of the rain until the last water is gone, or the end of what was computed;
    ``left``: places where it stands still then.
    """

    names: list[str]
    hours: Floats
    cubic_metres: Floats
    dry_after: float
    left: int


def hyetograph(years: float, table: Mapping[str, Any]) -> Floats:
    """Rain of a storm of that return period in mm an hour, in steps of five minutes (Chicago storm).

    Keifer and Chu (1957): with i = A / (t + b)^n the mean over t, the rain at a time t' from the peak is
    A ((1 - n) t'/r + b) / (t'/r + b)^(n + 1) before it and with 1 - r after it. Integrated over each step exactly.
    """
    a = float(table["a"]) * (1.0 + float(table["c"]) * np.log10(years))
    b, n, r, minutes = (float(table[key]) for key in ("b", "n", "peak_at", "minutes"))
    if a <= 0 or not 0 < r < 1:
        raise ConfigurationError("the storm's formula gives no rain: check a, c and peak_at")
    edges = np.arange(0.0, minutes + STEP_MIN / 2, STEP_MIN)
    apart = edges - r * minutes

    def fallen(way: Floats, share: float) -> Floats:  # mm within `way` minutes on one side of the peak
        return np.asarray(a * way / (way / share + b) ** n, dtype=np.float64)

    total = np.where(apart < 0, -fallen(np.maximum(-apart, 0), r), fallen(np.maximum(apart, 0), 1 - r))
    return np.diff(total) * 60.0 / STEP_MIN


def by_reckoning(
    names: list[str], tail: Ints, head: Ints, area_ha: Floats, capacity_m3s: Floats, rain_mm_h: Floats, runoff: float,
    most_hours: float = MOST_H,
) -> Ponding:  # fmt: skip
    """Ponding at each asset without a model: rational inflow, handed down the drains, what does not fit stands.

    ``tail`` and ``head`` lead downhill; ``capacity_m3s`` (n,) is what an asset passes (inf: all). No travel time, no
    backwater: a screening.
    """
    n = len(names)
    order = _downhill(n, tail, head)
    below: list[list[int]] = [[] for _ in range(n)]
    for a, b in zip(tail.tolist(), head.tolist(), strict=True):
        below[a].append(b)
    stored, hours, came_out = np.zeros(n), np.zeros(n), np.zeros(n)
    seconds, dry_after = STEP_MIN * 60.0, 0.0
    for step in range(max(int(most_hours * 60 / STEP_MIN), len(rain_mm_h))):
        if step >= len(rain_mm_h) and not (stored > 1e-6).any():
            break  # without travel time nothing comes once nothing stands
        intensity = float(rain_mm_h[step]) if step < len(rain_mm_h) else 0.0
        inflow = area_ha * 10_000.0 * runoff * intensity / 1000.0 / 3600.0
        for at in order:
            want = inflow[at] + stored[at] / seconds
            passed = min(want, capacity_m3s[at])
            left = (want - passed) * seconds
            came_out[at] += max(left - stored[at], 0.0)
            stored[at] = left
            for lower in below[at]:
                inflow[lower] += passed / len(below[at])
        wet = stored > 1e-6
        hours += wet * STEP_MIN / 60.0
        dry_after = (step + 1) * STEP_MIN / 60.0 if wet.any() else dry_after
    return Ponding(names, hours, came_out, dry_after, int((stored > 1e-6).sum()))


def capacity(diameter_mm: Floats, slope: Floats, roughness: float) -> Floats:
    """What a full circular pipe passes, m3/s: Manning, Q = A R^(2/3) S^(1/2) / n with R = d / 4."""
    d = diameter_mm / 1000.0
    return np.asarray(np.pi * d**2 / 4 * (d / 4) ** (2 / 3) * np.sqrt(slope) / roughness, dtype=np.float64)


def pumps_of(text: str, element: str) -> set[str]:
    """The pumps of a SWMM model that an element is (its own name) or holds (they draw from that node)."""
    rows = [line.split() for _, line in _sections(text, "PUMPS")]
    return {row[0] for row in rows if len(row) > 2 and element in (row[0], row[1])}


def without_pumps(text: str, pumps: Collection[str]) -> str:
    """The model with pumps that move nothing whatever their rules say: each on a curve of no flow.

    Only switching them off would let a control rule or a startup depth start them again. Raises ConfigurationError for
    a pump that the model lacks.
    """
    lines, wanted = text.splitlines(), set(pumps)
    for at, line in _sections(text, "PUMPS"):
        row = line.split()
        if row[0] in wanted:
            wanted.discard(row[0])
            lines[at] = " ".join([*row[:3], DEAD_CURVE, *row[4:]])
    if wanted:
        raise ConfigurationError(f"the SWMM model has no pump {', '.join(sorted(wanted))}")
    curve = [f"{DEAD_CURVE} Pump2 0 0", f"{DEAD_CURVE} 1000 0"] if pumps else []
    return "\n".join([*lines, "[CURVES]", *curve, ""])


def _sections(text: str, wanted: str) -> Iterator[tuple[int, str]]:
    """Number and content, without remarks, of the lines of a section."""
    section = ""
    for at, line in enumerate(text.splitlines()):
        bare = line.partition(";")[0].strip()
        if bare.startswith("["):
            section = bare.strip("[]").upper()
        elif bare and section.startswith(wanted[:4]):  # SWMM itself knows a section by its first four letters
            yield at, bare


def _downhill(n: int, tail: Ints, head: Ints) -> list[int]:
    """Assets from the top to the outfalls; of a ring, which flows nowhere, the rest in order."""
    above = np.bincount(head, minlength=n)
    below: list[list[int]] = [[] for _ in range(n)]
    for a, b in zip(tail.tolist(), head.tolist(), strict=True):
        below[a].append(b)
    ready, order = np.flatnonzero(above == 0).tolist(), []
    while ready:
        at = ready.pop()
        order.append(at)
        for lower in below[at]:
            above[lower] -= 1
            if above[lower] == 0:
                ready.append(lower)
    return order + sorted(set(range(n)) - set(order))
