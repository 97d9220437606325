"""Where the commands find the database and the broker: configured, or running on this machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from lifeline.cli.home import Home, Running, home_of, running_home
from lifeline.errors import ConfigurationError
from lifeline.settings import Settings, load_settings
from lifeline.storage.database import Connection, connect

HomeOption = Annotated[
    Path | None,
    typer.Option("--home", help="Data folder; default LIFELINE_HOME, else the user's own.", file_okay=False),
]


@dataclass(frozen=True, slots=True)
class Place:
    """The Lifeline that a command speaks to. ``running`` None: nothing runs on the home."""

    settings: Settings
    home: Home
    running: Running | None

    @property
    def dsn(self) -> str:
        """The owner's address of the database. Raises ConfigurationError where there is none."""
        configured = self.settings.database_url.get_secret_value()
        if configured:
            return configured
        if self.running is None:
            raise ConfigurationError(
                f"no database: nothing runs on {self.home.path}, and LIFELINE_DATABASE_URL is not set. "
                "`lifeline up` starts one, `lifeline demo` one with a simulated city"
            )
        return self.running.database_url

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection of the owner's, committed when the block ends well."""
        with connect(self.dsn) as connection:
            yield connection


def find(home: Path | None) -> Place:
    """What is configured, else what runs on the home, else the demo that runs below it."""
    settings = load_settings()
    chosen = home_of(settings, home)
    found = running_home(chosen) or chosen
    return Place(settings, found, found.running())
