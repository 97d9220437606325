"""The command `lifeline`. One module a noun; processes are started as children and never imported.

Exit status: 0 done; 1 it could not be done, and the one line on standard error says why; 2 wrong usage.
"""

import sys
from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from lifeline import __version__
from lifeline.cli.console import fail
from lifeline.errors import LifelineError

MODULES = {
    "up": "up",
    "down": "up",
    "demo": "demo",
    "migrate": "schema",
    "check": "checks",
    "import": "inventory",
    "export": "export",
    "status": "state",
    "performance": "performance",
    "backtest": "backtest",
    "plan": "plan",
    "effect": "effect",
    "score": "score",
    "load": "load",
    "replay": "replay",
    "criticality": "criticality",
    "calibrate": "calibrate",
    "assets": "assets",
    "sensors": "sensors",
    "zones": "zones",
    "facilities": "facilities",
    "keys": "keys",
    "users": "users",
    "endpoints": "endpoints",
    "maintenance": "maintenance",
    "rules": "rules",
    "drill": "drill",
    "stress": "stress",
}
"""The module of each command, in the order of `--help`. One has `register(app)`, or an `app` that is a group."""


class Commands(MutableMapping[str, Any]):
    """Commands by name. A module is imported when one of its commands is asked for: all of them together bring numpy,
    shapely and the broker's client along, most of a second that `lifeline status` has no use for."""

    def __init__(self) -> None:
        self._modules = dict(MODULES)
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = _command(name, import_module(f"{__name__}.{self._modules[name]}"))
        return self._made[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._modules.setdefault(name, name)
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        del self._modules[name]
        self._made.pop(name, None)

    def __contains__(self, name: object) -> bool:
        return name in self._modules

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)


def _command(name: str, module: Any) -> Any:
    both = typer.Typer(rich_markup_mode="markdown", context_settings=HELP)
    both.callback()(lambda: None)  # a group, also where the module has but one command
    if hasattr(module, "register"):
        module.register(both)
    else:
        both.add_typer(module.app, name=name)
    return typer.main.get_command(both).commands[name]  # type: ignore[attr-defined]


class Commanded(TyperGroup):
    """The command `lifeline` over all that MODULES names."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = Commands()


HELP = {"help_option_names": ["-h", "--help"]}
app = typer.Typer(
    name="lifeline",
    cls=Commanded,
    help="Watch over a city's gas, water and drainage: from MQTT readings to alerts and a risk map.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings=HELP,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lifeline {__version__}")
        raise typer.Exit


@app.callback(epilog="Settings come from the environment (LIFELINE_...): docs/reference/settings.md lists them.")
def _lifeline(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Watch over a city's gas, water and drainage: from MQTT readings to alerts and a risk map."""


def main() -> None:
    """Run the command; an expected error becomes one line and status 1."""
    try:
        app()
    except LifelineError as error:
        fail(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `lifeline sensors list | head`
        sys.stderr.close()
        sys.exit(1)
