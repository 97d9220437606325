"""`lifeline maintenance`: planned work, during which nothing new is raised."""

import getpass
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from lifeline.catalogue import load_catalogue
from lifeline.cli.address import HomeOption, find
from lifeline.cli.console import out, say, table
from lifeline.errors import ConfigurationError
from lifeline.storage import maintenance

app = typer.Typer(help="Maintenance windows: add, list, end.", no_args_is_help=True)


@app.command(epilog="Example: `lifeline maintenance add --asset K-7 --hours 4 --reason 'valve work'`")
def add(
    network: Annotated[str | None, typer.Option(help="Only this network.")] = None,
    zone: Annotated[str | None, typer.Option(help="Only in this zone, by the city's own id.")] = None,
    sensor: Annotated[int | None, typer.Option(help="Only this sensor, by its number.")] = None,
    asset: Annotated[str | None, typer.Option(help="Only at this asset, by the city's own id.")] = None,
    rule: Annotated[str | None, typer.Option(help="Only this rule.")] = None,
    begin: Annotated[datetime | None, typer.Option(help="When it begins, UTC; default now.")] = None,
    hours: Annotated[float, typer.Option(min=0, help="How long; 0: until it is ended (out of service).")] = 0,
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    home: HomeOption = None,
) -> None:
    """Open a maintenance window, or take something out of service."""
    place, now = find(home), datetime.now(UTC)
    if network is not None and network not in load_catalogue(place.settings.catalogue).networks:
        raise ConfigurationError(f"unknown network {network}")
    begins_at = begin.replace(tzinfo=UTC) if begin else now
    ends_at = begins_at + timedelta(hours=hours) if hours else None
    with place.connection() as connection:
        number = maintenance.open_window(
            connection, getpass.getuser(), now, begins_at=begins_at, ends_at=ends_at, network=network, zone=zone,
            sensor_id=sensor, asset=asset, rule=rule, reason=reason,
        )  # fmt: skip
    say(f"window {number} {'until it is ended' if ends_at is None else f'until {ends_at:%Y-%m-%d %H:%M} UTC'}")


@app.command("list", epilog="Example: `lifeline maintenance list --days 30`")
def list_(
    days: Annotated[float, typer.Option(min=0, help="Also those that ended in the last days.")] = 0,
    home: HomeOption = None,
) -> None:
    """List the windows that are open or to come."""
    with find(home).connection() as connection:
        found = maintenance.windows(connection, datetime.now(UTC) - timedelta(days=days))
    columns = table("window", "network", "zone", "asset", "sensor", "rule", "begins", "ends", "by", "reason")
    for each in found:
        ends = f"{each.ends_at:%Y-%m-%d %H:%M}" if each.ends_at else "when ended"
        columns.add_row(
            f"{each.window_id}", each.network or "any", each.zone or "any", each.asset or "any",
            str(each.sensor_id or "any"), each.rule or "any",
            f"{each.begins_at:%Y-%m-%d %H:%M}", ends, each.created_by, each.reason,
        )  # fmt: skip
    out.print(columns)


@app.command(epilog="Example: `lifeline maintenance end 3`")
def end(window: Annotated[int, typer.Argument(help="The window's number.")], home: HomeOption = None) -> None:
    """End a window now."""
    with find(home).connection() as connection:
        maintenance.end_window(connection, window, getpass.getuser(), datetime.now(UTC))
    say(f"ended {window}")
