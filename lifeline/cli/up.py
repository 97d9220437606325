"""`lifeline up` and `lifeline down`."""

import os
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import FrameType
from typing import Any

import typer

from lifeline import __version__
from lifeline.cli.address import HomeOption
from lifeline.cli.console import note, say
from lifeline.cli.drilldesk import Desk
from lifeline.cli.home import Home, home_of, running_home
from lifeline.cli.system import System
from lifeline.errors import ServiceError
from lifeline.model import Role
from lifeline.settings import load_settings
from lifeline.storage import keys
from lifeline.storage.database import connect

RELOAD = signal.SIGUSR1
"""Tells a running `lifeline up` that the devices' passwords have changed."""
STOP_S = 60.0


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: `lifeline up --home /srv/lifeline`")(up)
    app.command(epilog="Example: `lifeline down --home /srv/lifeline`")(down)


def up(home: HomeOption = None) -> None:
    """Run the whole system on this machine until Ctrl-C: database, broker, ingest, alerts, api, planning.

    Uses the database and the broker that are configured (LIFELINE_DATABASE_URL, LIFELINE_MQTT_HOST); where there is
    none, those that are installed; else it unpacks both from Debian's packages, once, into a cache.
    """
    settings = load_settings()
    chosen = home_of(settings, home)
    system = System(chosen, settings)
    run(system, lambda: _greet(system))


def _greet(system: System) -> None:
    now = datetime.now(UTC)
    with connect(system.dsn) as connection:
        first = not keys.list_keys(connection)
        key = keys.create(connection, "first", Role.ADMIN, now) if first else ""
    say(f"page      {system.url}")
    if key:
        say(f"key       {key} (role admin, shown this once; `lifeline keys add` makes others)")
    note("Ctrl-C stops everything")


def run(system: System, prepare: Callable[[], Any]) -> None:
    """Start the system, then ``prepare``, and look after it until SIGINT, SIGTERM or SIGHUP; then stop all of it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    signal.signal(RELOAD, lambda *_: system.reload_users())
    with system.home.claimed():
        note(f"Lifeline  {__version__} on {system.home.path}")
        desk = Desk(system)
        try:
            system.start_services()
            system.migrate()
            system.start_processes()
            prepare()
            system.chores.append(desk.chore)
            desk.start()
            system.look_after()
        except KeyboardInterrupt:
            note("stopping")
        finally:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, lambda *_: system.kill())
            desk.close()
            system.stop()
    note("stopped")


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    raise KeyboardInterrupt


def down(home: HomeOption = None) -> None:
    """Stop the Lifeline that runs on the home, or else the demo below it."""
    chosen = home_of(load_settings(), home)
    running = running_home(chosen)
    if running is None:
        say(f"nothing runs on {chosen.path}")
        return
    stop(running)
    say(f"stopped the Lifeline on {running.path}")


def stop(home: Home) -> None:
    """Ask the Lifeline on the home to stop, and wait for it. Raises ServiceError if it does not."""
    holder = home.holder()
    if not holder:
        return
    try:
        os.kill(holder, signal.SIGTERM)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise ServiceError(f"process {holder} belongs to another user") from error
    deadline = time.monotonic() + STOP_S
    while home.holder() == holder:
        if time.monotonic() > deadline:
            raise ServiceError(f"process {holder} has not stopped within {STOP_S:.0f} s")
        time.sleep(0.1)
