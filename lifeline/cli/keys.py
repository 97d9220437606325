"""`lifeline keys`: who may use the page and the API."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from lifeline.cli.address import HomeOption, find
from lifeline.cli.console import out, say, table
from lifeline.cli.users import Networks, Zones, checked_scope, signed, told
from lifeline.errors import ConflictError
from lifeline.model import Role
from lifeline.storage import keys

app = typer.Typer(help="API keys: add, list, revoke.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Who or what holds the key; stands in the history of what it does.")]


@app.command(epilog="Example: `lifeline keys add control-room --role operator`")
def add(
    name: Name,
    role: Annotated[
        Role, typer.Option(help="Each may do what the ones before it may; intake sends reports alone.")
    ] = Role.VIEWER,
    days: Annotated[int | None, typer.Option(min=1, help="Expires after so many days.")] = None,
    network: Networks = None,
    zone: Zones = None,
    home: HomeOption = None,
) -> None:
    """Make a key. It is shown this once and kept nowhere."""
    place = find(home)
    try:
        with signed(place) as (connection, now):
            scope = checked_scope(place, connection, network, zone)
            key = keys.create(connection, name, role, now, now + timedelta(days=days) if days else None, scope)
    except ConflictError as error:
        raise ConflictError(f"there is a key {name!r} already") from error
    say(key)


@app.command("list", epilog="Example: `lifeline keys list`")
def list_(home: HomeOption = None) -> None:
    """List every key, revoked and expired ones too."""
    now = datetime.now(UTC)
    with find(home).connection() as connection:
        found = keys.list_keys(connection)
    columns = table("name", "role", "sees", "made", "last used", "state")
    for key in found:
        state = "revoked" if key.revoked_at else "valid" if key.valid_at(now) else "expired"
        used = f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never"
        columns.add_row(key.name, key.role, told(key.scope), f"{key.created_at:%Y-%m-%d}", used, state)
    out.print(columns)


@app.command(epilog="Example: `lifeline keys revoke control-room`")
def revoke(name: Name, home: HomeOption = None) -> None:
    """End a key at once."""
    with signed(find(home)) as (connection, now):
        keys.revoke(connection, name, now)
    say(f"revoked {name}")
