"""`lifeline zones`: list, look at, change and remove zones."""

from typing import Annotated

import typer

from lifeline.cli import suggestions
from lifeline.cli.address import HomeOption, find
from lifeline.cli.console import out, say, table
from lifeline.cli.edits import DryRun, Fields, edit, remove
from lifeline.model import ZoneKind, ZoneStatus
from lifeline.storage import zones

app = typer.Typer(help="List, show, change, remove and suggest zones.", no_args_is_help=True)
suggestions.register(app)

Id = Annotated[str, typer.Argument(help="The city's own name for it.")]


@app.command("list", epilog="Example: `lifeline zones list --kind dma --network water`")
def list_(
    home: HomeOption = None,
    kind: Annotated[ZoneKind | None, typer.Option(help="Only of this kind.")] = None,
    network: Annotated[str | None, typer.Option(help="Only of this network, and of all.")] = None,
    status: Annotated[ZoneStatus | None, typer.Option(help="Only of this status.")] = None,
) -> None:
    """List zones with how much lies in each."""
    with find(home).connection() as connection:
        found = zones.zones(connection, kind=kind, network=network, status=status)
    columns = table("id", "kind", "network", "name", "status", "assets", "sensors", "pipes km", "meters")
    for zone in found:
        columns.add_row(
            zone.external_id, zone.kind, zone.network or "all", zone.name, zone.status, f"{zone.assets}",
            f"{zone.sensors}", f"{zone.length_m / 1000:.2f}", f"{len(zone.balance)}",
        )  # fmt: skip
    out.print(columns)
    say(f"{len(found)} zones")


@app.command(epilog="Example: `lifeline zones show DMA-3`")
def show(id: Id, home: HomeOption = None) -> None:  # noqa: A002
    """Show a zone: what lies in it, and which meters balance it."""
    with find(home).connection() as connection:
        zone = zones.zone(connection, id)
        holds = zones.assets_of(connection, id)
    say(f"zone      {zone.external_id}, {zone.kind}, network {zone.network or 'all'}, {zone.status}, {zone.source}")
    say(f"name      {zone.name}")
    say(f"holds     {zone.assets} assets, {zone.length_m / 1000:.2f} km of pipes, {zone.sensors} sensors")
    for sensor, direction in zone.balance.items():
        say(f"meter     {sensor} {'in' if direction == 1 else 'out'}")
    columns = table("asset", "share")
    for asset, share in list(holds.items())[:20]:
        columns.add_row(asset, f"{share:.0%}")
    out.print(columns)
    if len(holds) > 20:
        say(f"and {len(holds) - 20} more")


@app.command("set", epilog="Example: `lifeline zones set RC-1 status=active name=老城`")
def set_(id: Id, fields: Fields, home: HomeOption = None, dry_run: DryRun = False) -> None:  # noqa: A002
    """Change fields of a zone; `status=rejected` or `active` judges a suggested one."""
    edit(home, "zones", id, fields, dry_run)


@app.command(epilog="Example: `lifeline zones delete RC-1`")
def delete(id: Id, home: HomeOption = None, dry_run: DryRun = False) -> None:  # noqa: A002
    """Remove a zone, with the parts that meters have in its balance."""
    remove(home, "zones", id, dry_run)
