"""Where the programs are: installed on this machine, or unpacked once into a cache.

The cache is complete or absent: a folder is filled under another name and renamed at the end, under a file lock.
"""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lifeline.embedded.packages import Bundle, Progress, fetch, run
from lifeline.errors import ServiceError

RECIPE = "2"
"""Version of what is unpacked and how: another one is another folder of the cache."""

POSTGRESQL = Bundle(
    name="postgresql",
    suite="trixie",
    packages=("postgresql-17", "postgresql-client-17", "postgresql-17-timescaledb"),
    programs=tuple(
        f"usr/lib/postgresql/17/bin/{name}" for name in ("postgres", "initdb", "psql", "pg_dump", "pg_restore")
    ),
)
MOSQUITTO = Bundle(
    name="mosquitto",
    suite="forky",
    packages=("mosquitto", "mosquitto-clients"),
    programs=("usr/sbin/mosquitto", "usr/bin/mosquitto_pub", "usr/bin/mosquitto_sub"),
)
NEEDED_BYTES = 400_000_000
BEGINS = b"\0BEGIN;\0"
BEGINS_NOTHING = b"\0;;;;;;\0"


@dataclass(frozen=True, slots=True)
class PostgresPrograms:
    """Folder that holds postgres, initdb and psql."""

    bin: Path


@dataclass(frozen=True, slots=True)
class MosquittoPrograms:
    """The broker and its SQLite persistence.

    ``persist_plugin`` is the plug-in as packaged, ``committing_plugin`` the copy of it that commits every message
    before it is acknowledged; None where this Mosquitto has no plug-in, or one that this version does not know.
    """

    mosquitto: Path
    persist_plugin: Path | None
    committing_plugin: Path | None


def unpack(progress: Progress | None = None) -> Path:
    """Makes sure that every program is there and returns the root below which they stand.

    ``/`` when all are installed, else the cache. The first call downloads some 40 MB; a later one needs no network.
    Raises ServiceError, saying what is missing and how to get it.
    """
    postgres = postgres_programs(progress)
    mosquitto = mosquitto_programs(progress)
    cache = cache_folder()
    if any(path.is_relative_to(cache) for path in (postgres.bin, mosquitto.mosquitto)):
        return cache
    return Path("/")


def postgres_programs(progress: Progress | None = None) -> PostgresPrograms:
    """PostgreSQL with TimescaleDB: the installed one if there is one, else unpacked."""
    installed = _installed_postgres()
    if installed is not None:
        return PostgresPrograms(installed)
    return PostgresPrograms(_unpacked(POSTGRESQL, progress) / "usr/lib/postgresql/17/bin")


def mosquitto_programs(progress: Progress | None = None) -> MosquittoPrograms:
    """Mosquitto with its SQLite persistence: the installed one if it has it, else unpacked."""
    installed = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    plugin = _persist_plugin(Path("/usr")) if installed is not None else None
    if installed is not None and plugin is not None:
        return MosquittoPrograms(Path(installed), plugin, committing(plugin))
    root = _unpacked(MOSQUITTO, progress)
    plugin = _persist_plugin(root / "usr")
    return MosquittoPrograms(root / "usr/sbin/mosquitto", plugin, committing(plugin) if plugin else None)


def committing(plugin: Path) -> Path | None:
    """A copy of the persistence plug-in that commits each statement by itself, or None when it is not as expected.

    As packaged (Mosquitto 2.1) the plug-in opens a transaction by the statement ``BEGIN;`` and commits it when the
    broker's main loop turns, after the acknowledgements of that turn are on the wire: a kill in between loses what was
    acknowledged. In the copy the statement is empty, so SQLite commits every insert before the broker goes on to
    acknowledge it. docs/decisions/0002-broker-durability.md has the measurements.
    """
    content = plugin.read_bytes()
    if content.count(BEGINS) != 1:
        return None
    copy = cache_folder() / f"persist-sqlite-{hashlib.sha256(content).hexdigest()[:16]}.so"
    if not copy.exists():
        _make_cache(copy.parent, needed_bytes=1_000_000)
        with tempfile.NamedTemporaryFile(dir=copy.parent, delete=False) as new:
            new.write(content.replace(BEGINS, BEGINS_NOTHING))
        Path(new.name).chmod(0o644)
        Path(new.name).rename(copy)
    return copy


def cache_folder() -> Path:
    """``LIFELINE_CACHE``; else, for root, /var/cache/lifeline, which the services' user can enter; else the user's."""
    if named := os.environ.get("LIFELINE_CACHE"):
        return Path(named).absolute()
    if os.geteuid() == 0:
        return Path("/var/cache/lifeline")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).absolute() / "lifeline"


def _installed_postgres() -> Path | None:
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: path.parent.name, reverse=True)
    if (on_path := shutil.which("postgres")) is not None:
        folders.append(Path(on_path).resolve().parent)
    for folder in folders:
        if (folder / "postgres").exists() and (folder / "initdb").exists() and _has_timescaledb(folder):
            return folder
    return None


def _has_timescaledb(folder: Path) -> bool:
    version = folder.parent.name
    shares = (
        Path("/usr/share/postgresql") / version,
        folder.parent / "share",
        folder.parent / "share/postgresql",
    )
    return any((share / "extension/timescaledb.control").exists() for share in shares)


def _persist_plugin(prefix: Path) -> Path | None:
    found = sorted(prefix.glob("lib*/**/mosquitto_persist_sqlite.so"))
    return found[0] if found else None


def _unpacked(bundle: Bundle, progress: Progress | None) -> Path:
    root = cache_folder() / f"{bundle.name}-{bundle.suite}-{RECIPE}"
    if root.is_dir():
        return root
    _make_cache(root.parent, NEEDED_BYTES)
    with _locked(root.parent / "lock"):
        if not root.is_dir():
            _fill(bundle, root, progress or _silent)
    return root


def _silent(what: str, fraction: float) -> None:
    """Progress for a caller that shows none."""


def _make_cache(cache: Path, needed_bytes: int) -> None:
    try:
        cache.mkdir(parents=True, exist_ok=True, mode=0o755)
        free = shutil.disk_usage(cache).free
    except OSError as error:
        raise ServiceError(
            f"The cache {cache} cannot be made: {error}. LIFELINE_CACHE names another folder."
        ) from error
    if free < needed_bytes:
        raise ServiceError(
            f"The cache {cache} has {free // 1_000_000} MB free, and unpacking needs {needed_bytes // 1_000_000} MB. "
            "LIFELINE_CACHE names another folder."
        )


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fill(bundle: Bundle, root: Path, progress: Progress) -> None:
    """Unpacks beside ``root`` and renames; what a killed run left half done is removed first (the lock is held)."""
    for left_over in root.parent.glob(f".{bundle.name}-*"):
        shutil.rmtree(left_over, ignore_errors=True)
    work = Path(tempfile.mkdtemp(prefix=f".{bundle.name}-", dir=root.parent))
    try:
        fetch(bundle, work / "root", work, progress)
        for program in bundle.programs:
            _wrap(work / "root", root, program)
        (work / "root").rename(root)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _wrap(built: Path, final: Path, program: str) -> None:
    """Moves a program aside and puts a script in its place that starts it on the libraries unpacked beside it.

    ``--argv0`` keeps the name that it was called by, from which PostgreSQL finds its other folders.
    """
    triplet = _triplet()
    libraries = final / "usr/lib" / triplet
    loaders = sorted((built / "usr/lib" / triplet).glob("ld-linux*.so.*"))
    if not loaders:
        raise ServiceError(f"The unpacked C library has no loader for {triplet}: this machine's kind is not supported")
    loader = libraries / loaders[0].name
    place = built / program
    place.rename(place.with_name(f"{place.name}.real"))
    real = final / f"{program}.real"
    place.write_text(f"#!/bin/sh\nexec '{loader}' --library-path '{libraries}' --argv0 \"$0\" '{real}' \"$@\"\n")
    place.chmod(0o755)
    missing = [
        line
        for line in run(
            [
                str(built / "usr/lib" / triplet / loader.name),
                "--library-path",
                str(built / "usr/lib" / triplet),
                "--list",
                str(place) + ".real",
            ]
        ).splitlines()
        if "not found" in line
    ]
    if missing:
        raise ServiceError(f"{program} lacks libraries: {', '.join(line.split()[0] for line in missing)}")


def _triplet() -> str:
    architecture = run(["dpkg", "--print-architecture"]).strip()
    cpu = {"amd64": "x86_64", "arm64": "aarch64"}.get(architecture)
    if cpu is None:
        raise ServiceError(
            f"Programs are unpacked for amd64 and arm64, and this machine is {architecture}: install PostgreSQL with "
            "TimescaleDB and Mosquitto yourself."
        )
    return f"{cpu}-linux-gnu"
