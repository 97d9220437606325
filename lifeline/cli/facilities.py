"""`lifeline facilities`: list, change and remove critical facilities."""

from typing import Annotated

import typer

from lifeline.cli.address import HomeOption, find
from lifeline.cli.console import out, say, table
from lifeline.cli.edits import DryRun, Fields, edit, remove
from lifeline.model import FacilityKind
from lifeline.storage import facilities

app = typer.Typer(help="List, change and remove critical facilities.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(help="The city's own name for it.")]


@app.command("list", epilog="Example: `lifeline facilities list --kind hospital`")
def list_(
    home: HomeOption = None, kind: Annotated[FacilityKind | None, typer.Option(help="Only of this kind.")] = None
) -> None:
    """List critical facilities with how many assets are near each."""
    with find(home).connection() as connection:
        found = facilities.facilities(connection, kind=kind)
    columns = table("id", "kind", "name", "longitude", "latitude", "assets near")
    for each in found:
        columns.add_row(
            each.external_id, each.kind, each.name, f"{each.longitude:.6f}", f"{each.latitude:.6f}", f"{each.assets}"
        )
    out.print(columns)
    say(f"{len(found)} facilities")


@app.command("set", epilog="Example: `lifeline facilities set H-1 kind=hospital name=市一院`")
def set_(id: Id, fields: Fields, home: HomeOption = None, dry_run: DryRun = False) -> None:  # noqa: A002
    """Change fields of a facility; what is near it is scored anew."""
    edit(home, "facilities", id, fields, dry_run)


@app.command(epilog="Example: `lifeline facilities delete H-1`")
def delete(id: Id, home: HomeOption = None, dry_run: DryRun = False) -> None:  # noqa: A002
    """Remove a facility; what was near it is scored anew."""
    remove(home, "facilities", id, dry_run)
