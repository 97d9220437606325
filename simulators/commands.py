"""The simulators' command line."""

from pathlib import Path
from typing import Annotated

import typer

from simulators.inventory import write_inventory
from simulators.planning import make_town

app = typer.Typer(
    help="A city that misbehaves on purpose: three networks driven by hydraulic engines, over MQTT.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
)

Seed = Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same town.")]


@app.callback()
def _simulators() -> None:
    """A city that misbehaves on purpose: three networks driven by hydraulic engines, over MQTT."""


@app.command(epilog="Example: `python -m simulators inventory --out town --seed 7`")
def inventory(
    out: Annotated[Path, typer.Option("--out", help="Folder for assets.geojson and sensors.csv.", file_okay=False)],
    seed: Seed = 1,
) -> None:
    """Write the town's assets and sensors as files for `lifeline import`."""
    for path in write_inventory(make_town(seed), out):
        typer.echo(path)
