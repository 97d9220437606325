"""`lifeline backtest`: a child, as all processes are; this only finds the database and hands the arguments on."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from lifeline.cli.address import HomeOption, find
from lifeline.cli.children import environment


def register(app: typer.Typer) -> None:
    example = "lifeline backtest --from 2026-11-01 --to 2026-11-08 --truth truth.jsonl --plot week.svg"
    app.command(epilog=f"Examples: `{example}`, `lifeline backtest --csv mapping.toml`")(backtest)


def backtest(
    first: Annotated[str | None, typer.Option("--from", help="Begin, ISO 8601, UTC where no offset is given.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="End; default now.")] = None,
    rules: Annotated[Path | None, typer.Option(help="Rules to try instead of those in force.", dir_okay=False)] = None,
    truth: Annotated[Path | None, typer.Option(help="What truly happened: a truth file of the simulators.")] = None,
    step: Annotated[float, typer.Option(min=5, help="Seconds between ticks.")] = 300,
    plot: Annotated[Path | None, typer.Option(help="Write a timeline as SVG.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Judge CSV files by this mapping file instead.")] = None,
    home: HomeOption = None,
) -> None:
    """Run the very same detectors and life cycle over the past: events found, missed, false, and the delay.

    What is normal is learned from what lies before `--from`. Nothing is written to the database.
    """
    given = {"--from": first, "--to": last, "--rules": rules, "--truth": truth, "--plot": plot, "--csv": csv}
    arguments = [part for name, value in given.items() if value is not None for part in (name, str(value))]
    settings = {} if csv else {"LIFELINE_DATABASE_URL": find(home).dsn}
    command = [sys.executable, "-P", "-m", "alerts.backtest", *arguments, "--step", str(step)]
    raise typer.Exit(subprocess.run(command, env=environment(settings), check=False).returncode)
