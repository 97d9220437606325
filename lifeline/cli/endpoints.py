"""`lifeline endpoints`: where alerts are sent."""

import ipaddress
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit

import typer

from lifeline.catalogue import load_catalogue
from lifeline.cli.address import HomeOption, find
from lifeline.cli.console import note, out, say, table
from lifeline.errors import ConfigurationError
from lifeline.model import AlertKind, Level
from lifeline.storage import endpoints

app = typer.Typer(help="Webhook endpoints: add, list, enable, disable.", no_args_is_help=True)

LevelName = StrEnum("LevelName", [level.slug for level in Level])  # type: ignore[misc]

Name = Annotated[str, typer.Argument(help="The endpoint's name.")]


@app.command(
    epilog="Example: `lifeline endpoints add gas-crew https://example.org/hook --network gas --worst-of orange`"
)
def add(
    name: Name,
    url: Annotated[str, typer.Argument(help="Where to post: https://host/path.")],
    network: Annotated[
        list[str] | None, typer.Option(help="Only this network; may be given again. Default all.")
    ] = None,
    kind: Annotated[list[AlertKind] | None, typer.Option(help="Only this kind of alert. Default both.")] = None,
    worst_of: Annotated[LevelName, typer.Option(help="This level and every worse one.")] = LevelName("blue"),
    home: HomeOption = None,
) -> None:
    """Add an endpoint and print its signing secret (Standard Webhooks), which is shown this once."""
    place = find(home)
    unknown = set(network or ()) - load_catalogue(place.settings.catalogue).networks.keys()
    if unknown:
        raise ConfigurationError(f"unknown network {', '.join(sorted(unknown))}")
    with place.connection() as connection:
        secret = endpoints.add(
            connection,
            name,
            url,
            datetime.now(UTC),
            networks=network,
            kinds=kind or tuple(AlertKind),
            worst_level=Level.from_slug(worst_of),
        )
    say(secret)
    host = urlsplit(url).hostname or ""
    if _is_private(host) and host not in place.settings.webhook_allow:
        note(f'{host} is a private address and will be refused: LIFELINE_WEBHOOK_ALLOW=["{host}"] allows it')


@app.command("list", epilog="Example: `lifeline endpoints list`")
def list_(home: HomeOption = None) -> None:
    """List the endpoints with what was delivered to them."""
    with find(home).connection() as connection:
        found = endpoints.list_endpoints(connection)
    columns = table("name", "url", "networks", "levels", "delivered", "waiting", "failed", "state")
    for each in found:
        state = "enabled" if each.enabled else f"disabled {each.disabled_reason}".strip()
        columns.add_row(
            each.name, each.url, ", ".join(each.networks or ("all",)), f"to {each.worst_level.slug}",
            f"{each.delivered}", f"{each.pending}", f"{each.failed}", state,
        )  # fmt: skip
    out.print(columns)


@app.command(epilog="Example: `lifeline endpoints enable gas-crew`")
def enable(name: Name, home: HomeOption = None) -> None:
    """Send to an endpoint again."""
    with find(home).connection() as connection:
        endpoints.enable(connection, name)
    say(f"enabled {name}")


@app.command(epilog="Example: `lifeline endpoints disable gas-crew`")
def disable(name: Name, home: HomeOption = None) -> None:
    """Send nothing more to an endpoint; what is waiting for it waits."""
    with find(home).connection() as connection:
        endpoints.disable(connection, name, "by an operator")
    say(f"disabled {name}")


def _is_private(host: str) -> bool:
    """Whether a host that is written as an address is not one of the Internet's; names are resolved on delivery."""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host == "localhost"
