"""A score as a picture: events as bars, where they could be seen, and the alerts beside them. SVG."""

from collections.abc import Callable
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from lifeline.scoring import Outcome, Raised, Score

ROW, LEFT, WIDTH, RIGHT = 22, 230, 900, 30
Scale = Callable[[float], float]
COLOUR = {1: "#c1121f", 2: "#f77f00", 3: "#e0b000", 4: "#2878c8"}


def write_plot(path: Path, found: Score) -> None:
    """One row an event, with a last row for false risk alerts."""
    path.write_text(plot(found), encoding="utf-8")


def plot(found: Score) -> str:
    """The picture as text. Raises ValueError for a score without events."""
    first = min(outcome.event.begin for outcome in found.outcomes)
    ends = [outcome.event.end for outcome in found.outcomes]
    last = max([*ends, *(alert.raised_at for outcome in found.outcomes for alert in outcome.alerts), first + 60])

    def x(time: float) -> float:
        return LEFT + WIDTH * min(max((time - first) / (last - first), 0.0), 1.0)

    height = ROW * (len(found.outcomes) + 3)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + RIGHT}" height="{height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{LEFT + WIDTH + RIGHT}" height="{height}" fill="white"/>',
        f'<text x="6" y="15">{_when(first)} - {_when(last)} UTC</text>',
    ]
    for number, outcome in enumerate(found.outcomes, 1):
        parts += _row(outcome, number * ROW, x)
    y = (len(found.outcomes) + 1) * ROW
    parts.append(f'<text x="6" y="{y + 15}">false risk alerts 误报: {len(found.false_risk)}</text>')
    parts += [_dot(alert, y, x) for alert in found.false_risk if first <= alert.raised_at <= last]
    return "\n".join([*parts, "</svg>", ""])


def _row(outcome: Outcome, y: int, x: Scale) -> list[str]:
    event = outcome.event
    fill = "#cfe8cf" if outcome.found else "#dddddd" if event.harmless or event.visible is None else "#f4c7c7"
    word = "" if outcome.found else " (harmless)" if event.harmless else " MISSED" if outcome.missed else " (unseen)"
    parts = [
        f'<text x="6" y="{y + 15}">{escape(event.id)} {escape(event.kind)}{word}</text>',
        f'<rect x="{x(event.begin):.1f}" y="{y + 4}" width="{max(x(event.end) - x(event.begin), 1):.1f}" '
        f'height="{ROW - 8}" fill="{fill}"/>',
    ]
    if event.visible is not None:
        parts.append(f'<path d="M{x(event.visible):.1f} {y + 2}v{ROW - 4}" stroke="black" stroke-dasharray="2 2"/>')
    return [*parts, *(_dot(alert, y, x) for alert in outcome.alerts)]


def _dot(alert: Raised, y: int, x: Scale) -> str:
    title = f"{alert.rule} {alert.level.slug} {_when(alert.raised_at)}"
    return (
        f'<circle cx="{x(alert.raised_at):.1f}" cy="{y + ROW / 2}" r="4" fill="{COLOUR[int(alert.level)]}">'
        f"<title>{escape(title)}</title></circle>"
    )


def _when(time: float) -> str:
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M}"
