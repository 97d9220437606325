"""Whole files into the real database: models, tables, layers; every problem listed, all or nothing, idempotent."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lifeline.catalogue import shipped_catalogue
from lifeline.errors import ImportRejectedError
from lifeline.exchange.coordinates import Placement
from lifeline.exchange.files import Options, read_file
from lifeline.storage import directory, zones
from lifeline.storage.database import Connection
from lifeline.storage.imports import Outcome, import_contents
from lifeline.storage.inventory import Stored

pytestmark = pytest.mark.usefixtures("clean_database")

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)
HEFEI = Placement(117.27, 31.86)
LTOWN = Path(__file__).resolve().parents[3] / "shared" / "data" / "ltown" / "L-TOWN.inp"


def run(connection: Connection, *paths: Path, **options: object) -> list[Outcome]:
    contents = [each for path in paths for each in read_file(path, Options(**options))]  # type: ignore[arg-type]
    return import_contents(connection, contents, shipped_catalogue(), NOW, actor="test")


def problems_of(connection: Connection, *paths: Path, **options: object) -> list[tuple[int, str]]:
    with pytest.raises(ImportRejectedError) as rejected:
        run(connection, *paths, **options)
    return [(problem.line, problem.message) for problem in rejected.value.problems]


def networks() -> list[Path]:
    wntr = pytest.importorskip("wntr")
    return sorted(Path(wntr.__file__).parent.rglob("*.inp"))


BAD = {
    "bad_syntax.inp": "",
    "bad_values.inp": "",
    "msx_example.inp": "",
}


@pytest.mark.filterwarnings("ignore")
def test_every_network_that_wntr_ships_imports_or_fails_with_a_reason(connection: Connection) -> None:
    for path in networks():
        try:
            with connection.transaction(force_rollback=True):
                outcomes = run(connection, path, placement=HEFEI)
                print(path.name, outcomes)
        except ImportRejectedError as error:
            print(path.name, str(error)[:600])
    assert False
