"""`lifeline replay`: a child, as all processes are; this finds the database, the broker and the devices' log-ins."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from lifeline.cli.address import HomeOption, Place, find
from lifeline.cli.children import environment
from lifeline.errors import ConfigurationError
from lifeline.settings import PREFIX

EXAMPLES = """Examples:

`lifeline replay --from 2026-11-01 --to 2026-11-02 --speed 60 --shift-to-now --dry-run`

`lifeline replay --csv week.csv --speed 0`

`lifeline replay --csv mapping.toml --device 'rtu-*'`"""


def register(app: typer.Typer) -> None:
    app.command("replay", epilog=EXAMPLES)(replay)


def replay(
    csv: Annotated[
        Path | None,
        typer.Option(help="A CSV file, or a mapping file (.toml) as `lifeline backtest --csv` takes.", dir_okay=False),
    ] = None,
    first: Annotated[str | None, typer.Option("--from", help="Begin, ISO 8601; UTC where no offset is given.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="End; default now, or the file's end.")] = None,
    device: Annotated[list[str] | None, typer.Option(help="Only devices like this (`gas-*`); may be repeated.")] = None,
    speed: Annotated[float, typer.Option(min=0, help="Seconds of the past a second; 0: as fast as it goes.")] = 1,
    shift: Annotated[
        bool, typer.Option("--shift-to-now", help="Readings bear the moment of playing: they are live.")
    ] = False,
    over_live: Annotated[
        bool, typer.Option("--over-live", help="With --shift-to-now: also where the devices speak themselves.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be played, and play nothing.")] = False,
    home: HomeOption = None,
) -> None:
    """Play CSV files or any period of the database into the broker, as the devices themselves would.

    Each device speaks with its own password (`lifeline sensors password`), those without one through the configured
    user or the demo's. Without --shift-to-now readings keep their times and are backlog: they raise no live alert.
    """
    place = find(home)
    options = {"--csv": csv, "--from": first, "--to": last, "--speed": speed, "--passwords": passwords(place)}
    arguments = [part for name, value in options.items() if value is not None for part in (name, str(value))]
    arguments += [part for each in device or () for part in ("--device", each)]
    flags = {"--shift-to-now": shift, "--over-live": over_live, "--dry-run": dry_run}
    arguments += [name for name, wanted in flags.items() if wanted]
    command = [sys.executable, "-P", "-m", "simulators", "replay", *arguments]
    own = {f"{PREFIX}DATABASE_URL": place.dsn} | broker_of(place)
    raise typer.Exit(subprocess.run(command, env=environment(own), check=False).returncode)


def passwords(place: Place) -> Path | None:
    """Folder with the passwords of devices that the home's own broker takes; None for another broker."""
    own = place.running is not None and place.running.own_broker and not place.settings.mqtt_host
    return place.home.secrets / "mqtt" if own else None


def broker_of(place: Place) -> dict[str, str]:
    """Where the broker is and who speaks for devices without a password. Raises ConfigurationError."""
    if place.settings.mqtt_host:
        names = ("MQTT_HOST", "MQTT_PORT", "MQTT_USERNAME", "MQTT_PASSWORD", "MQTT_PASSWORD_FILE")
        return {PREFIX + name: os.environ[PREFIX + name] for name in names if PREFIX + name in os.environ}
    if place.running is None:
        raise ConfigurationError(
            f"no broker: nothing runs on {place.home.path}, and LIFELINE_MQTT_HOST is not set. `lifeline up` starts one"
        )
    where = {
        f"{PREFIX}MQTT_HOST": place.running.mqtt_host,
        f"{PREFIX}MQTT_PORT": str(place.running.mqtt_port),
    }
    common = place.home.secrets / "mqtt" / "simulator"
    if not common.exists():
        return where
    return where | {f"{PREFIX}MQTT_USERNAME": "simulator", f"{PREFIX}MQTT_PASSWORD_FILE": str(common)}
