"""`lifeline users`: people who may use the page, what they may, and where."""

import getpass
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from lifeline.catalogue import load_catalogue
from lifeline.cli.address import HomeOption, Place, find
from lifeline.cli.console import out, say, table
from lifeline.errors import ConfigurationError, NotFoundError
from lifeline.model import Role
from lifeline.principal import Kind, Scope, scope_of
from lifeline.storage import sessions, users
from lifeline.storage.behalf import Actor, sign
from lifeline.storage.database import Connection

app = typer.Typer(help="People who may use the page: add, list, change, disable.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The user's name; upper and lower case are the same.")]
Networks = Annotated[list[str] | None, typer.Option("--network", help="Sees only this network; may be repeated.")]
Zones = Annotated[list[str] | None, typer.Option("--zone", help="Sees only what lies in this zone; may be repeated.")]
PasswordFile = Annotated[
    Path | None, typer.Option(help="File with the password in its first line, or - for standard input; else asked for.")
]


@contextmanager
def signed(place: Place) -> Iterator[tuple[Connection, datetime]]:
    """A connection whose changes stand in the audit under who is at this command line; and now."""
    now = datetime.now(UTC)
    with place.connection() as connection:
        sign(connection, Actor(getpass.getuser(), Kind.COMMAND, now, request="lifeline"))
        yield connection, now


@app.command(
    epilog="Examples: `lifeline users add li.wei --role admin`, `lifeline users add gas2 --network gas --no-password`"
)
def add(
    name: Name,
    role: Annotated[Role, typer.Option(help="Each may do what the ones before it may.")] = Role.VIEWER,
    network: Networks = None,
    zone: Zones = None,
    password_file: PasswordFile = None,
    no_password: Annotated[bool, typer.Option("--no-password", help="Comes in by `lifeline users link`.")] = False,
    home: HomeOption = None,
) -> None:
    """Make a user. The password is asked for or read from a file: arguments can be seen by others."""
    place = find(home)
    password = None if no_password else read_password(password_file)
    with signed(place) as (connection, now):
        scope = checked_scope(place, connection, network, zone)
        user = users.add(connection, name, role, now, password, scope)
    say(f"added {user.name} ({user.role}, {told(user.scope)})")


@app.command("list", epilog="Example: `lifeline users list`")
def list_(home: HomeOption = None) -> None:
    """List every user, disabled ones too."""
    with find(home).connection() as connection:
        found = users.every(connection)
    columns = table("name", "role", "sees", "made", "logged in", "state")
    for user in found:
        came = f"{user.last_login_at:%Y-%m-%d %H:%M}" if user.last_login_at else "never"
        state = "disabled" if user.disabled_at else "by link" if user.password_hash is None else "active"
        columns.add_row(user.name, user.role, told(user.scope), f"{user.created_at:%Y-%m-%d}", came, state)
    out.print(columns)


@app.command(epilog="Example: `lifeline users disable li.wei`")
def disable(name: Name, home: HomeOption = None) -> None:
    """Log a user out everywhere and let him in no more."""
    with signed(find(home)) as (connection, now):
        users.change(connection, name, now, disabled=True)
    say(f"disabled {name}")


@app.command(epilog="Example: `lifeline users enable li.wei`")
def enable(name: Name, home: HomeOption = None) -> None:
    """Let a user in again who was disabled."""
    with signed(find(home)) as (connection, now):
        users.change(connection, name, now, disabled=False)
    say(f"enabled {name}")


@app.command(epilog="Example: `lifeline users password li.wei`")
def password(name: Name, password_file: PasswordFile = None, home: HomeOption = None) -> None:
    """Give a user a new password; he is logged out everywhere."""
    place = find(home)
    with place.connection() as connection:
        users.find(connection, name)
    fresh = read_password(password_file)
    with signed(place) as (connection, now):
        users.set_password(connection, name, fresh, now)
    say(f"{name} has a new password")


@app.command(epilog="Example: `lifeline users role li.wei engineer`")
def role(
    name: Name, role: Annotated[Role, typer.Argument(help="What he may from now on.")], home: HomeOption = None
) -> None:
    """Change what a user may."""
    with signed(find(home)) as (connection, now):
        users.change(connection, name, now, role=role)
    say(f"{name} is {role}")


@app.command(epilog="Examples: `lifeline users scope li.wei --network gas --zone D-01`, `lifeline users scope li.wei`")
def scope(name: Name, network: Networks = None, zone: Zones = None, home: HomeOption = None) -> None:
    """Change which part of the city a user sees and changes; without options all of it."""
    place = find(home)
    with signed(place) as (connection, now):
        wanted = checked_scope(place, connection, network, zone)
        users.change(connection, name, now, scope=wanted)
    say(f"{name} sees {told(wanted)}")


@app.command(epilog="Example: `lifeline users link li.wei`")
def link(name: Name, home: HomeOption = None) -> None:
    """Print a link that logs a user in, once, within a quarter of an hour."""
    place = find(home)
    with signed(place) as (connection, now):
        token = sessions.make_link(connection, users.find(connection, name).name, now)
    say(link_to(page_of(place), token))


def link_to(page: str, token: str) -> str:
    """The address that opens a session. After the #, which no browser sends to a server or writes into a log there."""
    return f"{page.rstrip('/')}/#link={token}"


def page_of(place: Place) -> str:
    """Where people reach the page."""
    settings = place.settings
    if settings.public_url:
        return settings.public_url
    if place.running is not None:
        return place.running.url
    return f"http://localhost:{settings.api_port}"


def read_password(path: Path | None) -> str:
    """A password from a file or standard input (its first line), else asked for twice. Raises ConfigurationError."""
    if path is None:
        if not sys.stdin.isatty():
            raise ConfigurationError("no terminal to ask for the password on: use --password-file FILE (or -)")
        return str(typer.prompt("password", hide_input=True, confirmation_prompt=True))
    try:
        text = sys.stdin.readline() if str(path) == "-" else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise ConfigurationError(f"{path}: {reason}") from error
    return text.split("\n", 1)[0].rstrip("\r")


def checked_scope(place: Place, connection: Connection, networks: list[str] | None, zones: list[str] | None) -> Scope:
    """A scope of what is there. Raises NotFoundError for a network or zone that is not."""
    known = load_catalogue(place.settings.catalogue).networks
    for name in networks or ():
        if name not in known:
            raise NotFoundError(f"there is no network {name!r}; there are: {', '.join(known)}")
    for name in users.unknown_zones(connection, zones or ()):
        raise NotFoundError(f"there is no zone {name!r}; `lifeline zones list` lists them")
    return scope_of(networks, zones)


def told(scope: Scope) -> str:
    """A scope in words."""
    if scope.whole:
        return "the whole city"
    networks = " and ".join(scope.networks) if scope.networks else "every network"
    return networks + (f" in {', '.join(scope.zones)}" if scope.zones else "")
