"""The catalogue: which networks there are and what their sensors measure. Data, checked when it is read."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from lifeline.errors import CatalogueError


@dataclass(frozen=True, slots=True)
class Network:
    """One network of the city."""

    key: str
    en: str
    zh: str


@dataclass(frozen=True, slots=True)
class Quantity:
    """What a sensor measures; units and limits as in ``catalogue.toml``."""

    key: str
    en: str
    zh: str
    unit: str
    networks: frozenset[str]
    low: float
    high: float
    resolution: float
    max_silence_s: float
    max_rate: float


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Networks and quantities by key."""

    networks: dict[str, Network]
    quantities: dict[str, Quantity]

    def quantity_of(self, channel: str) -> Quantity | None:
        """The quantity that a channel (``quantity`` or ``quantity.suffix``) carries, or None."""
        return self.quantities.get(channel.partition(".")[0])


def parse_catalogue(text: str, source: str = "catalogue") -> Catalogue:
    """Read a catalogue from TOML. Raises CatalogueError that names the entry and what is wrong with it."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CatalogueError(f"{source}: not TOML: {error}") from error
    try:
        networks = {key: Network(key, entry["en"], entry["zh"]) for key, entry in data["network"].items()}
        quantities = {key: _quantity(key, entry, networks) for key, entry in data["quantity"].items()}
    except KeyError as error:
        raise CatalogueError(f"{source}: {error.args[0]!r} is missing") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise CatalogueError(f"{source}: {error}") from error
    return Catalogue(networks, quantities)


def _quantity(key: str, entry: dict[str, Any], networks: dict[str, Network]) -> Quantity:
    try:
        low, high = (float(bound) for bound in entry["range"])
        quantity = Quantity(
            key=key,
            en=entry["en"],
            zh=entry["zh"],
            unit=entry["unit"],
            networks=frozenset(entry["networks"]),
            low=low,
            high=high,
            resolution=float(entry["resolution"]),
            max_silence_s=float(entry["max_silence_s"]),
            max_rate=float(entry["max_rate"]),
        )
    except KeyError as error:
        raise CatalogueError(f"quantity {key!r}: {error.args[0]!r} is missing") from error
    if "." in key:
        raise ValueError(f"quantity {key!r}: a dot separates a channel's suffix and cannot be part of the key")
    if not low < high:
        raise ValueError(f"quantity {key!r}: range {low} to {high} is empty")
    if quantity.resolution <= 0 or quantity.max_silence_s <= 0 or quantity.max_rate <= 0:
        raise ValueError(f"quantity {key!r}: resolution, max_silence_s and max_rate must be above zero")
    unknown = quantity.networks - networks.keys()
    if unknown:
        raise ValueError(f"quantity {key!r}: unknown networks {sorted(unknown)}")
    return quantity


def load_catalogue(path: Path | None = None) -> Catalogue:
    """The catalogue in ``path``, or the one that ships with Lifeline."""
    if path is None:
        return shipped_catalogue()
    try:
        return parse_catalogue(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise CatalogueError(f"{path}: {error.strerror}") from error


@cache
def shipped_catalogue() -> Catalogue:
    """The catalogue that ships with Lifeline."""
    text = resources.files("lifeline").joinpath("catalogue.toml").read_text(encoding="utf-8")
    return parse_catalogue(text, "catalogue.toml")
