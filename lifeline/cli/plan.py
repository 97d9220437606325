"""`lifeline plan`: what to renew first, for the money there is."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from lifeline.catalogue import load_catalogue
from lifeline.cli.address import HomeOption, find
from lifeline.cli.console import fractions, out, say, table
from lifeline.errors import ConfigurationError
from lifeline.inventory import parse_assets
from lifeline.model import JsonObject
from lifeline.planning import Progress
from lifeline.planning.cost import Costs
from lifeline.planning.documents import feature_collection, summary, works_of
from lifeline.planning.documents import table as csv_of
from lifeline.planning.plan import OLDEST, WORST, Plan, make_plan
from lifeline.planning.renewal_job import Parameters, costs_of, plan_over
from lifeline.planning.segments import segments_of

_EXAMPLES = (
    "Examples: `lifeline plan --budget 20e6 --years 5 --pdf plan.pdf`, "
    "`lifeline plan --budget 3e6,4e6,4e6 --network gas --zone east --out plan/`, "
    "`lifeline plan --assets town.geojson --budget 8e6 --costs ours.toml`"
)


def register(app: typer.Typer) -> None:
    app.command(epilog=_EXAMPLES)(plan)


def plan(
    budget: Annotated[str, typer.Option(help="All the money, spread over the years; or each year's: 3e6,4e6,4e6.")],
    years: Annotated[int, typer.Option(min=1, max=50, help="Years to plan, where the budget is one sum.")] = 5,
    network: Annotated[str | None, typer.Option(help="Only this network.")] = None,
    zone: Annotated[str | None, typer.Option(help="Only what lies mostly in this zone, by its own id.")] = None,
    assets: Annotated[
        Path | None,
        typer.Option(help="Plan over this GeoJSON file instead of a database.", exists=True, dir_okay=False),
    ] = None,
    costs: Annotated[
        Path | None, typer.Option(help="TOML file with your own costs; see the how-to.", exists=True, dir_okay=False)
    ] = None,
    horizon: Annotated[int, typer.Option(min=1, max=100, help="Years over which gain is counted.")] = 30,
    discount: Annotated[float, typer.Option(min=0, max=0.2, help="Discount rate a year.")] = 0.04,
    longest: Annotated[float, typer.Option(min=1, help="Longest work, in metres.")] = 600.0,
    shortest: Annotated[float, typer.Option(min=0, help="Shortest work, in metres.")] = 0.0,
    before: Annotated[list[str] | None, typer.Option(help="A:B, pipe A no later than pipe B. May be repeated.")] = None,
    carry_over: Annotated[bool, typer.Option(help="What a year leaves may be spent later.")] = True,
    scenarios: Annotated[int, typer.Option(min=0, max=200, help="Other costs and rates that are tried.")] = 20,
    seconds: Annotated[float, typer.Option(min=0.1, max=3600, help="How long the solver may try, about.")] = 20.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of solver and scenarios.")] = 1,
    out_: Annotated[Path | None, typer.Option("--out", help="Folder for plan.geojson, plan.csv, summary.json.")] = None,
    pdf: Annotated[Path | None, typer.Option(help="Write the two-page report, Chinese and English.")] = None,
    home: HomeOption = None,
) -> None:
    """Say which pipes to renew first for a budget, year by year, and how much more that gains than a plain list.

    Gain is the expected cost of failures that a renewal removes over the horizon, discounted. The same money is also
    spent "oldest first" and "worst first", and the ratio is printed.
    """
    asked = Parameters.model_validate(
        {**_money(budget), "years": years, "network": network, "zone": zone, "horizon_years": horizon}
        | {"discount": discount, "longest_m": longest, "shortest_m": min(shortest, longest), "carry_over": carry_over}
        | {"before": [_pair(each) for each in before or []], "scenarios": scenarios, "seconds": seconds, "seed": seed}
    )
    now = datetime.now(UTC)
    with fractions() as tell:
        made = _made(asked, assets, costs_of(costs), now.year, lambda share, what: tell(what, share), home)
        works, figures = works_of(made, now.year + 1), summary(made, now.year + 1)
    _print(works, figures)
    if out_ is not None:
        _write_files(out_, works, figures)
    if pdf is not None:
        from lifeline.planning.report import report

        _write(pdf, report(made, works, figures, zone or network or "", now))


def _made(asked: Parameters, assets: Path | None, costs: Costs, year: int, tell: Progress, home: Path | None) -> Plan:
    if assets is None:
        with find(home).connection() as connection:
            return plan_over(connection, asked, costs, year, tell)
    if asked.zone is not None:
        raise ConfigurationError("--zone needs a database: a file of assets has no zones")
    entries = parse_assets(assets.read_bytes(), load_catalogue(), str(assets))
    chosen = [entry.item for entry in entries if asked.network in (None, entry.item.network)]
    return make_plan(segments_of(chosen, year), costs, asked.request(), tell)


def _money(text: str) -> JsonObject:
    try:
        sums = [float(each) for each in text.split(",")]
    except ValueError as error:
        raise ConfigurationError(f"--budget {text!r}: must be a number like 20e6, or numbers like 3e6,4e6") from error
    if not all(0 <= each <= 1e13 for each in sums):
        raise ConfigurationError(f"--budget {text!r}: money is 0 or more, and finite")
    return {"budget": sums[0]} if len(sums) == 1 else {"budgets": sums}


def _pair(text: str) -> tuple[str, str]:
    first, colon, then = text.partition(":")
    if not (first and colon and then):
        raise ConfigurationError(f"--before {text!r}: must be A:B, the names of two pipes")
    return first, then


def _print(works: list[JsonObject], figures: JsonObject) -> None:
    columns = table("work", "year", "network", "street or pipe", "m", f"cost {figures['currency']}", "gain", "sure")
    for work in works:
        columns.add_row(
            f"{work['work']}", f"{work['year']}", " ".join(work["networks"]), work["street"] or work["assets"][0],
            f"{work['length_m']:,.0f}", f"{work['cost']:,.0f}", f"{work['gain']:,.0f}",
            "" if work["sure"] is None else f"{work['sure']:.0%}",
        )  # fmt: skip
    out.print(columns)
    mine = figures["plan"]
    say(
        f"\nplan          gain {mine['gain']:,.0f}  cost {mine['cost']:,.0f}  {mine['works']} works, "
        f"{mine['length_m'] / 1000:.1f} km; shared roads save {mine['saved_by_sharing']:,.0f}"
    )
    for name, words in ((OLDEST, "oldest first"), (WORST, "worst first")):
        other, ratio = figures[name], figures["ratio"][name]
        more = "gains nothing" if ratio is None else f"the plan gains {ratio:.3f} times as much"
        say(f"{words:<13} gain {other['gain']:,.0f}  cost {other['cost']:,.0f}: {more}")
    say(
        f"no plan for this money gains more than {mine['bound']:,.0f}: at most {mine['gap']:.2%} is left; "
        f"{figures['failures_avoided']:.1f} failures avoided in {figures['horizon_years']} years"
    )
    if figures["scenarios"]:
        say(f"{figures['kept']:.0%} of the money is in works that stay with costs and rates 20 % off")


def _write_files(folder: Path, works: list[JsonObject], figures: JsonObject) -> None:
    geojson = json.dumps(feature_collection(works, figures), ensure_ascii=False).encode()
    _write(folder / "plan.geojson", geojson)
    _write(folder / "plan.csv", b"\xef\xbb\xbf" + csv_of(works).encode())  # Excel reads UTF-8 only with this mark
    _write(folder / "summary.json", json.dumps(figures, indent=1, ensure_ascii=False).encode())


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
    say(f"wrote {path}")
