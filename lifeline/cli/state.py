"""`lifeline status`."""

from collections.abc import Sequence
from datetime import UTC, datetime

import typer

from lifeline.cli.address import HomeOption, find
from lifeline.cli.console import out, say, table
from lifeline.cli.sensors import age
from lifeline.storage import health, inventory
from lifeline.storage.health import AlertCount, Books, Heartbeat

STALE_S = 30.0
"""A process writes its heartbeat every 5 s."""


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: `lifeline status`")(status)


def status(home: HomeOption = None) -> None:
    """Show processes, inventory, the books of ingest, open alerts and quarantine.

    Status 1 where a process is silent or the books do not agree with the tables.
    """
    place = find(home)
    now = datetime.now(UTC)
    with place.connection() as connection:
        beats = health.heartbeats(connection)
        books = health.books(connection)
        alerts = health.alert_counts(connection)
        reasons = health.quarantine_by_reason(connection)
        counts = inventory.counts(connection)
        newest = inventory.newest(connection)
    if place.running is not None:
        say(f"page      {place.running.url}")
    well = _processes(beats, now)
    columns = table("network", "assets", "devices", "sensors")
    for count in counts:
        columns.add_row(count.network, f"{count.assets}", f"{count.devices}", f"{count.sensors}")
    out.print(columns)
    say(f"data as of {newest:%Y-%m-%d %H:%M:%S} UTC ({age(newest, now)} ago)" if newest else "no reading yet")
    say("")
    well = _books(books) and well
    for reason, rows in reasons.items():
        say(f"  quarantine {reason}: {rows}")
    _alerts(alerts)
    if not well:
        raise typer.Exit(1)


def _processes(beats: Sequence[Heartbeat], now: datetime) -> bool:
    """Whether each process has an instance that beats; dead instances of a living process are of the past."""
    columns = table("process", "instance", "last sign", "")
    alive = {beat.process for beat in beats if (now - beat.at).total_seconds() <= STALE_S}
    for beat in beats:
        fresh = (now - beat.at).total_seconds() <= STALE_S
        if fresh or beat.process not in alive:
            columns.add_row(beat.process, beat.instance, f"{age(beat.at, now)} ago", "" if fresh else "SILENT")
    out.print(columns)
    if not beats:
        say("no process has run yet")
    return all(beat.process in alive for beat in beats)


def _books(books: Books) -> bool:
    told = books.accounts
    say(
        f"books: received {told.received} = stored {told.stored} + duplicate {told.duplicate} "
        f"+ quarantined {told.quarantined}"
    )
    for problem in books.problems:
        say(f"  WRONG: {problem}")
    if books.right:
        say(f"  they agree with the tables: {books.reading_rows} readings, {books.quarantine_rows} in quarantine")
    return books.right


def _alerts(alerts: Sequence[AlertCount]) -> None:
    if not alerts:
        say("no alert is open")
        return
    columns = table("open alerts", "level", "open", "not acknowledged")
    for count in alerts:
        columns.add_row(count.kind, count.level.slug, f"{count.open}", f"{count.unacknowledged}")
    out.print(columns)
