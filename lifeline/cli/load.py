"""`lifeline load`: drives readings through a system of its own and proves that every one of them is there once."""

import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from lifeline.cli.children import Child
from lifeline.cli.console import count_of, note, out, say, table
from lifeline.cli.home import Home
from lifeline.cli.system import System
from lifeline.embedded import Broker, Database
from lifeline.errors import ServiceError, StorageError
from lifeline.loading.drive import Drive
from lifeline.loading.packets import NETWORK, QUANTITY, Packets, channel_name, device_name
from lifeline.loading.profile import Profile
from lifeline.loading.publisher import Publisher
from lifeline.settings import load_settings
from lifeline.storage import loading
from lifeline.storage.database import Connection, connect, open_connection, storage_errors

LOOK_S = 0.05
ASK_S = 0.25
"""Between two questions whether all has arrived: each costs the database what a reading is waiting for."""
SETTLE_S = 300.0
"""How long what the broker has accepted may take into the database after the last message."""
Fault = Callable[[System], str]
"""What is done to a running system under load; tells it."""


def register(app: typer.Typer) -> None:
    example = "lifeline load --sensors 100000 --per-message 5 --rate 50000 --seconds 60 --kill-broker --kill-database"
    fast = "lifeline load --sensors 100000 --per-message 1 --rate 83000 --snapshots --restart-broker --kill-database"
    app.command("load", epilog=f"Examples: `lifeline load`, `{example}`, `{fast}`")(load)


@dataclass(slots=True)
class Work:
    """What the services have worked so far, over restarts: seconds of CPU."""

    cpu_s: dict[str, float] = field(default_factory=dict)
    _last: dict[tuple[str, int], float] = field(default_factory=dict)

    def look(self, system: System, ingest: Child) -> None:
        pids = {"ingest": ingest.pid}
        for name, service in (("broker", system.broker), ("database", system.database)):
            pids[name] = _pid(service)
        for name, pid in pids.items():
            if pid is not None and (spent := cpu_of(pid, whole_family=name == "database")) is not None:
                self._last[name, pid] = max(spent, self._last.get((name, pid), 0.0))
        self.cpu_s = {name: sum(s for (own, _), s in self._last.items() if own == name) for name in pids}


class Ages:
    """How old the newest reading of the first device is when it can be asked for: an upper bound of the delay when the
    device speaks rarely. Over one connection: to open one costs the database more than many questions."""

    def __init__(self, dsn: str) -> None:
        self.seconds: list[float] = []
        self._dsn = dsn
        self._connection: Connection | None = None

    def look(self, now: Callable[[], datetime]) -> None:
        """Ask once; nothing is noted while the database is away, and the next look connects anew."""
        try:
            if self._connection is None:
                with storage_errors():
                    self._connection = open_connection(self._dsn, application="lifeline load", autocommit=True)
            at = loading.newest(self._connection, device_name(0))
        except StorageError:
            self.close()
            return
        if at is not None:
            self.seconds.append((now() - at).total_seconds())

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Found(NamedTuple):
    """What came of it."""

    messages: int
    readings: int
    stored: int
    thousandths_sent: int
    thousandths_stored: int
    books: loading.Books
    offered_s: float
    settled_s: float
    delays_s: list[float]
    interruptions: list[str]

    @property
    def whole(self) -> bool:
        """Every reading is there once, with its value, and the books say the same."""
        return (
            self.stored == self.readings
            and self.thousandths_stored == self.thousandths_sent
            and self.books.stored == self.stored
            and self.books.received == self.books.stored + self.books.duplicate + self.books.quarantined
            and self.books.quarantined == 0
        )


def load(
    sensors: Annotated[int, typer.Option(min=1, max=2_000_000, help="How many sensors.")] = 10_000,
    per_message: Annotated[int, typer.Option(min=1, max=200, help="Sensors of a device: readings in a message.")] = 5,
    rate: Annotated[float, typer.Option(min=0, help="Readings a second; 0 is as fast as it goes.")] = 20_000,
    seconds: Annotated[float, typer.Option(min=1, help="For how long.")] = 30,
    ramp: Annotated[float, typer.Option(min=0, help="Seconds in which the rate grows from nothing.")] = 0,
    outage: Annotated[float, typer.Option(min=0, help="Seconds in the middle without a word; then all at once.")] = 0,
    kill_broker: Annotated[bool, typer.Option("--kill-broker", help="Kill and restart it after a third.")] = False,
    kill_database: Annotated[
        bool, typer.Option("--kill-database", help="Kill and restart it after two thirds.")
    ] = False,
    restart_broker: Annotated[
        bool, typer.Option("--restart-broker", help="Stop it in order and start it again after a third.")
    ] = False,
    snapshots: Annotated[
        bool, typer.Option("--snapshots", help="A broker that writes snapshots: faster, and not safe from a kill.")
    ] = False,
) -> None:
    """Load a database, a broker and an ingest of its own, in a temporary folder, and check what arrived.

    Nothing of a real city is touched, whatever is configured. Exit status 1: a reading is missing, doubled or changed.
    """
    if outage >= seconds or ramp > seconds:
        raise typer.BadParameter("--outage and --ramp must fit into --seconds")
    if snapshots and kill_broker:
        raise typer.BadParameter("a kill takes what came since the last of the --snapshots: use --restart-broker")
    folder = Path(tempfile.mkdtemp(prefix="lifeline-load-"))
    home = Home(folder)
    home.make()
    home.secret("mqtt/simulator")
    system = System(home, load_settings(), own_services=True, durable_broker=not snapshots)
    profile = Profile(rate / per_message, seconds, ramp, outage)
    try:
        system.start_services()
        system.migrate()
        packets = Packets(max(1, sensors // per_message), per_message)
        with connect(system.dsn) as connection:
            names = [device_name(n) for n in range(packets.devices)]
            loading.add(connection, NETWORK, QUANTITY, names, [channel_name(n) for n in range(per_message)])
        began = datetime.now(UTC)
        ingest = system.start_ingest()
        system.wait_for_ingest(began)
        found, work = _drive(
            system, ingest, packets, profile, faults(profile, kill_broker, restart_broker, kill_database)
        )
    finally:
        system.stop()
        shutil.rmtree(folder, ignore_errors=True)
    _show(found, work, packets)
    if not found.whole:
        raise ServiceError("not every reading is there once: see the table above")


def _drive(
    system: System, ingest: Child, packets: Packets, profile: Profile, coming: list[tuple[float, Fault]]
) -> tuple[Found, Work]:
    password = system.home.secret("mqtt/simulator").read_text(encoding="utf-8").strip()
    publisher = Publisher(*system.mqtt, "simulator", password)
    drive, work, ages = Drive(packets, publisher, profile), Work(), Ages(system.dsn)
    interruptions = list[str]()
    drive.start()
    began = time.monotonic()
    with count_of("seconds", round(profile.seconds)) as tick:
        shown = 0
        while drive.is_alive():
            since = time.monotonic() - began
            if coming and since >= coming[0][0]:
                interruptions.append(_interrupt(coming.pop(0)[1], system, since))
            ingest.look_after()
            work.look(system, ingest)
            ages.look(lambda: datetime.now(UTC))
            tick(min(int(since), round(profile.seconds)) - shown)
            shown = min(int(since), round(profile.seconds))
            drive.join(LOOK_S)
            if since > profile.seconds + SETTLE_S:
                drive.give_up.set()
    ages.close()
    if drive.failure:
        raise drive.failure
    found = _settle(system, ingest, packets, drive, ages.seconds, interruptions, work)
    work.cpu_s["publisher"] = drive.cpu_s
    return found, work


def faults(profile: Profile, kill_broker: bool, restart_broker: bool, kill_database: bool) -> list[tuple[float, Fault]]:
    """What happens to the services, and when (seconds after the beginning), in order."""
    found: list[tuple[float, Fault]] = []
    if kill_broker:
        found.append((profile.seconds / 3, lambda system: _kill(system.broker)))
    if restart_broker:
        found.append((profile.seconds / 3, lambda system: _restart(system.broker)))
    if kill_database:
        found.append((profile.seconds * 2 / 3, lambda system: _kill(system.database)))
    return found


def _interrupt(fault: Fault, system: System, since: float) -> str:
    """Do it, and say what was done, when, and for how long the service was away."""
    began = time.monotonic()
    done = fault(system)
    told = f"{done} after {since:.1f} s, back {time.monotonic() - began:.1f} s later"
    note(told)
    return told


def _kill(service: Broker | Database | None) -> str:
    if service is not None:
        service.kill()
        service.start()
    return f"{type(service).__name__.lower()} killed (SIGKILL)"


def _restart(service: Broker | Database | None) -> str:
    if service is not None:
        service.stop()
        service.start()
    return f"{type(service).__name__.lower()} stopped in order"


def _settle(
    system: System, ingest: Child, packets: Packets, drive: Drive, delays: list[float], told: list[str], work: Work
) -> Found:
    """Wait until everything has arrived, or nothing more does."""
    sent, deadline = packets.messages * packets.channels, time.monotonic() + SETTLE_S
    while True:
        ingest.look_after()
        work.look(system, ingest)
        try:
            with connect(system.dsn, application="lifeline load") as connection:
                books = loading.books(connection)
                if books.stored >= sent or time.monotonic() > deadline:
                    count, total = loading.stored(connection)
                    break
        except StorageError as error:
            if time.monotonic() > deadline:
                raise ServiceError("the database did not come back") from error
        time.sleep(ASK_S)
    settled = time.monotonic() - drive.began
    return Found(
        packets.messages, sent, count, packets.thousandths, total, books, drive.offered_s, settled, delays, told
    )


def _show(found: Found, work: Work, packets: Packets) -> None:
    rows = table("measure", "value")
    rate, offered = found.readings / max(found.settled_s, 1e-9), found.messages / max(found.offered_s, 1e-9)
    rows.add_row("sensors", f"{packets.devices * packets.channels:,} on {packets.devices:,} devices")
    rows.add_row("sent", f"{found.readings:,} readings in {found.messages:,} messages of {packets.size} bytes")
    rows.add_row("offered for", f"{found.offered_s:.1f} s, {offered:,.0f} messages/s, to the broker")
    for told in found.interruptions:
        rows.add_row("interrupted", told)
    rows.add_row("all in the database", f"after {found.settled_s:.1f} s")
    rows.add_row("rate", f"{rate:,.0f} readings/s, {rate / packets.channels:,.0f} messages/s, to the database")
    if found.delays_s:
        ages = sorted(found.delays_s)
        half, most = ages[len(ages) // 2], ages[min(len(ages) - 1, int(0.99 * len(ages)))]
        rows.add_row("age of the newest reading of one device", f"half under {half:.2f} s, 99 % under {most:.2f} s")
    rows.add_row("stored", f"{found.stored:,} ({found.stored - found.readings:+,})")
    rows.add_row("sum of values", "as sent" if found.thousandths_stored == found.thousandths_sent else "CHANGED")
    books = found.books
    rows.add_row(
        "books", f"received {books.received:,} = stored {books.stored:,} + twice {books.duplicate:,} + "
        f"quarantined {books.quarantined:,}",
    )  # fmt: skip
    whole = max(sum(work.cpu_s.values()), 1e-9)
    for name, spent in sorted(work.cpu_s.items(), key=lambda item: -item[1]):
        rows.add_row(
            f"CPU of {name}",
            f"{spent:.1f} s ({spent / whole:.0%}), {1e6 * spent / max(found.readings, 1):.2f} us a reading",
        )
    out.print(rows)
    if found.whole:
        say("every reading is there, once")


def _pid(service: Broker | Database | None) -> int | None:
    try:
        return None if service is None else service.pid
    except (ServiceError, OSError, AttributeError):
        return None


def cpu_of(pid: int, *, whole_family: bool = False) -> float | None:
    """Seconds of CPU of a process so far, with those of its children where the ``whole_family`` counts; None: gone."""
    spent = _stat(pid)
    if spent is None or not whole_family:
        return spent and spent[0]
    total = spent[0] + spent[1]  # its own, and of children that have ended
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (child := _stat(int(entry.name))) is not None and child[2] == pid:
            total += child[0]
    return total


def _stat(pid: int) -> tuple[float, float, int] | None:
    """(own seconds, those of children that have ended, parent)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None
    return (int(fields[11]) + int(fields[12])) / 100, (int(fields[13]) + int(fields[14])) / 100, int(fields[1])
