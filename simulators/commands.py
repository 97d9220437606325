"""The simulators' command line."""

import logging
import signal
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from lifeline.errors import ConfigurationError, LifelineError
from simulators.districts import write_districts
from simulators.habits import load_habits
from simulators.imported import town_from
from simulators.inventory import write_facilities, write_inventory
from simulators.planning import make_town
from simulators.scenario import hastened, load_scenario, shipped
from simulators.town import Town

app = typer.Typer(
    help="A city that misbehaves on purpose: three networks driven by hydraulic engines, over MQTT.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
)

Seed = Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same town.")]

Districts = Annotated[
    int,
    typer.Option("--districts", min=1, max=2000, help="Of 100 sensors each: 50 a real-sized town, 1000 a large one."),
]

TownFile = Annotated[
    Path | None,
    typer.Option("--town", help="An EPANET file (.inp): its pipes become the streets of the town.", dir_okay=False),
]


@app.callback()
def _simulators() -> None:
    """A city that misbehaves on purpose: three networks driven by hydraulic engines, over MQTT."""


@app.command(epilog="Example: `python -m simulators inventory --out town --seed 7`")
def inventory(
    out: Annotated[Path, typer.Option("--out", help="Folder for the files.", file_okay=False)],
    seed: Seed = 1,
    districts: Districts = 1,
    town: TownFile = None,
) -> None:
    """Write the town's assets, sensors and, of one district, its critical facilities as files for `lifeline import`."""
    try:
        _check_size(town, districts)
        own = town_of(seed, town)
        if districts == 1:
            paths: tuple[Path, ...] = (*write_inventory(own, out), write_facilities(own, out))
        else:
            paths = write_districts(seed, districts, out)
        for path in paths:
            typer.echo(path)
    except (LifelineError, OSError) as error:
        typer.echo(f"simulators: {error}", err=True)
        sys.exit(2)


@app.command(
    epilog="Example: `LIFELINE_MQTT_HOST=127.0.0.1 LIFELINE_MQTT_USERNAME=simulator LIFELINE_MQTT_PASSWORD_FILE=secret "
    "python -m simulators run --seed 1 --history-days 7 --truth truth.jsonl --scenario demo`"
)
def run(
    seed: Seed = 1,
    history_days: Annotated[float, typer.Option(min=0, max=400, help="Days of the past, at 5 minutes.")] = 7,
    truth: Annotated[Path | None, typer.Option(help="File to which the truth is appended as JSON lines.")] = None,
    scenario: Annotated[str, typer.Option(help="Name of a shipped scenario, or a .toml file.")] = "demo",
    speed: Annotated[float, typer.Option(min=0.1, max=100, help="Events come so many times as soon.")] = 1.0,
    town: TownFile = None,
    habits: Annotated[str, typer.Option(help="How devices behave: `rough`, or a .toml file; default plain.")] = "",
    passwords: Annotated[Path | None, typer.Option(help="Folder with a password file a device.")] = None,
    districts: Districts = 1,
) -> None:
    """Publish the town's readings: its history first, then live with the clock, until SIGTERM or Ctrl-C."""
    from lifeline.log import configure_logging
    from lifeline.settings import load_settings
    from simulators.service import Service

    try:
        settings = load_settings()
        configure_logging("simulators", settings)
        quiet_engines()
        _check_size(town, districts)
        manners = load_habits(habits) if habits else None
        own, played = town_of(seed, town), hastened(load_scenario(scenario), speed)
        service = Service(
            settings, seed, played, truth, habits=manners, passwords=passwords, town=own, districts=districts
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: service.stop.set())
        service.run(history_days)
    except LifelineError as error:
        typer.echo(f"simulators: {error}", err=True)
        sys.exit(2)


@app.command(epilog="Example: `LIFELINE_DATABASE_URL=... python -m simulators history --districts 50 --days 365`")
def history(
    seed: Seed = 1,
    districts: Districts = 50,
    days: Annotated[int, typer.Option(min=1, max=3660, help="Days at 5 minutes, up to last midnight (UTC).")] = 365,
) -> None:
    """Write days of the past of a large town straight into the database, whose inventory it must be."""
    from lifeline.settings import load_settings
    from simulators.historian import write_history

    try:
        quiet_engines()
        for line in write_history(load_settings(), seed, districts, days, datetime.now(UTC)):
            typer.echo(line)
    except LifelineError as error:
        typer.echo(f"simulators: {error}", err=True)
        sys.exit(2)


@app.command(epilog="Example: `python -m simulators check burst`")
def check(scenario: Annotated[str, typer.Argument(help="Name of a shipped scenario, or a .toml file.")]) -> None:
    """Say what a scenario is, or what is wrong with it."""
    try:
        typer.echo(load_scenario(scenario).title)
    except LifelineError as error:
        typer.echo(f"simulators: {error}", err=True)
        sys.exit(2)


@app.command(epilog="Example: `python -m simulators replay --csv week.csv --speed 60 --shift-to-now`")
def replay(
    csv: Annotated[
        Path | None, typer.Option(help="A CSV file, or a mapping file (.toml) that says what its columns mean.")
    ] = None,
    first: Annotated[str | None, typer.Option("--from", help="Begin, ISO 8601; UTC where no offset is given.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="End; default now, or the file's end.")] = None,
    device: Annotated[list[str] | None, typer.Option(help="Only devices like this (`gas-*`); may be repeated.")] = None,
    speed: Annotated[float, typer.Option(min=0, help="Seconds of the past a second; 0: as fast as it goes.")] = 1,
    shift: Annotated[bool, typer.Option("--shift-to-now", help="Readings bear the moment of playing.")] = False,
    over_live: Annotated[bool, typer.Option("--over-live", help="Also where the devices speak themselves.")] = False,
    passwords: Annotated[Path | None, typer.Option(help="Folder with a password file a device.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be played, and play nothing.")] = False,
) -> None:
    """Play CSV files or a period of the database into the broker, as the devices themselves would."""
    from lifeline.settings import load_settings
    from simulators.replayer import Wish, replay_recorded

    try:
        wish = Wish(csv, _moment(first), _moment(last), tuple(device or ()), speed, shift, over_live, dry_run)
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        for line in replay_recorded(load_settings(), wish, passwords, datetime.now(UTC), stop):
            typer.echo(line)
    except LifelineError as error:
        typer.echo(f"simulators: {error}", err=True)
        sys.exit(1)


def _check_size(town: Path | None, districts: int) -> None:
    if town is not None and districts > 1:
        raise ConfigurationError("--town has no --districts: the file says how large it is")


def _moment(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigurationError(f"{text!r} is no time: write it like 2026-11-01T08:00") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def town_of(seed: int, file: Path | None) -> Town:
    """The town of a file, or the one that the seed makes."""
    return make_town(seed) if file is None else town_from(file, seed)


def quiet_engines() -> None:
    """Libraries that tell of every step."""
    for chatty in ("pandapower", "pandapipes", "wntr", "matplotlib"):
        logging.getLogger(chatty).setLevel(logging.ERROR)


@app.command(epilog="Example: `python -m simulators scenarios`")
def scenarios() -> None:
    """List the scenarios that come with the simulators."""
    for name in shipped():
        typer.echo(f"{name:20} {load_scenario(name).title}")
