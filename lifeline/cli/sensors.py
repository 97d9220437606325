"""`lifeline sensors`: what measures, what is silent, what speaks and is not known."""

import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated

import typer

from lifeline.catalogue import Catalogue, load_catalogue
from lifeline.cli.address import HomeOption, Place, find
from lifeline.cli.console import out, say, table
from lifeline.cli.edits import DryRun, Fields, edit, remove
from lifeline.cli.home import Home
from lifeline.cli.up import RELOAD
from lifeline.embedded.passwords import password_file
from lifeline.errors import ConfigurationError, NotFoundError
from lifeline.storage import inventory
from lifeline.storage.inventory import SensorState
from lifeline.wire import is_identifier, readings_topic, status_topic

app = typer.Typer(help="List, adopt and look into sensors; make a device's password.", no_args_is_help=True)

Network = Annotated[str | None, typer.Option("--network", help="Only this network.")]
Device = Annotated[str, typer.Argument(help="The device's name in its topic.")]


@app.command("list", epilog="Example: `lifeline sensors list --network gas`")
def list_(home: HomeOption = None, network: Network = None) -> None:
    """List every sensor with its newest reading, and the devices that speak and are not known."""
    place = find(home)
    catalogue = load_catalogue(place.settings.catalogue)
    now = datetime.now(UTC)
    with place.connection() as connection:
        found = inventory.sensors(connection, network=network)
        unknown = inventory.unknown_devices(connection, network=network)
    _show(found, now, catalogue)
    if unknown:
        say(f"\n{len(unknown)} not in the inventory (`lifeline sensors adopt DEVICE` takes one in):")
        columns = table("device", "network", "channels", "readings", "last heard")
        for device in unknown:
            channels, heard = ", ".join(device.channels), age(device.last_seen, now)
            columns.add_row(device.device, device.network, channels, f"{device.readings}", heard)
        out.print(columns)


@app.command(epilog="Example: `lifeline sensors silent`")
def silent(home: HomeOption = None, network: Network = None) -> None:
    """List the sensors that are longer without a reading than they may be. Status 1 where there is one."""
    place = find(home)
    catalogue = load_catalogue(place.settings.catalogue)
    now = datetime.now(UTC)
    with place.connection() as connection:
        found = [each for each in inventory.sensors(connection, network=network) if each.silent(now, catalogue)]
    if not found:
        say("no sensor is silent")
        return
    _show(found, now, catalogue)
    raise typer.Exit(1)


@app.command(epilog="Example: `lifeline sensors show gas-gate`")
def show(device: Device, home: HomeOption = None) -> None:
    """Show a device: its line, its topics, its sensors."""
    place = find(home)
    now = datetime.now(UTC)
    with place.connection() as connection:
        state = inventory.device_state(connection, device)
        found = inventory.sensors(connection, device=device)
        unknown = inventory.unknown_devices(connection, device=device)
    if state is None and not unknown:
        raise NotFoundError(f"there is no device {device!r}, and none of this name was heard")
    if state is not None:
        say(f"device    {state.device}, network {state.network}, gateway {state.gateway or 'none'}")
        say(f"status    {state.status or 'unknown'}, last heard {age(state.last_seen, now)}")
        say(f"missed    {state.missed} messages by their sequence numbers")
        say(f"topics    {readings_topic(state.network, device)}  {status_topic(state.network, device)}")
        _show(found, now, load_catalogue(place.settings.catalogue))
    for heard in unknown:
        say(f"unknown   channels {', '.join(heard.channels)} in {heard.network}: `lifeline sensors adopt {device}`")


@app.command(epilog="Example: `lifeline sensors adopt rtu-17 --network water`")
def adopt(
    device: Device,
    home: HomeOption = None,
    network: Annotated[str | None, typer.Option(help="Needed where it speaks in several.")] = None,
) -> None:
    """Take a device that speaks and is not known into the inventory, with every channel that it was heard on."""
    place = find(home)
    with place.connection() as connection:
        channels = inventory.adopt(connection, device, load_catalogue(place.settings.catalogue), network)
    say(f"adopted {device}: {', '.join(channels) or 'every channel was known already'}")


@app.command("set", epilog="Example: `lifeline sensors set rtu-17 pressure high=1.2 low=0 --dry-run`")
def set_(
    device: Device,
    channel: Annotated[str, typer.Argument(help="The channel, as `pressure` or `flow.main`.")],
    fields: Fields,
    home: HomeOption = None,
    dry_run: DryRun = False,
) -> None:
    """Change fields of a sensor (columns of sensors.csv); an empty value takes one away."""
    edit(home, "sensors", f"{device}/{channel}", fields, dry_run)


@app.command(epilog="Example: `lifeline sensors delete rtu-17 pressure`")
def delete(
    device: Device,
    channel: Annotated[str, typer.Argument(help="The channel, as `pressure` or `flow.main`.")],
    home: HomeOption = None,
    dry_run: DryRun = False,
) -> None:
    """Remove a sensor that has no readings and no alerts; another is taken out of service by `set`."""
    remove(home, "sensors", f"{device}/{channel}", dry_run)


@app.command(epilog="Example: `lifeline sensors password rtu-17`")
def password(device: Device, home: HomeOption = None) -> None:
    """Make a new password for a device and print how it connects.

    A running Lifeline's own broker takes it at once. For another broker the line of its password file is printed.
    """
    if not is_identifier(device) or device in ("ingest", "simulator"):
        raise ConfigurationError(f"{device!r} cannot be a device's name")
    if ":" in device:  # with one such user Mosquitto could read none of its password file
        raise ConfigurationError(f"{device!r} cannot log in: a user name of the broker must not hold a colon")
    place = find(home)
    if place.settings.mqtt_host or (place.running is not None and not place.running.own_broker):
        _for_another_broker(device)
        return
    secret = new_password(place.home, device)
    if place.running is not None:
        with suppress(ProcessLookupError):
            os.kill(place.running.pid, RELOAD)
    say(f"user      {device}")
    say(f"password  {secret}")
    _say_place(place)


def new_password(home: Home, device: str) -> str:
    """Another password for the device at the home's own broker."""
    home.make()
    name = f"mqtt/{device}"
    (home.secrets / name).unlink(missing_ok=True)
    return home.secret(name).read_text(encoding="utf-8")


def _for_another_broker(device: str) -> None:
    secret = secrets.token_urlsafe(24)
    say(f"user      {device}")
    say(f"password  {secret}")
    say("line for the broker's password file:")
    say(password_file({device: secret}).strip())


def _say_place(place: Place) -> None:
    if place.running is None:
        say("broker    not running: it takes the password when it starts")
    else:
        say(f"broker    {place.running.mqtt_host}:{place.running.mqtt_port} (MQTT 5 or 3.1.1)")


def _show(found: Sequence[SensorState], now: datetime, catalogue: Catalogue) -> None:
    columns = table("device", "channel", "network", "asset", "value", "age", "")
    for sensor in found:
        quantity = catalogue.quantity_of(sensor.channel)
        unit = quantity.unit if quantity else ""
        value = "-" if sensor.value is None else f"{sensor.value:g} {unit}"
        mark = "silent" if sensor.silent(now, catalogue) else "" if sensor.in_service else "out of service"
        columns.add_row(
            sensor.device, sensor.channel, sensor.network, sensor.asset or "-", value, age(sensor.ts, now), mark
        )  # fmt: skip
    out.print(columns)
    say(f"{len(found)} sensors")


def age(moment: datetime | None, now: datetime) -> str:
    """How long ago, in the largest unit that makes sense."""
    if moment is None:
        return "never"
    seconds = (now - moment).total_seconds()
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
