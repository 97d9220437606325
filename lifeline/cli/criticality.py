"""`lifeline criticality`: what is lost with each asset."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from lifeline.cli.address import HomeOption, find
from lifeline.cli.console import fractions, out, say, table
from lifeline.errors import ConfigurationError
from lifeline.planning import criticality as planning
from lifeline.planning.hydraulics import read_model
from lifeline.storage import standing

ClusterOption = Annotated[
    str | None,
    typer.Option(help="Dask scheduler, tcp://host:8786; default LIFELINE_CLUSTER, else this machine's cores."),
]


def register(app: typer.Typer) -> None:
    app.command("criticality", epilog="Example: `lifeline criticality --network water --model water.inp`")(criticality)


def criticality(
    network: Annotated[str | None, typer.Option(help="Only this network; default all, with --model water.")] = None,
    model: Annotated[
        Path | None, typer.Option(help="EPANET file of the network; default the one that was imported, if any.")
    ] = None,
    hours: Annotated[int, typer.Option(min=0, max=168, help="Hours that are simulated; 0: one moment.")] = 24,
    graph: Annotated[bool, typer.Option("--graph", help="Use no model, even where one was imported.")] = False,
    cluster: ClusterOption = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes on this machine; default one a core.")] = None,
    top: Annotated[int, typer.Option(min=0, help="How many of the worst are listed.")] = 10,
    home: HomeOption = None,
) -> None:
    """Compute what is lost while each asset is out of service, and score every asset anew.

    By the model where one was imported or is given, else by the graph: what the sources reach through it alone.
    """
    place, now = find(home), datetime.now(UTC)
    given = read_model(model, hours) if model else None
    with place.connection() as connection, fractions() as progress:
        known = standing.networks(connection)
        wanted = [network] if network else (["water"] if given else known)
        if not set(wanted) <= set(known):
            raise ConfigurationError(
                f"no asset of network {', '.join(wanted)}; there are: {', '.join(known) or 'none'}"
            )
        address = cluster or place.settings.cluster or None
        for name in wanted:
            chosen = None if graph else given or planning.model_of(connection, name, hours)
            done = planning.compute(
                connection, now, [name], chosen, cluster=address, workers=workers,
                progress=lambda share, what: progress(what, share),
            )  # fmt: skip
            say(f"{name}: {done[name]} assets by {chosen.name if chosen else 'the graph'}")
        worst = standing.most_critical(connection, network or (wanted[0] if len(wanted) == 1 else None), top)
    columns = table("asset", "name", "kind", "demand lost", "customers", "critical", "method")
    for each in worst:
        columns.add_row(
            each.asset, each.name, each.kind, f"{each.loss:.1%}", f"{each.customers_lost}", f"{each.critical_lost}",
            each.method,
        )  # fmt: skip
    if worst:
        out.print(columns)
