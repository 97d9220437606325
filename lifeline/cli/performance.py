"""`lifeline performance`: how well the alarms serve the people who get them."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from lifeline.cli.address import HomeOption, find
from lifeline.cli.console import out, say, table
from lifeline.storage.performance import TARGETS, Clock, Performance, Period, performance


def register(app: typer.Typer) -> None:
    app.command("performance", epilog="Example: `lifeline performance --days 7 --operators 2`")(show)


def show(
    days: Annotated[float, typer.Option(min=0.01, help="The last days.")] = 7,
    operators: Annotated[int, typer.Option(min=1, help="How many people share the alarms.")] = 1,
    network: Annotated[str | None, typer.Option(help="Only this network.")] = None,
    home: HomeOption = None,
) -> None:
    """Show alarm performance: rate, floods, chattering, stale alarms, the worst ten, response times, precision."""
    now = datetime.now(UTC)
    with find(home).connection() as connection:
        found = performance(connection, Period(now - timedelta(days=days), now, network), operators)
    columns = table("measure", "is", "at most")
    for name, is_, most in _measures(found):
        columns.add_row(name, is_, most)
    out.print(columns)
    _show_sources(found)
    _show_clocks(found.clocks)


def _measures(found: Performance) -> list[tuple[str, str, str]]:
    total = sum(found.levels.values())
    shares = [
        (f"{level.slug} share", f"{count / total if total else 0:.1%}", _target(f"{level.slug}_share", "{:.0%}"))
        for level, count in found.levels.items()
    ]
    return [
        ("annunciations", f"{found.annunciations}", ""),
        ("an hour and operator", f"{found.per_hour_per_operator:.2f}", _target("per_hour_per_operator", "{:g}")),
        ("in the worst hour", f"{found.most_per_hour_per_operator:.1f}", _target("most_per_hour_per_operator", "{:g}")),
        ("floods", f"{len(found.floods)}", ""),
        ("time in flood", f"{found.flood_share_of_time:.2%}", _target("flood_share_of_time", "{:.0%}")),
        ("chattering", f"{len(found.chattering)}", _target("chattering", "{:g}")),
        ("fleeting", f"{found.fleeting}", _target("fleeting", "{:g}")),
        ("stale a day", f"{found.stale_per_day:.1f}", _target("stale_per_day", "{:g}")),
        ("share of the worst ten", f"{found.top_share:.0%}", _target("top_ten_share", "{:.0%}")),
        *shares,
    ]


def _target(name: str, form: str) -> str:
    return form.format(TARGETS[name]) if name in TARGETS else ""


def _show_sources(found: Performance) -> None:
    if found.top:
        say("")
        columns = table("asks most", "network", "where", "annunciations")
        for source in found.top:
            columns.add_row(source.rule, source.network, source.place, f"{source.annunciations}")
        out.print(columns)
    if found.precision:
        say("")
        columns = table("rule", "network", "true", "false", "precision")
        for each in found.precision:
            columns.add_row(each.rule, each.network, f"{each.genuine}", f"{each.false}", f"{each.precision:.0%}")
        out.print(columns)


def _show_clocks(clocks: list[Clock]) -> None:
    if not clocks:
        return
    say("")
    columns = table("by", "", "alerts", "acknowledged", "MTTA", "handled", "MTTR")
    for clock in clocks:
        columns.add_row(
            clock.group, clock.name or "-", f"{clock.alerts}", f"{clock.acknowledged}", _minutes(clock.mtta_s),
            f"{clock.handled}", _minutes(clock.mttr_s),
        )  # fmt: skip
    out.print(columns)


def _minutes(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds / 60:.1f} min"
