"""Writes the pages of docs/reference that the code itself can tell: settings, commands, metrics, scenarios.

`make reference` runs it; a test in tests/architecture compares, so that a page cannot fall behind.
"""

import importlib
import json
from collections.abc import Callable, Iterator
from enum import EnumType
from pathlib import Path
from typing import Any, get_args

import typer
from prometheus_client import REGISTRY, CollectorRegistry
from pydantic import SecretStr
from pydantic_core import PydanticUndefined

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "reference"
NOTE = "<!-- Written by scripts/reference.py: `make reference`. Change the code, not this page. -->"


def settings_page() -> str:
    """Every setting with its variable, default and meaning."""
    from lifeline.settings import PREFIX, Settings

    lines = [
        "# Settings",
        NOTE,
        "",
        "From the environment. Each may also be given as a file: `LIFELINE_<NAME>_FILE` names it, and its content is",
        "the value. Secrets are marked; give those by file. A wrong setting ends the process with a line about it.",
        "",
        "| variable | default | meaning |",
        "| --- | --- | --- |",
    ]
    for name, field in Settings.model_fields.items():
        meaning = field.description or ""
        if field.annotation is SecretStr:
            meaning = f"Secret. {meaning}"
        lines.append(f"| `{PREFIX}{name.upper()}` | {_default(field.default)} | {_cell(meaning)} |")
    lines += ["", *_EMBEDDED, ""]
    return "\n".join(lines)


_EMBEDDED = (
    "Not a setting of the processes: `LIFELINE_CACHE` is the folder into which `lifeline up` unpacks PostgreSQL and",
    "Mosquitto (default `/var/cache/lifeline` as root, else `~/.cache/lifeline`).",
)


def _default(value: object) -> str:
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if value is PydanticUndefined:
        return "needed"
    if value is None or value == "":
        return "empty"
    return f"`{value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}`"


def cli_page() -> str:
    """Every command with its arguments, options and an example."""
    from lifeline.cli import app

    lines = [
        "# The command `lifeline`",
        NOTE,
        "",
        "Exit status: 0 done; 1 it could not be done, or what was asked about is not well: standard error says why in",
        "one line; 2 wrong usage. Results go to standard output, everything else to standard error.",
        "",
        "A command finds its database in this order: `LIFELINE_DATABASE_URL`; the Lifeline that runs on the home",
        "(`--home`, `LIFELINE_HOME`, `/var/lib/lifeline` as root, else `~/.local/share/lifeline`); the demo below it.",
        "",
    ]
    for path, command in leaves(typer.main.get_command(app), "lifeline"):
        lines += [f"## `{path}`", "", " ".join((command.help or "").split()), ""]
        rows = [_parameter(parameter) for parameter in command.params if parameter.name != "help"]
        if rows:
            lines += ["| argument or option | meaning |", "| --- | --- |", *rows, ""]
        lines += [(command.epilog or "").strip(), ""]
    return "\n".join(lines).rstrip() + "\n"


def leaves(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """(path, command) of every command that does something, in the order of `--help`."""
    for name in getattr(command, "commands", {}):
        yield from leaves(command.commands[name], f"{path} {name}")
    if not hasattr(command, "commands"):
        yield path, command


def _parameter(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        name = str(parameter.name).upper() + ("..." if parameter.nargs == -1 else "")
    else:
        name = ", ".join(parameter.opts)
    meaning = _cell(getattr(parameter, "help", None) or "")
    if choices := _choices(parameter.type_descriptor.annotation):
        meaning += f" One of {', '.join(f'`{choice}`' for choice in choices)}."
    if isinstance(parameter.default, str | int | float) and not isinstance(parameter.default, bool):
        meaning += f" Default `{getattr(parameter.default, 'value', parameter.default)}`."
    return f"| `{name}` | {meaning} |"


def _choices(annotation: Any) -> list[str]:
    """The values of an enumeration, or of a list of them."""
    kinds = (annotation, *get_args(annotation))
    return [str(member.value) for kind in kinds if isinstance(kind, EnumType) for member in kind]


def metrics_page() -> str:
    """Every metric of every process."""
    lines = [
        "# Metrics",
        NOTE,
        "",
        "Prometheus text format. ingest serves them on `LIFELINE_INGEST_METRICS_PORT`, alerts on",
        "`LIFELINE_ALERTS_METRICS_PORT`, planning on `LIFELINE_PLANNING_METRICS_PORT`, api on its own port. Each",
        "process has `python_` and `process_` metrics too.",
        "",
    ]
    for process, registry in registries().items():
        lines += [f"## {process}", "", "| metric | type | labels | meaning |", "| --- | --- | --- | --- |"]
        rows = sorted(_metrics(registry, process))
        lines += [f"| `{name}` | {kind} | {labels} | {_cell(text)} |" for name, kind, labels, text in rows]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def registries() -> dict[str, CollectorRegistry]:
    """Where each process registers its metrics. Importing a process's metrics is what registers them."""
    for process in ("alerts", "api", "lifeline.planning"):
        importlib.import_module(f"{process}.metrics")
    from ingest.metrics import Metrics

    return {"ingest": Metrics().registry, "alerts": REGISTRY, "api": REGISTRY, "planning": REGISTRY}


def _metrics(registry: CollectorRegistry, process: str) -> Iterator[tuple[str, str, str, str]]:
    for collector in list(registry._collector_to_names):
        for family in collector.collect():
            if family.name.startswith(f"lifeline_{process}_"):
                name = family.name + ("_total" if family.type == "counter" else "")
                labels = ", ".join(getattr(collector, "_labelnames", ()))
                yield name, family.type, labels, family.documentation


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def scenarios_page() -> str:
    """Every kind of event and every shipped scenario, from their own files."""
    from simulators.handbook import scenarios_page as written

    return written(NOTE)


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "cli.md": cli_page,
    "metrics.md": metrics_page,
    "scenarios.md": scenarios_page,
}

if __name__ == "__main__":
    for page, write in PAGES.items():
        (FOLDER / page).write_text(write(), encoding="utf-8")
