"""The twin of the town: what the simulators play, and which of the city's devices that is."""

import csv
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lifeline.cli.children import environment
from lifeline.errors import ConfigurationError, ServiceError


@dataclass(frozen=True, slots=True)
class Twin:
    """Files of the simulated town, as `lifeline import` takes them, and the devices that speak in it."""

    files: tuple[Path, Path]
    devices: tuple[str, ...]


def simulators(*arguments: str) -> str:
    """What ``python -m simulators ...`` prints. Raises ConfigurationError with its own words where it refuses."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "simulators", *arguments],
            env=environment({}), capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise ServiceError("the simulators did not answer within five minutes") from error
    if done.returncode != 0:
        said = done.stderr.strip().removeprefix("simulators: ")
        missing = "ModuleNotFoundError" in said
        raise ConfigurationError("the simulators are not installed: scripts/setup simulators" if missing else said)
    return done.stdout


def playable() -> dict[str, str]:
    """Title by name of every scenario that comes with the simulators."""
    lines = (line.partition(" ") for line in simulators("scenarios").splitlines())
    return {name: title.strip() for name, _, title in lines if name}


def make_twin(folder: Path, seed: int) -> Twin:
    """Write the town's files below a folder."""
    simulators("inventory", "--out", str(folder), "--seed", str(seed))
    files = (folder / "assets.geojson", folder / "sensors.csv")
    return Twin(files, devices_of(files[1]))


def devices_of(sensors: Path) -> tuple[str, ...]:
    """Devices and gateways that a file of sensors names."""
    with sensors.open(encoding="utf-8", newline="") as file:
        rows: Sequence[dict[str, str]] = list(csv.DictReader(file))
    return tuple(sorted({name for row in rows for name in (row["device"], row.get("gateway", "")) if name}))
