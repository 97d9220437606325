"""docs/reference is in step with the code."""

import importlib.util
import re
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer

from lifeline import wire
from lifeline.cli import app as command_line
from lifeline.inventory import ASSET_PROPERTIES, SENSOR_COLUMNS
from lifeline.settings import PREFIX, Settings, load_settings

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"


def page(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "scripts" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def commands(command: Any, path: str) -> Iterator[str]:
    below = getattr(command, "commands", {})
    for name in below:
        yield from commands(below[name], f"{path} {name}")
    if not below:
        yield path


@pytest.mark.parametrize("name", ["settings.md", "cli.md", "metrics.md", "scenarios.md"])
def test_the_generated_page_is_what_the_code_tells(name: str) -> None:
    assert page(name) == generator().PAGES[name](), "run `make reference`"


def test_every_setting_is_described() -> None:
    missing = [name for name in Settings.model_fields if f"`{PREFIX}{name.upper()}`" not in page("settings.md")]
    assert not missing
    assert all(field.description for field in Settings.model_fields.values())


def test_every_command_is_described() -> None:
    found = list(commands(typer.main.get_command(command_line), "lifeline"))
    assert len(found) > 15
    assert [path for path in found if f"## `{path}`" not in page("cli.md")] == []


def test_every_command_has_an_example() -> None:
    for path, command in generator().leaves(typer.main.get_command(command_line), "lifeline"):
        assert path in (command.epilog or ""), path


def test_every_metric_that_the_source_names_is_described() -> None:
    names = set()
    for process in ("ingest", "alerts", "api", "simulators", "lifeline/planning"):
        for source in (ROOT / process).glob("**/*.py"):
            names |= set(re.findall(r'"(lifeline_[a-z0-9_]+)"', source.read_text(encoding="utf-8")))
    names -= {
        "lifeline_changed",
        "lifeline_session",
        "lifeline_ingest",
        "lifeline_alerts",
        "lifeline_api",
        "lifeline_planning",
    }
    assert {name for name in names if name.removesuffix("_total") not in page("metrics.md")} == set()


def test_every_topic_of_the_contract_is_described() -> None:
    text = page("wire.md")
    for topic in (wire.readings_topic("{network}", "{device}"), wire.status_topic("{network}", "{device}")):
        assert topic in text
    for topic_filter in (wire.READINGS_FILTER, wire.STATUS_FILTER):
        assert topic_filter in text
    assert wire.shared(wire.READINGS_FILTER) in text


def test_every_route_is_described() -> None:
    from api.application import create_app

    settings = load_settings(database_url="postgresql://nobody@localhost:1/none")
    _, application = create_app(settings, lambda: datetime.now(UTC))
    routes = {route.path for route in _all_routes(application) if not route.path.endswith("{path:path}")}
    assert routes
    assert {path for path in routes if path not in page("api.md")} == set()


def _all_routes(application: Any) -> Iterator[Any]:
    for route in application.routes:
        if hasattr(route, "path"):
            yield route
        for inner in getattr(getattr(route, "router", None) or getattr(route, "original_router", None), "routes", ()):
            if hasattr(inner, "path"):
                yield inner


def test_every_rule_and_every_detector_is_described() -> None:
    text = page("rules.md")
    rules = tomllib.loads((ROOT / "alerts" / "rules.toml").read_text(encoding="utf-8"))["rule"]
    wanted = {rule["id"] for rule in rules} | {rule["detector"] for rule in rules}
    assert {name for name in wanted if f"`{name}`" not in text} == set()


def test_every_table_is_described_and_every_table_described_exists() -> None:
    folder = ROOT / "lifeline" / "storage" / "migrations"
    text = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.sql"))
    tables = set(re.findall(r"^CREATE TABLE (\w+)", text, re.MULTILINE)) | {"schema_migration"}
    assert set(re.findall(r"^\| `(\w+)` \|", page("schema.md"), re.MULTILINE)) == tables


def test_every_property_and_column_of_the_inventory_files_is_described() -> None:
    text = page("inventory.md")
    assert {name for name in {*ASSET_PROPERTIES, *SENSOR_COLUMNS} if f"`{name}`" not in text} == set()
