"""Files into the inventory: checked together, stored together in the caller's transaction, or not at all."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from psycopg.types.json import Jsonb

from lifeline.catalogue import Catalogue
from lifeline.errors import ImportRejectedError, Problem
from lifeline.exchange.files import Contents, ModelFile
from lifeline.exchange.writers import singular
from lifeline.inventory import Checked, Reference, check_assets, check_facilities, check_sensors, check_zones
from lifeline.model import Asset, Facility, Sensor, Zone
from lifeline.storage import facilities, inventory, zones
from lifeline.storage.database import Connection
from lifeline.storage.inventory import Stored
from lifeline.storage.queries import load

_SQL = load("inventory")

Bars = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Shows how many of a number of things are done; `lifeline.cli.console.count_of` is one."""


class Outcome(NamedTuple):
    """What became of the assets, sensors, zones or model of one file."""

    source: str
    what: str
    stored: Stored


@dataclass(slots=True)
class _File:
    """A file's contents, checked."""

    contents: Contents
    zones: Checked[Zone]
    assets: Checked[Asset]
    sensors: Checked[Sensor]
    facilities: Checked[Facility]

    @property
    def parts(self) -> tuple[Checked[Any], ...]:
        return self.zones, self.assets, self.sensors, self.facilities

    @property
    def problems(self) -> list[Problem]:
        """Every problem in the order of the lines, counted in the file's own unit."""
        found = [*self.contents.problems, *(problem for part in self.parts for problem in part.problems)]
        unit = self.contents.unit
        named = [p if p.unit != "line" else Problem(p.line, p.message, unit) for p in found]
        return sorted(dict.fromkeys(named), key=lambda problem: problem.line)


def import_contents(
    connection: Connection,
    contents: Sequence[Contents],
    catalogue: Catalogue,
    now: datetime,
    *,
    actor: str,
    bars: Bars | None = None,
) -> list[Outcome]:
    """Check everything, then store zones, assets, sensors and models; give what became of each file's part.

    Raises ImportRejectedError with every problem of every file, and nothing may be committed then.
    """
    outcomes = store_contents(connection, contents, catalogue, now, bars=bars)
    for outcome in outcomes:
        if outcome.stored.new or outcome.stored.changed:
            note(connection, now, actor, "imported", singular(outcome.what), None, _counts(outcome))
    return outcomes


def store_contents(
    connection: Connection,
    contents: Sequence[Contents],
    catalogue: Catalogue,
    now: datetime,
    *,
    bars: Bars | None = None,
) -> list[Outcome]:
    """The same, and no line of history: for who writes a better one."""
    files = [_check(each, catalogue) for each in contents]
    connection.execute(_SQL["inventory_lock"])
    _check_references(connection, files)
    reject(files)
    return [*_store(connection, files, now, bars or _quiet)]


def _quiet(what: str, total: int) -> AbstractContextManager[Callable[[int], None]]:  # noqa: ARG001 - the shape of Bars
    return nullcontext(lambda more: None)  # noqa: ARG005


def _counts(outcome: Outcome) -> dict[str, object]:
    return {"file": outcome.source, "new": outcome.stored.new, "changed": outcome.stored.changed}


def note(
    connection: Connection,
    at: datetime,
    actor: str,
    action: str,
    what: str,
    external_id: str | None,
    detail: dict[str, Any],
) -> None:
    """Write a line of the inventory's history, in the caller's transaction."""
    values = {"at": at, "actor": actor, "action": action, "what": what, "external_id": external_id}
    connection.execute(_SQL["note_change"], {**values, "detail": Jsonb(detail)})


def _check(contents: Contents, catalogue: Catalogue) -> _File:
    source = contents.source
    return _File(
        contents,
        check_zones(contents.zones, catalogue, source),
        check_assets(contents.assets, catalogue, source),
        check_sensors(contents.sensors, catalogue, source),
        check_facilities(contents.facilities, catalogue, source),
    )


_MISSING = {
    ("from", "asset"): "from {!r} is neither in this import nor in the database",
    ("to", "asset"): "to {!r} is neither in this import nor in the database",
    ("asset", "asset"): "asset {!r} is not in the database: import the assets first or with it",
    ("zone", "zone"): "zone {!r} is not in the database: import the zones first or with it",
    ("balance", "zone"): "zone {!r} in balance is not in the database: import the zones first or with it",
}


def _check_references(connection: Connection, files: Sequence[_File]) -> None:
    known = {
        "asset": {name for file in files for name in file.assets.names},
        "zone": {name for file in files for name in file.zones.names},
    }
    everything: list[tuple[Checked[Any], Reference]] = [
        (part, reference) for file in files for part in file.parts for reference in part.references
    ]
    for kind, names in known.items():
        asked = sorted({r.name for _, r in everything if r.kind == kind and "\0" not in r.name} - names)
        if asked:
            names.update(name for (name,) in connection.execute(_SQL[f"known_{kind}s"], {"names": asked}))
    for part, reference in everything:
        if reference.name not in known[reference.kind]:
            message = _MISSING[reference.what, reference.kind].format(reference.name)
            part.problems.append(Problem(reference.line, message))


def reject(files: Iterable[_File]) -> None:
    """Raises ImportRejectedError where a file has a problem; of several files each problem names its own."""
    bad = [(file.contents.source, file.problems) for file in files if file.problems]
    if len(bad) == 1:
        raise ImportRejectedError(*bad[0])
    if bad:
        every = [Problem(p.line, p.message, f"{source}: {p.unit}") for source, problems in bad for p in problems]
        raise ImportRejectedError(f"an import of {len(bad)} files", every)


def _store(connection: Connection, files: Sequence[_File], now: datetime, bars: Bars) -> Iterable[Outcome]:
    for file in files:
        if file.zones.entries:
            stored = zones.store_zones(connection, [entry.item for entry in file.zones.entries], now)
            yield Outcome(file.contents.source, "zones", stored)
    for file in files:
        if file.facilities.entries:
            stored = facilities.store_facilities(connection, [entry.item for entry in file.facilities.entries], now)
            yield Outcome(file.contents.source, "facilities", stored)
    holding = [file for file in files if file.assets.entries or not any(part.entries for part in file.parts)]
    if holding:
        sources = ", ".join(file.contents.source for file in holding)
        lists = [file.assets.entries for file in holding]
        with bars("assets", sum(map(len, lists))) as progress:
            stored_assets = inventory.store_asset_files(connection, lists, now, sources, progress)
        for file, stored in zip(holding, stored_assets, strict=True):
            yield Outcome(file.contents.source, "assets", stored)
    for file in files:
        if file.sensors.entries:
            stored = inventory.store_sensors(connection, file.sensors.entries, file.contents.source)
            yield Outcome(file.contents.source, "sensors", stored)
    for file in files:
        if file.contents.model is not None:
            stored = store_model(connection, file.contents.model, now)
            yield Outcome(file.contents.source, "model", stored)


def store_model(connection: Connection, model: ModelFile, now: datetime) -> Stored:
    """Keep a model's own bytes under its name."""
    values = {"name": model.name, "network": model.network, "format": model.format, "prefix": model.prefix}
    row = connection.execute(_SQL["store_model"], {**values, "content": model.content, "now": now}).fetchone()
    return Stored(0, 0, 1) if row is None else Stored(int(row[0]), int(not row[0]), 0)
