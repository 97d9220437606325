"""Alerts of a replay over time as an SVG picture: one line a rule, events as bands behind them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from alerts.replay import Episode
from alerts.verdicts import Event
from lifeline.model import Level

WIDTH, LEFT, LINE, TOP = 1200, 180, 22, 40
COLOURS = {Level.RED: "#d7263d", Level.ORANGE: "#f08a24", Level.YELLOW: "#e8c547", Level.BLUE: "#3f88c5"}


def write_timeline(path: Path, episodes: Sequence[Episode], events: Sequence[Event], first: float, last: float) -> None:
    """Write the picture of ``[first, last]``, epoch seconds."""
    rules = sorted({episode.alert.rule for episode in episodes})
    height = TOP + LINE * (len(rules) + 1)

    def x(seconds: float) -> float:
        share = (min(max(seconds, first), last) - first) / max(last - first, 1.0)
        return LEFT + (WIDTH - LEFT - 10) * share

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
    ]
    for event in events:
        wide = max(x(event.end) - x(event.begin), 1.0)
        parts.append(
            f'<rect x="{x(event.begin):.1f}" y="{TOP - 16}" width="{wide:.1f}" height="{height}" fill="#dde3ea"/>'
        )
        parts.append(f'<text x="{x(event.begin):.1f}" y="{TOP - 20}" fill="#556">{escape(event.kind)}</text>')
    for row, rule in enumerate(rules):
        y = TOP + LINE * row
        parts.append(f'<text x="6" y="{y + 12}">{escape(rule)}</text>')
        for episode in (one for one in episodes if one.alert.rule == rule):
            end = last if episode.returned_at is None else episode.returned_at
            wide = max(x(end) - x(episode.raised_at), 2.0)
            colour = COLOURS[episode.worst]
            parts.append(
                f'<rect x="{x(episode.raised_at):.1f}" y="{y}" width="{wide:.1f}" height="14" fill="{colour}"/>'
            )
    for at, anchor in ((first, "start"), (last, "end")):
        moment = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")
        parts.append(f'<text x="{x(at):.1f}" y="{height - 4}" text-anchor="{anchor}">{moment} UTC</text>')
    path.write_text("\n".join([*parts, "</svg>"]) + "\n", encoding="utf-8")
