"""`lifeline zones suggest`: zones worth a look, found from standing risk."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from lifeline.cli.address import HomeOption, find
from lifeline.cli.console import out, say, table
from lifeline.model import ZoneKind
from lifeline.storage import suggestions


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: `lifeline zones suggest --kind risk_control --least 60 --dry-run`")(suggest)


def suggest(
    kind: Annotated[ZoneKind | None, typer.Option(help="risk_control or resilience; default: both.")] = None,
    least: Annotated[
        float | None, typer.Option(min=0, max=100, help="Lowest score of a hot cell; default: where orange begins.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show them, and store nothing.")] = False,
    home: HomeOption = None,
) -> None:
    """Suggest risk-control zones (风险管控区: where high risk stands together) and resilience-protection zones
    (韧性保护区: what critical facilities live on). They wait until somebody accepts, edits or rejects them."""
    if kind is not None and kind not in suggestions.KINDS:
        raise typer.BadParameter(f"must be {' or '.join(suggestions.KINDS)}", param_hint="--kind")
    place = find(home)
    lowest = place.settings.risk_cuts[1] if least is None else least
    with place.connection() as connection:
        for each in [kind] if kind else suggestions.KINDS:
            told = suggestions.suggest(connection, each, lowest, datetime.now(UTC))
            say(f"{each}: {told.found} found, {told.waiting} wait for a decision, {told.withdrawn} withdrawn")
        columns = table("zone", "name", "assets", "length m", "why")
        for line in suggestions.waiting(connection):
            why = ", ".join(f"{name} {value}" for name, value in line.attributes.items())
            columns.add_row(line.external_id, line.name, f"{line.assets}", f"{line.length_m:.0f}", why)
        out.print(columns)
        if dry_run:
            connection.rollback()
            say("nothing was stored (--dry-run)")
