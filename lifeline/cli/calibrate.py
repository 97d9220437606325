"""`lifeline calibrate`: rates of failure from the utility's own break records."""

import getpass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from lifeline.cli.address import HomeOption, find
from lifeline.cli.console import out, say, table
from lifeline.cli.inventory import import_breaks
from lifeline.planning import calibration_plot
from lifeline.planning.calibration import ClassFit
from lifeline.planning.calibration import calibrate as fit
from lifeline.planning.recalibration import records_of, refit
from lifeline.risk.deterioration import shipped_deterioration


def register(app: typer.Typer) -> None:
    app.command("calibrate", epilog="Example: `lifeline calibrate --breaks breaks.csv --plot rates.svg --dry-run`")(
        calibrate
    )


def calibrate(
    breaks: Annotated[
        Path | None, typer.Option(help="CSV of break records (asset, at, cause, id) to import first.", dir_okay=False)
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw observed and fitted rates, .svg, .png or .pdf.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Fit and show, and store nothing.")] = False,
    home: HomeOption = None,
) -> None:
    """Fit the rates of failure of each class of material, keep them as a new version and score every asset anew."""
    now = datetime.now(UTC)
    with find(home).connection() as connection:
        if breaks is not None:
            say(import_breaks(connection, breaks, now))
        city = records_of(connection, now)
        fits = fit(city.records, shipped_deterioration())
        _show(fits)
        if city.unplaced:
            say(f"{city.unplaced} breaks are on no pipe of known age, or before it was laid: they were left out")
        if plot is not None:
            calibration_plot.draw(plot, fits, city.records, shipped_deterioration())
            say(f"drawn: {plot}")
        if dry_run:
            connection.rollback()
            say("nothing was stored (--dry-run)")
        else:
            version, _ = refit(connection, city, getpass.getuser(), now)
            say(f"version {version} counts now")


def _show(fits: list[ClassFit]) -> None:
    columns = table(
        "class", "breaks", "km years", "form", "rate /km/a", "growth /a", "shape", "AIC exp", "AIC power", "p"
    )
    for each in fits:
        one, exponential, power = each.fits[each.form], each.fits["exponential"], each.fits["power"]
        columns.add_row(
            each.name, f"{each.breaks}", f"{each.exposure:,.0f}", each.form, f"{one.rate:.4f}",
            f"{exponential.slope:.3f}", f"{power.slope:.2f}", f"{exponential.aic:.1f}", f"{power.aic:.1f}",
            "" if one.p_value is None else f"{one.p_value:.2f}",
        )  # fmt: skip
    out.print(columns)
