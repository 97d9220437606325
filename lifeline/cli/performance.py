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
    columns = table("measure", "is (! beyond)", "at most")
    for name, is_, most in _measures(found):
        columns.add_row(name, is_, most)
    out.print(columns)
    _show_sources(found)
    _show_clocks(found.clocks)


def _measures(found: Performance) -> list[tuple[str, str, str]]:
    """Name, value and the most that is acceptable of each measure; what is beyond that is marked."""
    total = sum(found.levels.values())
    return [
        ("annunciations", f"{found.annunciations}", ""),
        _measure("an hour and operator", found.per_hour_per_operator, "{:.2f}", "per_hour_per_operator", "{:g}"),
        _measure("in the worst hour", found.most_per_hour_per_operator, "{:.1f}", "most_per_hour_per_operator", "{:g}"),
        ("floods", f"{len(found.floods)}", ""),
        _measure("time in flood", found.flood_share_of_time, "{:.2%}", "flood_share_of_time", "{:.0%}"),
        _measure("chattering", len(found.chattering), "{}", "chattering", "{:g}"),
        _measure("fleeting", found.fleeting, "{}", "fleeting", "{:g}"),
        _measure("stale a day", found.stale_per_day, "{:.1f}", "stale_per_day", "{:g}"),
        _measure("share of the worst ten", found.top_share, "{:.0%}", "top_ten_share", "{:.0%}"),
        *(
            _measure(f"{level.slug} share", count / total if total else 0.0, "{:.1%}", f"{level.slug}_share", "{:.0%}")
            for level, count in found.levels.items()
        ),
    ]


def _measure(name: str, value: float, form: str, target: str, target_form: str) -> tuple[str, str, str]:
    most = TARGETS.get(target)
    beyond = most is not None and value > most
    return name, form.format(value) + (" !" if beyond else ""), "" if most is None else target_form.format(most)


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
