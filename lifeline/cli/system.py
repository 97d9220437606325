"""The running system: database, broker and processes on one home, from the first start to the last stop."""

import os
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NoReturn

from lifeline.cli.children import Child, cut_log, end
from lifeline.cli.console import fractions, note
from lifeline.cli.home import Home, Running, write_private
from lifeline.embedded import Broker, Database
from lifeline.errors import LifelineError, ServiceError, StorageError
from lifeline.settings import PREFIX, Settings
from lifeline.storage import health
from lifeline.storage.database import connect
from lifeline.storage.migrations import migrate
from lifeline.storage.roles import ROLES, dsn_as, place_of

READY_S = 60.0
LOOK_S = 0.25
DEMO_CLEAR_S = 60
"""The demo's events last minutes: with the rules' own delays, made for hours, nobody would see one recover."""


class System:
    """Everything that `lifeline up` runs. Use in one thread: the main one."""

    def __init__(
        self, home: Home, settings: Settings, *, own_services: bool = False, durable_broker: bool = True
    ) -> None:
        self.home = home
        self.settings = settings
        self.database: Database | None = None
        self.broker: Broker | None = None
        self.children: list[Child] = []
        self.dsn = "" if own_services else settings.database_url.get_secret_value()
        self.mqtt = ("" if own_services else settings.mqtt_host, settings.mqtt_port)
        self.url = ""
        self._own_database = not self.dsn
        self._own_broker = not self.mqtt[0]
        self._durable_broker = durable_broker
        # Only the demo insists on services of its own: what it tells of is simulated, and must say so.
        self.chores: list[Callable[[], None]] = []
        """What else is looked after between two looks at the children; must be quick."""
        self._status = {f"{PREFIX}MESSAGE_STATUS": "Test"} if own_services else {}
        self._pace = {f"{PREFIX}ALERTS_CLEAR_S": str(DEMO_CLEAR_S)} if own_services else {}

    def start_services(self) -> None:
        """Database and broker, where none is configured: installed ones, else unpacked on the first start."""
        with fractions() as progress:
            if self._own_database:
                self.database = Database(self.home.path, progress=progress)
                self.database.start()
                self.dsn = self.database.dsn
            if self._own_broker:
                self.home.secret("mqtt/ingest")
                self.broker = Broker(
                    self.home.path, self.home.mqtt_users(), durable=self._durable_broker, progress=progress
                )
                self.broker.start()
                self.mqtt = (self.broker.host, self.broker.port)
        note(f"database  {place_of(self.dsn)}{'' if self.database else ' (configured)'}")
        note(f"broker    {self.mqtt[0]}:{self.mqtt[1]}{'' if self.broker else ' (configured)'}")

    def migrate(self) -> None:
        """Bring the schema to this version and give each process's role its password."""
        passwords = {role: self._password(role) for role in ROLES.values()}
        applied = migrate(self.dsn, passwords, retention_days=self.settings.retention_days)
        note(f"schema    {'applied ' + ', '.join(applied) if applied else 'up to date'}")

    def start_processes(self) -> None:
        """ingest, alerts, api and planning; returns when each has given a sign of life."""
        began = datetime.now(UTC)
        port = self._port("api", self.settings.api_port)
        host = self.settings.api_host
        self.url = f"http://{reachable(host)}:{port}/"
        self.start_ingest()
        self.start(
            "alerts", self._metrics("alerts") | self._connection("alerts") | self._links() | self._status | self._pace
        )
        api = {f"{PREFIX}API_PORT": str(port)} | self._connection("api") | self._links() | self._status
        self.start("api", api)
        self.start("planning", self._metrics("planning") | self._connection("planning"), module="lifeline.planning")
        self._wait_for({"ingest", "alerts", "planning"}, began)
        self.home.tell(
            Running(
                os.getpid(), self.dsn, *self.mqtt, self.database is not None, self.broker is not None, self.url
            )
        )  # fmt: skip
        note(f"processes ingest, alerts, api and planning run; logs in {self.home.logs}")

    def start_ingest(self) -> Child:
        """ingest alone."""
        return self.start("ingest", self._metrics("ingest") | self._connection("ingest") | self._mqtt())

    def start(self, name: str, own: dict[str, str], *arguments: str, once: bool = False, module: str = "") -> Child:
        """Start ``python -m module arguments`` (``module`` is the name unless told) and look after it from now on."""
        child = Child(name, [module or name, *arguments], own, self.home.logs / f"{name}.log", once)
        child.start()
        self.children.append(child)
        return child

    def simulator_environment(self) -> dict[str, str]:
        """How the simulators reach the broker: as the user that stands in for every device."""
        return {
            f"{PREFIX}MQTT_HOST": self.mqtt[0],
            f"{PREFIX}MQTT_PORT": str(self.mqtt[1]),
            f"{PREFIX}MQTT_USERNAME": "simulator",
            f"{PREFIX}MQTT_PASSWORD_FILE": str(self.home.secret("mqtt/simulator")),
        }

    def look_after(self) -> NoReturn:
        """Keep everything running until an exception, such as a signal's, ends it."""
        while True:
            time.sleep(LOOK_S)
            self.look()

    def look(self) -> None:
        """One look at everything: what has ended starts again when its wait is over."""
        for child in self.children:
            child.look_after()
            cut_log(child.log)
        for service in (self.database, self.broker):
            if service is not None:
                _start_again(service)
        for chore in self.chores:
            chore()

    def reload_users(self) -> None:
        """Take the devices' passwords into force that other commands have written."""
        if self.broker is not None:
            try:
                self.broker.reload(self.home.mqtt_users())
            except (LifelineError, OSError, ValueError) as error:  # a mistake in one file must not stop the city
                note(f"the broker keeps the passwords that it has: {error}")

    def stop(self) -> None:
        """Stop everything, sources before sinks: nothing is left, and nothing that was acknowledged is lost."""
        end([child for child in self.children if child.name == "simulators"], 5.0)
        end(self.children)
        for service in (self.broker, self.database):
            if service is not None:
                service.stop()

    def kill(self) -> None:
        """Stop everything now."""
        for child in self.children:
            child.kill()

    def _password(self, role: str) -> str:
        return self.home.secret(role).read_text(encoding="utf-8")

    def _connection(self, process: str) -> dict[str, str]:
        """The process's own log-in, in a file: an environment is easier to read than a private file."""
        role = ROLES[process]
        path = self.home.secrets / f"{process}.dsn"
        write_private(path, dsn_as(self.dsn, role, self._password(role)))
        return {f"{PREFIX}DATABASE_URL_FILE": str(path)}

    def _links(self) -> dict[str, str]:
        """The secret of field links: configured, or one of the home's own."""
        if configured := self.settings.link_secret.get_secret_value():
            path = self.home.secrets / "links.configured"
            write_private(path, configured)
        else:
            path = self.home.secret("links")
        return {f"{PREFIX}LINK_SECRET_FILE": str(path)}

    def _mqtt(self) -> dict[str, str]:
        place = {f"{PREFIX}MQTT_HOST": self.mqtt[0], f"{PREFIX}MQTT_PORT": str(self.mqtt[1])}
        if self.broker is not None:
            user = {
                f"{PREFIX}MQTT_USERNAME": "ingest",
                f"{PREFIX}MQTT_PASSWORD_FILE": str(self.home.secret("mqtt/ingest")),
            }
            # A snapshot forgets shared subscriptions: after a restart readings would go to nobody until ingest is back.
            alone = {f"{PREFIX}INGEST_SHARED": "false"} if self.broker.durability == "snapshot" else {}
            return place | user | alone
        names = ("MQTT_USERNAME", "MQTT_PASSWORD", "MQTT_PASSWORD_FILE")
        return place | {PREFIX + name: os.environ[PREFIX + name] for name in names if PREFIX + name in os.environ}

    def _metrics(self, process: str) -> dict[str, str]:
        name = f"{process}_metrics_port"
        port = self._port(name, getattr(self.settings, name))
        return {f"{PREFIX}{name.upper()}": str(port)}

    def _port(self, name: str, wanted: int) -> int:
        setting = name if name.endswith("_port") else f"{name}_port"
        port = self.home.port(name, wanted, insist=setting in self.settings.model_fields_set)
        if port != wanted:
            note(f"port      {wanted} is taken: {name.replace('_', ' ')} is on {port}")
        return port

    def wait_for_ingest(self, since: datetime) -> None:
        """Until ingest has subscribed: what is published before has nobody to keep it for. Raises ServiceError."""
        deadline = time.monotonic() + READY_S
        while not self._beating({"ingest"}, since):
            if time.monotonic() > deadline:
                raise ServiceError(f"ingest was not ready within {READY_S:.0f} s")
            time.sleep(0.1)

    def _wait_for(self, processes: set[str], began: datetime) -> None:
        deadline = time.monotonic() + READY_S
        while waiting := self._not_yet(processes, began):
            ended = next((child for child in self.children if child.name in waiting and not child.alive), None)
            if ended is not None or time.monotonic() > deadline:
                child = ended or next(child for child in self.children if child.name in waiting)
                what = "ended while it started" if ended else f"was not ready within {READY_S:.0f} s"
                raise ServiceError(f"{child.name} {what}; the end of {child.log}:\n{child.end_of_log()}")
            time.sleep(0.1)

    def _not_yet(self, processes: set[str], began: datetime) -> set[str]:
        missing = processes - self._beating(processes, began)
        return missing if _answers(self.url) else missing | {"api"}

    def _beating(self, processes: set[str], since: datetime) -> set[str]:
        with connect(self.dsn, application="lifeline up", autocommit=True) as connection:
            return {beat.process for beat in health.heartbeats(connection) if beat.at >= since} & processes


def _start_again(service: Database | Broker) -> None:
    """Both start only when they have ended. A service that cannot come up is tried again at the next look."""
    try:
        service.start()
    except (ServiceError, StorageError) as error:
        note(f"{type(service).__name__.lower()} does not start: {error}")


def reachable(host: str) -> str:
    """An address that a browser on this machine can open, where the API listens on all."""
    if host in ("0.0.0.0", "::", ""):  # noqa: S104 - compared, not bound
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host


def _answers(url: str) -> bool:
    """Whether something speaks HTTP there; what it says is for the page."""
    try:
        with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - our own address
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500
    except (OSError, ValueError):
        return False
