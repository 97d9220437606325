"""`lifeline effect`: what a renewal has changed in an area."""

import json
from typing import Annotated

import typer

from lifeline.cli.address import HomeOption, find
from lifeline.cli.console import out, say, table
from lifeline.planning.effect import DEEP_M, MAIN_ROADS, Area, compare, parse_span


def register(app: typer.Typer) -> None:
    app.command(
        epilog="Examples: `lifeline effect --zone old-town --before 2021 --after 2025 --main-roads`, "
        "`lifeline effect --before 2025-01-01..2025-06-30 --after 2026-01-01..2026-06-30 --json`"
    )(effect)


def effect(
    before: Annotated[str, typer.Option(help="The span before: 2021, or 2021-03-01..2021-09-30; both days count.")],
    after: Annotated[str, typer.Option(help="The span after.")],
    zone: Annotated[str | None, typer.Option(help="Only in this zone, by its own id; else the whole city.")] = None,
    main_roads: Annotated[bool, typer.Option("--main-roads", help="Ponding on trunk and main roads alone.")] = False,
    deep: Annotated[float, typer.Option(min=0.001, help="Water of this depth in metres is ponding.")] = DEEP_M,
    as_json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.")] = False,
    home: HomeOption = None,
) -> None:
    """Compare alerts, bursts, ponding and night flow before and after a renewal; ponding for the same rain.

    Ponding is compared between rain events of the same depth, with a 95 % interval, so that a dry year is no success.
    """
    place = find(home)
    local = place.settings.local_time
    spans = parse_span(before, local), parse_span(after, local)
    area = Area(zone, MAIN_ROADS if main_roads else (), deep)
    with place.connection() as connection:
        found = compare(connection, area, *spans, before, place.settings.timezone)
    if as_json:
        say(json.dumps(found, ensure_ascii=False, indent=1))
        return
    columns = table("", "before", "after")
    for name in ("alerts", "bursts", "breaks"):
        columns.add_row(name, *(f"{count:,}" for count in found[name]["count"]))
    columns.add_row("ponding, hours a sensor", *(f"{hours:,.1f}" for hours in found["ponding"]["hours"]))
    columns.add_row("rain, mm", *(f"{rain:,.0f}" for rain in found["ponding"]["rain_mm"]))
    columns.add_row("rain events", *(f"{events:,}" for events in found["ponding"]["events"]))
    columns.add_row("nights with flow", *(f"{nights:,}" for nights in found["night_flow"]["nights"]))
    out.print(columns)
    for language in ("en", "zh"):
        say("")
        for name in ("alerts", "bursts", "breaks", "ponding", "night_flow"):
            say(found[name]["says"][language])
