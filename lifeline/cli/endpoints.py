"""`lifeline endpoints`: where alerts are sent, how, and when."""

import ipaddress
from datetime import UTC, datetime, time, timedelta
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

app = typer.Typer(help="Where alerts are sent: webhooks, chat channels, escalation.", no_args_is_help=True)

LevelName = StrEnum("LevelName", [level.slug for level in Level])  # type: ignore[misc]
ScopeName = StrEnum("ScopeName", list(endpoints.SCOPES))  # type: ignore[misc]
FormatName = StrEnum("FormatName", list(endpoints.FORMATS))  # type: ignore[misc]

Name = Annotated[str, typer.Argument(help="The endpoint's name.")]


@app.command(
    epilog="Example: `lifeline endpoints add gas-crew https://example.org/hook --network gas --worst-of orange`"
)
def add(
    name: Name,
    url: Annotated[str, typer.Argument(help="Where to post: https://host/path; for chat, an address of apprise.")],
    network: Annotated[
        list[str] | None, typer.Option(help="Only this network; may be given again. Default all.")
    ] = None,
    kind: Annotated[list[AlertKind] | None, typer.Option(help="Only this kind of alert. Default both.")] = None,
    worst_of: Annotated[LevelName, typer.Option(help="This level and every worse one.")] = LevelName("blue"),
    format: Annotated[FormatName, typer.Option(help="How a message looks.")] = FormatName("own"),  # noqa: A002
    event: Annotated[
        list[str] | None, typer.Option(help="Only this type of message; may be given again. `none`: escalation alone.")
    ] = None,
    scope: Annotated[
        ScopeName, typer.Option(help="Risk by its incidents, one message for an event; or each alert.")
    ] = ScopeName("incident"),
    zone: Annotated[list[str] | None, typer.Option(help="Only what lies in this zone; may be given again.")] = None,
    links: Annotated[bool, typer.Option(help="Whether messages carry field links.")] = True,
    quiet: Annotated[str, typer.Option(help="Quiet hours, such as 22:00-06:30; red ignores them.")] = "",
    quiet_zone: Annotated[
        str, typer.Option(help="Time zone of the quiet hours. Default the city's: LIFELINE_TIMEZONE.")
    ] = "",
    group_wait: Annotated[int, typer.Option(min=0, help="Seconds to collect messages of a group; 0: none.")] = 0,
    group_interval: Annotated[int, typer.Option(min=0, help="Seconds between two messages of a group.")] = 300,
    repeat: Annotated[int, typer.Option(min=0, help="Seconds between reminders while unacknowledged; 0: none.")] = 0,
    home: HomeOption = None,
) -> None:
    """Add an endpoint and print its signing secret (Standard Webhooks), which is shown this once."""
    from lifeline.chat import shown  # here, as it loads a hundred services

    place = find(home)
    unknown = set(network or ()) - load_catalogue(place.settings.catalogue).networks.keys()
    if unknown:
        raise ConfigurationError(f"unknown network {', '.join(sorted(unknown))}")
    with place.connection() as connection:
        secret = endpoints.add(
            connection,
            name,
            shown(url) if format == "chat" else url,
            datetime.now(UTC),
            networks=network,
            kinds=kind or tuple(AlertKind),
            worst_level=Level.from_slug(worst_of),
            format=format,
            events=[] if event == ["none"] else event,
            links=links,
            pacing=endpoints.Pacing(
                *_hours(quiet), quiet_zone or place.settings.timezone, group_wait_s=group_wait,
                group_interval_s=group_interval, repeat_s=repeat or None,
            ),
            channel=url if format == "chat" else "",
            scope=scope,
            zones=zone,
        )  # fmt: skip
    if format == "chat":
        say(f"added {name}; `lifeline endpoints test {name}` tries it")
        return
    say(secret)
    host = urlsplit(url).hostname or ""
    if _is_private(host) and host not in place.settings.webhook_allow:
        note(f'{host} is a private address and will be refused: LIFELINE_WEBHOOK_ALLOW=["{host}"] allows it')


@app.command("list", epilog="Example: `lifeline endpoints list`")
def list_(home: HomeOption = None) -> None:
    """List the endpoints with what was delivered to them."""
    with find(home).connection() as connection:
        found = endpoints.list_endpoints(connection)
    columns = table("name", "url", "format", "networks", "levels", "delivered", "waiting", "failed", "state")
    for each in found:
        state = "enabled" if each.enabled else f"disabled {each.disabled_reason}".strip()
        columns.add_row(
            each.name, each.url, each.format, ", ".join(each.networks or ("all",)), f"to {each.worst_level.slug}",
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


@app.command(epilog="Example: `lifeline endpoints rotate gas-crew --overlap-hours 48`")
def rotate(
    name: Name,
    overlap_hours: Annotated[float, typer.Option(min=0, help="So long the old secret signs as well.")] = 24,
    home: HomeOption = None,
) -> None:
    """Give an endpoint a new signing secret and print it; meanwhile messages carry a signature by each."""
    with find(home).connection() as connection:
        say(endpoints.rotate(connection, name, datetime.now(UTC), timedelta(hours=overlap_hours)))


@app.command("test", epilog="Example: `lifeline endpoints test gas-crew`")
def try_(name: Name, home: HomeOption = None) -> None:
    """Send a test message to an endpoint, whatever its filters and quiet hours."""
    with find(home).connection() as connection:
        message_id = endpoints.send_test(connection, name, datetime.now(UTC))
    say(f"{message_id} is on its way; `lifeline endpoints list` counts it")


@app.command(epilog="Examples: `lifeline endpoints replay gas-crew --hours 24 --failed`, `... --message msg_...`")
def replay(
    name: Name,
    message: Annotated[str | None, typer.Option(help="This message alone.")] = None,
    hours: Annotated[float, typer.Option(min=0, help="What was written in the last hours.")] = 24,
    failed: Annotated[bool, typer.Option("--failed", help="Only what has failed.")] = False,
    home: HomeOption = None,
) -> None:
    """Send messages again, under the ids that they had."""
    now = datetime.now(UTC)
    with find(home).connection() as connection:
        since = now - timedelta(hours=hours)
        count = endpoints.replay(connection, name, now, message_id=message, since=since, failed_only=failed)
    say(f"{count} sent again")


@app.command(epilog="Example: `lifeline endpoints escalate chief --after 300 --level red --network gas`")
def escalate(
    name: Name,
    after: Annotated[int, typer.Option(min=1, help="Seconds without an acknowledgement.")],
    level: Annotated[LevelName, typer.Option(help="Alerts of this level and every worse one.")] = LevelName("red"),
    network: Annotated[str | None, typer.Option(help="Only of this network.")] = None,
    team: Annotated[str | None, typer.Option(help="Only while this team has the alert.")] = None,
    home: HomeOption = None,
) -> None:
    """Tell an endpoint of alerts that nobody acknowledges: a stage of the escalation chain."""
    with find(home).connection() as connection:
        stage = endpoints.escalate(
            connection, name, datetime.now(UTC), level=Level.from_slug(level), after_s=after, network=network, team=team
        )
    say(f"stage {stage}")


@app.command(epilog="Examples: `lifeline endpoints escalations`, `lifeline endpoints escalations --drop 3`")
def escalations(
    drop: Annotated[int | None, typer.Option(help="Take this stage out.")] = None, home: HomeOption = None
) -> None:
    """List the stages of the escalation chains, or take one out."""
    with find(home).connection() as connection:
        if drop is not None:
            endpoints.drop_escalation(connection, drop)
        found = endpoints.escalations(connection)
    columns = table("stage", "endpoint", "levels", "after", "network", "team")
    for each in found:
        columns.add_row(
            f"{each.escalation_id}", each.endpoint, f"to {each.level.slug}", f"{each.after_s} s",
            each.network or "any", each.team or "any",
        )  # fmt: skip
    out.print(columns)


def _hours(text: str) -> tuple[time | None, time | None]:
    """``22:00-06:30`` as two wall clock times."""
    if not text:
        return None, None
    try:
        begin, end = (time.fromisoformat(part.strip()) for part in text.split("-"))
    except ValueError as error:
        raise ConfigurationError(f"{text!r} is no span of the day: write 22:00-06:30") from error
    return begin, end


def _is_private(host: str) -> bool:
    """Whether a host that is written as an address is not one of the Internet's; names are resolved on delivery."""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host == "localhost"
