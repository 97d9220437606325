"""`lifeline check`: one line for each thing that Lifeline stands on."""

import secrets
import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import paho.mqtt.client as mqtt
import typer
from paho.mqtt.enums import CallbackAPIVersion

from lifeline.cli.address import HomeOption, Place, find
from lifeline.cli.console import say
from lifeline.errors import LifelineError
from lifeline.storage import health, migrations
from lifeline.storage.database import Connection, connect, storage_errors
from lifeline.storage.roles import place_of

CLOCK_S = 2.0
"""How far the machine's clock and the database's may be apart: a reading's age is told by both."""
FREE_BYTES = 1_000_000_000
CONNECT_S = 5.0


class CheckError(LifelineError):
    """A check that failed; the message is its line."""


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: `lifeline check && echo all well`")(check)


def check(home: HomeOption = None) -> None:
    """Check broker, database, edition, migrations, clock and disk: one line each. Status 1 where one fails."""
    place = find(home)
    results = [_result("broker", lambda: _broker(place)), *_on_database(place), _result("disk", lambda: _disk(place))]
    if not all(results):
        raise typer.Exit(1)


def _result(what: str, ask: Callable[[], str]) -> bool:
    try:
        answer, well = ask(), True
    except (LifelineError, OSError) as error:
        answer, well = " ".join(str(error).split()), False
    say(f"{'ok  ' if well else 'FAIL'} {what:<11}{answer}")
    return well


def _on_database(place: Place) -> Iterator[bool]:
    """The checks that need the database; where it is away, each of them says so."""
    questions: dict[str, Callable[[Connection], str]] = {
        "database": lambda connection: _database(place, connection),
        "edition": _edition,
        "migrations": _migrations,
        "clock": _clock,
    }
    for what, question in questions.items():
        yield _result(what, lambda question=question: _asked(place, question))  # type: ignore[misc]


def _asked(place: Place, question: Callable[[Connection], str]) -> str:
    with connect(place.dsn, application="lifeline check", autocommit=True) as connection, storage_errors():
        return question(connection)


def _database(place: Place, connection: Connection) -> str:
    size = sum(health.disk_usage(connection).values()) if migrations.applied(connection) else 0
    version = connection.info.server_version
    return f"{place_of(place.dsn)}, PostgreSQL {version // 10_000}.{version % 10_000}, tables {size / 1e6:.0f} MB"


def _edition(connection: Connection) -> str:
    if migrations.edition(connection) == "apache":
        return "TimescaleDB, Apache edition: old chunks are dropped by `alerts`, nothing is compressed"
    return "TimescaleDB, community edition: compression and retention are the database's own"


def _migrations(connection: Connection) -> str:
    waiting = [migration.name for migration in migrations.pending(connection)]
    if waiting:
        raise CheckError(f"{', '.join(waiting)} not applied: `lifeline migrate`")
    return f"{len(migrations.applied(connection))} applied, none waiting"


def _clock(connection: Connection) -> str:
    before = datetime.now(UTC)
    database = health.database_clock(connection)
    middle = before + (datetime.now(UTC) - before) / 2
    apart = (database - middle).total_seconds()
    if abs(apart) > CLOCK_S:
        raise CheckError(f"the database's clock is {apart:+.1f} s off this machine's: set both by NTP")
    return f"the database's is {apart * 1000:+.0f} ms off this machine's"


def _disk(place: Place) -> str:
    path = _existing(place.home.path)
    usage = shutil.disk_usage(path)
    line = f"{path}: {usage.free / 1e9:.1f} GB of {usage.total / 1e9:.1f} GB free"
    if usage.free < FREE_BYTES:
        raise CheckError(f"{line}; less than {FREE_BYTES / 1e9:.0f} GB")
    return line


def _existing(path: Path) -> Path:
    return next(each for each in (path, *path.parents) if each.exists())


def _broker(place: Place) -> str:
    host, port, user, password = _broker_login(place)
    answered = threading.Event()
    said: list[str] = []
    client = mqtt.Client(
        CallbackAPIVersion.VERSION2, client_id=f"lifeline-check-{secrets.token_hex(4)}", protocol=mqtt.MQTTv5
    )

    def on_connect(*arguments: object) -> None:
        said.append(str(arguments[3]))
        answered.set()

    client.on_connect = on_connect
    if user:
        client.username_pw_set(user, password)
    if place.settings.mqtt_ca_file is not None:
        client.tls_set(str(place.settings.mqtt_ca_file))
    client.connect_timeout = CONNECT_S
    try:
        client.connect(host, port)
    except (OSError, UnicodeError) as error:  # UnicodeError: the host is no name
        reason = getattr(error, "strerror", None) or error
        raise CheckError(f"{host}:{port} does not answer: {reason}") from error
    client.loop_start()
    try:
        if not answered.wait(CONNECT_S):
            raise CheckError(f"{host}:{port} takes connections and does not answer MQTT")
    finally:
        client.disconnect()
        client.loop_stop()
    if said[0] != "Success":
        raise CheckError(f"{host}:{port} refuses the log-in of {user or 'nobody'}: {said[0]}")
    return f"{host}:{port} speaks MQTT 5 and takes the log-in of {user or 'nobody'}"


def _broker_login(place: Place) -> tuple[str, int, str, str]:
    settings = place.settings
    if settings.mqtt_host or place.running is None:
        host, port = settings.require_broker()
        return host, port, settings.mqtt_username, settings.mqtt_password.get_secret_value()
    user = "ingest" if place.running.own_broker else settings.mqtt_username
    password = place.home.mqtt_users().get(user, "")
    return place.running.mqtt_host, place.running.mqtt_port, user, password
