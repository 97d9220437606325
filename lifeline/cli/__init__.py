"""The command `lifeline`. One module a noun; processes are started as children and never imported.

Exit status: 0 done; 1 it could not be done, and the one line on standard error says why; 2 wrong usage.
"""

import sys

import typer

from lifeline import __version__
from lifeline.cli import (
    assets,
    backtest,
    calibrate,
    checks,
    criticality,
    demo,
    effect,
    endpoints,
    export,
    facilities,
    inventory,
    keys,
    load,
    maintenance,
    performance,
    plan,
    replay,
    rules,
    schema,
    score,
    sensors,
    state,
    stress,
    up,
    zones,
)
from lifeline.cli.console import fail
from lifeline.errors import LifelineError

app = typer.Typer(
    name="lifeline",
    help="Watch over a city's gas, water and drainage: from MQTT readings to alerts and a risk map.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
up.register(app)
demo.register(app)
schema.register(app)
checks.register(app)
inventory.register(app)
export.register(app)
state.register(app)
performance.register(app)
backtest.register(app)
plan.register(app)
effect.register(app)
score.register(app)
load.register(app)
replay.register(app)
criticality.register(app)
calibrate.register(app)
app.add_typer(assets.app, name="assets")
app.add_typer(sensors.app, name="sensors")
app.add_typer(zones.app, name="zones")
app.add_typer(facilities.app, name="facilities")
app.add_typer(keys.app, name="keys")
app.add_typer(endpoints.app, name="endpoints")
app.add_typer(maintenance.app, name="maintenance")
app.add_typer(rules.app, name="rules")
app.add_typer(stress.app, name="stress")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lifeline {__version__}")
        raise typer.Exit


@app.callback(epilog="Settings come from the environment (LIFELINE_...): docs/reference/settings.md lists them.")
def _lifeline(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Watch over a city's gas, water and drainage: from MQTT readings to alerts and a risk map."""


def main() -> None:
    """Run the command; an expected error becomes one line and status 1."""
    try:
        app()
    except LifelineError as error:
        fail(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `lifeline sensors list | head`
        sys.stderr.close()
        sys.exit(1)
