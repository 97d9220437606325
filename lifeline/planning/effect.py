"""After the renewal: alerts, breaks, ponding and night flow of an area in two spans, and what that says."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from lifeline.errors import ConfigurationError
from lifeline.model import JsonObject, RoadClass
from lifeline.planning.comparison import (
    Ratio,
    compare_counts,
    compare_night_flow,
    compare_ponding,
    nightly_minima,
    rain_events,
    sentence,
)
from lifeline.storage import effect
from lifeline.storage.database import Connection
from lifeline.storage.effect import Span

DEEP_M = 0.05
"""Water of this depth on the road is ponding (default)."""
MAIN_ROADS = (RoadClass.TRUNK, RoadClass.MAIN)


@dataclass(frozen=True, slots=True)
class Area:
    """Where is compared: a zone (None: the city), and for ponding just under these roads (none: all)."""

    zone: str | None = None
    roads: Sequence[RoadClass] = ()
    deep_m: float = DEEP_M


def parse_span(text: str, local: ZoneInfo) -> Span:
    """``2025-01-01..2025-12-31`` (both days count, local time) or a year, ``2025``. Raises ConfigurationError."""
    first, dots, last = text.partition("..")
    if not dots and len(first) == 4 and first.isdigit():
        first, last = f"{first}-01-01", f"{first}-12-31"
    try:
        begin, end = date.fromisoformat(first), date.fromisoformat(last)
        if begin.year < 1970 or end.year >= 2200:
            raise ValueError(text)
    except ValueError as error:
        raise ConfigurationError(f"{text!r} is no span: say 2025 or 2025-01-01..2025-12-31") from error
    if end < begin:
        raise ConfigurationError(f"the span {text!r} ends before it begins")
    return Span(_midnight(begin, local), _midnight(end + timedelta(days=1), local))


def _midnight(day: date, local: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), local)


def compare(connection: Connection, area: Area, before: Span, after: Span, since: str, local: str) -> JsonObject:
    """Both spans in figures and sentences; ``since`` names the first span in them. NotFoundError: no such zone."""
    effect.check_zone(connection, area.zone)
    where = ("主干道" if area.roads else "", " on main roads" if area.roads else "")
    counts = [effect.alerts_by_rule(connection, area.zone, span) for span in (before, after)]
    bursts = [sum(n for rule, n in each.items() if "burst" in rule) for each in counts]
    broken = [effect.breaks(connection, area.zone, span) for span in (before, after)]
    quarters = [
        effect.rain_and_ponding(connection, area.zone, area.roads, area.deep_m, span) for span in (before, after)
    ]
    ponding = compare_ponding(rain_events(*quarters[0]), rain_events(*quarters[1]), before.days, after.days)
    nights = [nightly_minima(*effect.night_flow(connection, area.zone, local, span)) for span in (before, after)]
    flow = compare_night_flow(nights[0], nights[1])
    hours = [float(each.ponding_min.sum()) / 60.0 for each in quarters]
    rain = [float(each.rain_mm_h.sum()) * 0.25 for each in quarters]
    return {
        "zone": area.zone,
        "roads": [str(road) for road in area.roads],
        "before": {"start": before.start.isoformat(), "end": before.end.isoformat(), "days": before.days},
        "after": {"start": after.start.isoformat(), "end": after.end.isoformat(), "days": after.days},
        "alerts": _counted([sum(each.values()) for each in counts], before, after, ("预警", "Alerts"), since)
        | {"by_rule": [counts[0], counts[1]]},
        "bursts": _counted(bursts, before, after, ("爆管预警", "Burst alerts"), since),
        "breaks": _counted(broken, before, after, ("爆管记录", "Breaks on record"), since),
        "ponding": {
            "hours": hours,
            "rain_mm": rain,
            "events": [ponding.events_before, ponding.events_after],
            "compared": ponding.compared,
            "crude": _told(ponding.crude),
            **_told(ponding.ratio),
            "says": sentence(
                (f"同等降雨下{where[0]}积水时间", f"Ponding{where[1]} for the same rain"), ponding.ratio, since
            ),
        },
        "night_flow": {
            "nights": [len(each) for each in nights],
            **_told(flow),
            "says": sentence(("夜间最小流量", "Minimum night flow"), flow, since),
        },
    }


def _counted(numbers: Sequence[int], before: Span, after: Span, what: tuple[str, str], since: str) -> JsonObject:
    ratio = compare_counts(numbers[0], numbers[1], before.days, after.days)
    return {"count": list(numbers), **_told(ratio), "says": sentence(what, ratio, since)}


def _told(ratio: Ratio) -> JsonObject:
    """JSON has no NaN."""
    values = zip(("ratio", "low", "high"), ratio, strict=True)
    return {name: value if math.isfinite(value) else None for name, value in values}
