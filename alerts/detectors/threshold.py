"""A ladder of limits on the value.

Condition of each level (``when = "above"``; "below" is the same of -value): value >= limit, with deadband and delays
as in detectors/ladder.py. Every reading counts, also those between two ticks.

Where a rule has an on-delay, a sensor must be in breach for DOUBTED_S when it is known to be sick, when readings of it
stood alone lately (detectors/health: spikes), or while its newest reading alone is in breach and came by a jump: a
loose contact does not keep a limit for ten minutes, nor for two readings, and water does. Rules without an on-delay
believe every reading: what explodes does not wait.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from alerts.detectors import health
from alerts.detectors.ladder import Standing, stand
from alerts.inventory import Inventory
from alerts.rules import Ladder, Threshold
from alerts.window import Floats, Ints, Seconds, Series, Window
from lifeline.catalogue import Catalogue
from lifeline.model import AlertKind, Finding, JsonObject, Level, Subject, SubjectKind

DOUBTED_S = 600.0

Held = Mapping[int, Level]
"""Level of the open and active alert of the rule, by sensor id."""


def detect(
    rule: Threshold,
    window: Window,
    inventory: Inventory,
    catalogue: Catalogue,
    held: Held,
    now: datetime,
    noise: Floats | None = None,
    sick: NDArray[np.bool_] | None = None,
) -> list[Finding]:
    """A finding for each sensor in breach, and one without a level for each of ``held`` that is not any more.

    ``noise`` (column,): usual noise, NaN where not known; ``sick`` (column,)."""
    columns, limits, deadband = inventory.ladder(rule)
    levels = held_levels(held, window, columns)
    lowest, highest = window.extremes(columns)
    with np.errstate(invalid="ignore"):
        touched = highest >= np.fmin.reduce(limits) if rule.when == "above" else lowest <= np.fmax.reduce(limits)
    places = np.flatnonzero(touched | (levels > 0))
    if not len(places):
        return []
    series = window.series(columns[places], now.timestamp())
    sign = np.float32(1 if rule.when == "above" else -1)
    standing = stand(
        series if rule.when == "above" else series.negated(),
        sign * limits[:, places],
        deadband[places],
        _on_delay(rule, series, limits[:, places], columns[places], inventory.resolution, noise, sick),
        rule.off_delay_s,
        levels[places],
    )
    unit = catalogue.quantities[rule.quantity].unit
    return findings(rule, window, columns[places], limits[:, places], series, standing, levels[places], unit, now)


def _on_delay(
    rule: Threshold,
    series: Series,
    limits: Floats,
    columns: Ints,
    resolution: Seconds,
    noise: Floats | None,
    sick: NDArray[np.bool_] | None,
) -> float | Seconds:
    if rule.on_delay_s == 0 or rule.kind is not AlertKind.RISK or noise is None or sick is None:
        return rule.on_delay_s
    usual = np.nan_to_num(np.maximum(noise, resolution)[columns], nan=np.inf)
    readings = series.last.astype(np.float64)
    before, newest = health.newest_two(readings)
    with np.errstate(invalid="ignore"):
        calm = before < np.fmin.reduce(limits) if rule.when == "above" else before > np.fmax.reduce(limits)
        jumped = calm & (np.abs(newest - before) > health.SPIKE * usual)
    doubted = sick[columns] | jumped | (health.spikes(readings, usual) >= health.LONELY)
    return np.where(doubted, max(DOUBTED_S, rule.on_delay_s), rule.on_delay_s)


def held_levels(held: Held, window: Window, columns: Ints) -> NDArray[np.int8]:
    """``held`` as a column, 0 where there is no alert."""
    levels = np.zeros(len(window.sensor_ids), np.int8)
    if held:
        places = window.columns_of(np.array(list(held), np.int32))
        levels[places[places >= 0]] = np.array(list(held.values()), np.int8)[places >= 0]
    return levels[columns]


def findings(
    rule: Ladder,
    window: Window,
    columns: Ints,
    limits: Floats,
    series: Series,
    standing: Standing,
    held: NDArray[np.int8],
    unit: str,
    now: datetime,
) -> list[Finding]:
    """Findings of a ladder with their evidence, for the few sensors of which there is something to say."""
    found = []
    for place in np.flatnonzero((standing.level > 0) | (held > 0)).tolist():
        level = Level(int(standing.level[place])) if standing.level[place] else None
        since = standing.since[place]
        first_seen = now if np.isnan(since) else now + timedelta(seconds=float(since))
        evidence = rule.words() | {
            "quantity": rule.quantity,
            "unit": unit,
            "detector": rule.detector,
            "condition": rule.when,
            "limit": _number(limits[(level or Level(int(held[place]))) - 1, place]),
            "on_delay_s": rule.on_delay_s,
            **_measured(rule, series, place, now),
        }
        subject = Subject(SubjectKind.SENSOR, int(window.sensor_ids[columns[place]]))
        found.append(Finding(subject, rule.id, level, now, first_seen, evidence))
    return found


def _measured(rule: Ladder, series: Series, place: int, now: datetime) -> JsonObject:
    """Newest value with its time, and the furthest of the window."""
    slots = np.flatnonzero(~np.isnan(series.last[:, place]))
    if not len(slots):
        return {"value": None, "at": None, "peak": None}
    newest = slots[-1]
    peak = np.nanmax(series.highest[:, place]) if rule.when == "above" else np.nanmin(series.lowest[:, place])
    at = now + timedelta(seconds=float(series.last_at[newest, place]))
    return {
        "value": _number(series.last[newest, place]),
        "at": at.isoformat(timespec="seconds"),
        "peak": _number(peak),
    }


def _number(value: np.float32) -> float | None:
    """A single-precision number without the digits that it does not have."""
    return None if np.isnan(value) else float(f"{float(value):.6g}")
