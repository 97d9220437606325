"""`lifeline migrate`."""

from pathlib import Path
from typing import Annotated

import typer

from lifeline.cli.address import HomeOption, find
from lifeline.cli.console import say
from lifeline.errors import ConfigurationError
from lifeline.settings import load_settings
from lifeline.storage import migrations
from lifeline.storage.database import connect
from lifeline.storage.roles import READERS, ROLES


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: `lifeline migrate --role-passwords /run/secrets`")(migrate)


def migrate(
    home: HomeOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would be applied, and change nothing.")] = False,
    role_passwords: Annotated[
        Path | None,
        typer.Option(
            help="Folder with a file for each role (lifeline_ingest, _alerts, _api, _planning): its password.",
            exists=True,
            file_okay=False,
        ),
    ] = None,
) -> None:
    """Bring the database's schema to this version. Safe to run at any time, and from several machines at once.

    LIFELINE_DATABASE_URL must be the owner's log-in. `lifeline up` does this by itself.
    """
    dsn = find(home).dsn
    if dry_run:
        with connect(dsn) as connection:
            waiting = [migration.name for migration in migrations.pending(connection)]
    else:
        passwords = _passwords(role_passwords) if role_passwords else None
        waiting = migrations.migrate(dsn, passwords, retention_days=load_settings().retention_days)
    for name in waiting:
        say(f"{'would apply' if dry_run else 'applied'} {name}")
    if not waiting:
        say("the schema is up to date")


def _passwords(folder: Path) -> dict[str, str]:
    readers = [role for role in READERS if (folder / role).exists()]
    found = {role: _password(folder / role) for role in [*ROLES.values(), *readers]}
    empty = [role for role, password in found.items() if not password]
    if empty:
        raise ConfigurationError(f"{folder}: the password of {', '.join(empty)} is empty")
    return found


def _password(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: is not UTF-8") from error
