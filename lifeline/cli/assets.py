"""`lifeline assets`: look at, change and remove single assets."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from lifeline.cli.address import HomeOption, find
from lifeline.cli.console import out, say, table
from lifeline.cli.edits import DryRun, Fields, edit, remove
from lifeline.cli.sensors import age
from lifeline.storage import editing, export, zones

app = typer.Typer(help="Show, change and remove single assets.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(help="The city's own name for it.")]


@app.command(epilog="Example: `lifeline assets show W-P12`")
def show(id: Id, home: HomeOption = None) -> None:  # noqa: A002
    """Show an asset: its fields, its zones, who changed it."""
    with find(home).connection() as connection:
        found = export.existing(connection, "assets", id)
        within = zones.zones_of(connection, id)
        changed = editing.history(connection, what="asset", name=id, limit=10)
    columns = table("field", "value")
    for name, value in {**found.values, **(found.values.get("attributes") or {})}.items():
        if value not in (None, "") and name != "attributes":
            columns.add_row(name, str(value))
    out.print(columns)
    if within:
        say(f"zones     {', '.join(f'{zone} ({share:.0%})' for zone, share in within.items())}")
    now = datetime.now(UTC)
    for line in changed:
        say(f"{line.action:9} {age(line.at, now)} ago by {line.actor}: {', '.join(line.detail)}")


@app.command("set", epilog="Example: `lifeline assets set W-P12 material=pe install_year=2026 --dry-run`")
def set_(id: Id, fields: Fields, home: HomeOption = None, dry_run: DryRun = False) -> None:  # noqa: A002
    """Change fields of an asset. `in_service=false` takes it out, where nothing in service needs it."""
    edit(home, "assets", id, fields, dry_run)


@app.command(epilog="Example: `lifeline assets delete W-P12 --dry-run`")
def delete(id: Id, home: HomeOption = None, dry_run: DryRun = False) -> None:  # noqa: A002
    """Remove an asset that nothing is joined to, nothing measures and no record names."""
    remove(home, "assets", id, dry_run)
