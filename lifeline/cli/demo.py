"""`lifeline demo`: the system with a simulated city."""

import hashlib
import subprocess
import sys
import webbrowser
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from lifeline.catalogue import load_catalogue
from lifeline.cli.address import HomeOption
from lifeline.cli.children import environment
from lifeline.cli.console import note, say
from lifeline.cli.home import Home, home_of, write_private
from lifeline.cli.inventory import import_files
from lifeline.cli.system import System
from lifeline.cli.up import run
from lifeline.cli.users import link_to
from lifeline.errors import ServiceError
from lifeline.model import Role
from lifeline.settings import load_settings
from lifeline.storage import keys, sessions, users
from lifeline.storage.database import Connection, connect
from lifeline.storage.inventory import newest

HISTORY_DAYS = 7.0


def register(app: typer.Typer) -> None:
    towns = "`lifeline demo --fresh --town net.inp`, `lifeline demo --fresh --districts 50`"
    examples = f"`lifeline demo --open`, `lifeline demo --fresh --seed 7`, {towns}"
    app.command(epilog=f"Examples: {examples}")(demo)


def demo(
    home: HomeOption = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed is another town; needs --fresh.")] = 1,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget the last demo and start over.")] = False,
    browser: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    town: Annotated[
        Path | None,
        typer.Option(help="An EPANET file (.inp) as the town; another than the last needs --fresh.", dir_okay=False),
    ] = None,
    districts: Annotated[
        int, typer.Option(min=1, max=200, help="Of 100 sensors each; events come in the first. 50: a real-sized town.")
    ] = 1,
    habits: Annotated[
        str, typer.Option(help="How devices behave: `rough` (SenML, duplicates, drift ...), or a .toml file.")
    ] = "",
) -> None:
    """Run a simulated city with everything that can go wrong in it, until Ctrl-C.

    Keeps to a home of its own (`demo` below the home) and to a database and a broker of its own, whatever is
    configured: simulated readings never reach a real city's tables.
    """
    settings = load_settings()
    chosen = home_of(settings, home).demo
    if fresh:
        with chosen.claimed():
            chosen.remove()
    chosen.make()
    chosen.secret("mqtt/simulator")
    system = System(chosen, settings, own_services=True)
    run(system, lambda: Demo(system, seed, browser, habits, town, districts).begin())


@dataclass(frozen=True, slots=True)
class Demo:
    """What `lifeline demo` adds to a running system."""

    system: System
    seed: int
    browser: bool
    habits: str = ""
    model: Path | None = None
    districts: int = 1

    @property
    def truth(self) -> Path:
        """Where the simulators write what really happened, as JSON lines."""
        return self.system.home.path / "truth.jsonl"

    def begin(self) -> None:
        """Load the town, let the simulators run, and say where to look."""
        self._load_town()
        now = datetime.now(UTC)
        with connect(self.system.dsn) as connection:
            key = demo_key(self.system.home, connection, now)
            once = link_to(self.system.url, demo_link(connection, now))
            days = missing_days(newest(connection), now)
        self.system.start(
            "simulators", self.system.simulator_environment(),
            "run", "--seed", str(self.seed), "--history-days", f"{days:.4f}", "--scenario", "demo",
            "--truth", str(self.truth), *self._size(), *(["--habits", self.habits] if self.habits else []),
        )  # fmt: skip
        self._tell(key, once, days)

    def _load_town(self) -> None:
        """Make the town's files and import them; nothing is done where they are as they were."""
        town = self.system.home.path / "town"
        files = [town / "assets.geojson", town / "sensors.csv"]
        files += [town / "facilities.geojson"] if self.districts == 1 else []
        command = ["simulators", "inventory", "--out", str(town), "--seed", str(self.seed), *self._size()]
        made = subprocess.run(
            [sys.executable, "-P", "-m", *command], env=environment({}), capture_output=True, text=True, check=False
        )
        if made.returncode != 0:
            raise ServiceError(f"the town could not be made (scripts/setup simulators?):\n{made.stderr.strip()}")
        stamp, digest = town / "imported", hashlib.sha256(b"".join(map(Path.read_bytes, files))).hexdigest()
        if stamp.exists() and stamp.read_text() == digest:
            return
        with connect(self.system.dsn) as connection:
            done = import_files(connection, files, load_catalogue(self.system.settings.catalogue), datetime.now(UTC))
        stamp.write_text(digest)
        for line in done:
            note(f"town      {line}")

    def _size(self) -> list[str]:
        model = [] if self.model is None else ["--town", str(self.model.resolve())]
        return model + (["--districts", str(self.districts)] if self.districts > 1 else [])

    def _tell(self, key: str, once: str, days: float) -> None:
        link = f"{self.system.url}#key={key}"
        say(f"\npage      {link}")
        say(f"key       {key} (role operator)")
        say(f"once      {once} (logs in, once, within 15 minutes; then `lifeline users link demo`)")
        if days > 1:
            note(
                f"\nThe simulators now write {days:.0f} days of history, then go on live. Within two minutes the first"
            )
        else:
            note("\nThe simulators go on where they stopped. Within two minutes the first")
        note("alert appears on the page: gas leaks into a chamber, it pours, a main bursts, a gateway dies.")
        note(f"What really happens is written to {self.truth}")
        note("Ctrl-C stops everything; the data stays for the next start (--fresh forgets it)")
        if self.browser:
            webbrowser.open(once)


def missing_days(last: datetime | None, now: datetime) -> float:
    """Days of history that the simulators have to write so that there is no gap: all at first, then what is missing."""
    if last is None:
        return HISTORY_DAYS
    return min(HISTORY_DAYS, max(0.0, (now - last) / timedelta(days=1)))


def demo_link(connection: Connection, now: datetime) -> str:
    """The token of a link that logs in once, as the user `demo` (operator, without a password)."""
    if users.known(connection, "demo") is None:
        users.add(connection, "demo", Role.OPERATOR, now)
    token = sessions.make_link(connection, "demo", now)
    connection.commit()
    return token


def demo_key(home: Home, connection: Connection, now: datetime) -> str:
    """The demo's key, role operator; the last start's where it still holds."""
    path = home.secrets / "demo.key"
    if path.exists() and keys.authenticate(connection, text := path.read_text(encoding="utf-8"), now):
        return text
    taken = {key.name for key in keys.list_keys(connection)}
    name = "demo" if "demo" not in taken else f"demo-{now:%Y%m%dT%H%M%S}"
    text = keys.create(connection, name, Role.OPERATOR, now)
    connection.commit()
    write_private(path, text)
    return text
