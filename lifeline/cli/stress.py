"""`lifeline stress`: what a storm, a loss or an earthquake would do (情景推演)."""

import getpass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from lifeline.cli.address import HomeOption, find
from lifeline.cli.console import fractions, out, say, table
from lifeline.cli.criticality import ClusterOption
from lifeline.errors import ConfigurationError
from lifeline.model import JsonObject
from lifeline.planning.hydraulics import read_model
from lifeline.planning.service import FOLLOWED_H
from lifeline.planning.stress import Parameters, run_test
from lifeline.storage.stress import kept_tests

app = typer.Typer(help="Stress tests: storm, loss, earthquake; list those that were computed.", no_args_is_help=True)
GraphOption = Annotated[bool, typer.Option("--graph", help="Use no model, even where one was imported.")]
ModelOption = Annotated[
    Path | None,
    typer.Option(help="Model of the network, EPANET or (drainage) SWMM; default the one that was imported, if any."),
]
CrewsOption = Annotated[int, typer.Option(min=1, help="Repair crews.")]
HoursOption = Annotated[int, typer.Option(min=12, max=720, help="Hours after the shock that are followed at most.")]

FIGURES = (
    ("rain_mm", "rain 降雨", "{:.0f} mm"),
    ("share_served", "still served 保供比例", "{:.1%}"),
    ("share_served_bad", "one run in twenty is worse than 不利情形", "{:.1%}"),
    ("lasts_hours", "until the first goes short 储备可维持", "{:.1f} h"),
    ("share_worst", "served at the worst 最低保供比例", "{:.1%}"),
    ("share_worst_bad", "the same, one run in twenty is worse 不利情形", "{:.1%}"),
    ("customers_without", "customers without 停供用户", "{:,.0f}"),
    ("broken", "pipes broken 破损管段", "{:.1f}"),
    ("leaking", "pipes leaking 渗漏管段", "{:.1f}"),
    ("share_leaked", "taken by leaks 渗漏损失", "{:.1%}"),
    ("ponding_places", "places under water 积水点", "{:.0f}"),
    ("ponding_hours", "hours of ponding, all places 积水时长", "{:.1f} h"),
    ("ponding_hours_intact", "the same with all pumps 泵站正常时", "{:.1f} h"),
    ("longest_ponding_hours", "longest ponding 最长积水", "{:.1f} h"),
    ("ponding_left", "still under water at the end 期末仍积水点", "{:.0f}"),
    ("resilience", "mean share until all is as before 韧性指数", "{:.1%}"),
    ("recovery_hours_90", "until 90 % is served 恢复九成", "{:.1f} h"),
    ("mended_hours", "until the last repair 抢修完成", "{:.1f} h"),
    ("recovery_hours", "until all is as before: served, tanks full, dry 全部恢复", "{:.1f} h"),
)


@app.command(epilog="Example: `lifeline stress storm --years 50`")
def storm(
    years: Annotated[float, typer.Option(min=1.01, help="Return period of the storm.")] = 20,
    hours: HoursOption = FOLLOWED_H,
    graph: GraphOption = False,
    model: ModelOption = None,
    home: HomeOption = None,
) -> None:
    """A design storm on the drains: where water stands and for how long."""
    _run(Parameters(kind="storm", network="drainage", years=years, hours=hours, graph=graph), home, model)


@app.command(
    epilog="Examples: `lifeline stress loss W-U-1 --repair-hours 72`, `lifeline stress loss G-R-0 --network gas`"
)
def loss(
    asset: Annotated[str, typer.Argument(help="The pump station, tank, regulator or pipe, by its id.")],
    network: Annotated[str, typer.Option(help="Its network.")] = "water",
    crews: CrewsOption = 5,
    years: Annotated[float, typer.Option(min=1.01, help="Storm that falls while pumps of drainage are out.")] = 20,
    repair_hours: Annotated[
        float | None, typer.Option(min=0.1, max=8760, help="Hours until it is back; default by its kind and size.")
    ] = None,
    hours: HoursOption = FOLLOWED_H,
    graph: GraphOption = False,
    model: ModelOption = None,
    home: HomeOption = None,
) -> None:
    """The loss of one asset: who is without, and for how long; of pumps of drainage: where water stands then."""
    asked = Parameters(kind="loss", network=network, asset=asset, years=years, crews=crews, graph=graph, hours=hours,
                       repair_hours=repair_hours)  # fmt: skip
    _run(asked, home, model)


@app.command(epilog="Example: `lifeline stress earthquake --pgv 40 --runs 500`")
def earthquake(
    network: Annotated[str, typer.Option(help="The network that is shaken.")] = "water",
    pgv: Annotated[float, typer.Option(min=0.1, max=300, help="Peak ground velocity, cm/s.")] = 30,
    runs: Annotated[int, typer.Option(min=1, max=20_000, help="Monte Carlo runs.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same answer.")] = 1,
    crews: CrewsOption = 5,
    hours: HoursOption = FOLLOWED_H,
    graph: GraphOption = False,
    model: ModelOption = None,
    cluster: ClusterOption = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes on this machine; default one a core.")] = None,
    home: HomeOption = None,
) -> None:
    """Random breaks of pipes by material: what is still served, how fast it comes back, the weakest links."""
    asked = Parameters(kind="earthquake", network=network, pgv_cm_s=pgv, runs=runs, seed=seed, crews=crews, graph=graph,
                       hours=hours)  # fmt: skip
    _run(asked, home, model, cluster, workers)


@app.command("list", epilog="Example: `lifeline stress list`")
def list_(home: HomeOption = None) -> None:
    """List the stress tests that were computed, the newest first."""
    with find(home).connection() as connection:
        found = kept_tests(connection)
    columns = table("test", "kind", "network", "method", "still served", "recovery h", "computed", "by")
    for each in found:
        columns.add_row(
            f"{each.stress_test_id}", each.kind, each.network, each.method, f"{each.result['share_served']:.1%}",
            f"{each.result['recovery_hours']:.1f}", f"{each.computed_at:%Y-%m-%d %H:%M}", each.requested_by,
        )  # fmt: skip
    out.print(columns)


def _run(
    asked: Parameters, home: HomeOption, model: Path | None, cluster: str | None = None, workers: int | None = None
) -> None:
    if asked.graph and model:
        raise ConfigurationError("--graph uses no model: leave out --graph or --model")
    place, read = find(home), read_model(model) if model else None
    with place.connection() as connection, fractions() as progress:
        number, result = run_test(
            connection, asked, datetime.now(UTC), getpass.getuser(), given=(read.name, read.text) if read else None,
            cluster=cluster or place.settings.cluster or None, workers=workers,
            progress=lambda share, what: progress(what, share),
        )  # fmt: skip
    _show(number, result)


def _show(number: int, result: JsonObject) -> None:
    say(f"stress test {number}, by {'the model' if result['method'] == 'hydraulic' else 'the graph'}")
    for key, label, form in FIGURES:
        if result.get(key) is not None:
            say(f"  {label}: {form.format(result[key])}")
    if not result["weakest"]:
        return
    keys = [key for key in result["weakest"][0] if key != "rank"]
    columns = table("weakest 薄弱环节", *keys)
    for each in result["weakest"][:10]:
        cells = (f"{each[key]:.4g}" if isinstance(each[key], float) else str(each[key]) for key in keys)
        columns.add_row(f"{each['rank']}", *cells)
    out.print(columns)
