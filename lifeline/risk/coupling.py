"""Coupling between networks: how trouble at one asset reaches others near it, as chains with a product and an impact.

A chain begins with a hazard that open alerts mean (``onset``), goes through up to two couplings, each to an asset of
another network within reach, and ends in an effect. Its likelihood is the product of its links; its risk is that times
the impact (1 to 5). The couplings are data: ``lifeline/coupling.toml``.

Source: interdependence of infrastructures, Rinaldi, Peerenboom and Kelly (2001); geographic coupling first. Fading with
distance is exponential; every figure is a default of this project.
"""

import math
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec
import numpy as np
import shapely
from numpy.typing import NDArray

from lifeline.errors import CatalogueError
from lifeline.geo import EARTH_RADIUS_M
from lifeline.model import AssetKind, JsonObject

MOST_COUPLINGS = 2
WEAKEST = 0.01
"""A chain that is less likely than this, given its hazard, is not followed."""

Ints = NDArray[np.int_]
Floats = NDArray[np.float64]


class Onset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Alerts that mean a hazard: all of what is given must hold."""

    hazard: str
    networks: frozenset[str] = frozenset()
    kinds: frozenset[AssetKind] = frozenset()
    quantities: frozenset[str] = frozenset()

    def meant_by(self, network: str, kind: str, quantity: str) -> bool:
        """Whether an alert of this quantity at an asset of this network and kind means the hazard."""
        wanted = ((self.networks, network), (self.kinds, kind), (self.quantities, quantity))
        return all(not allowed or value in allowed for allowed, value in wanted)


class Coupling(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"source": "from", "result": "to"}):
    """A hazard (``from``) makes another (``to``) at assets of some networks and kinds within reach."""

    id: str
    en: str
    zh: str
    source: str
    result: str
    networks: frozenset[str]
    kinds: frozenset[AssetKind]
    within_m: float
    likelihood: float
    fade_m: float


class Effect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a hazard ends in."""

    id: str
    en: str
    zh: str
    hazard: str
    likelihood: float
    impact: float | Literal["cof", "road"]
    kinds: frozenset[AssetKind] = frozenset()


class Couplings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    onset: tuple[Onset, ...]
    coupling: tuple[Coupling, ...]
    effect: tuple[Effect, ...]
    road_impact: dict[str, float]


def parse(text: str, source: str = "coupling.toml") -> Couplings:
    """Couplings from TOML. Raises CatalogueError that says what is wrong."""
    try:
        read = msgspec.toml.decode(text, type=Couplings)
    except (msgspec.DecodeError, ValueError) as error:
        raise CatalogueError(f"{source}: {error}") from error
    likelihoods = {each.id: each.likelihood for each in read.coupling}
    likelihoods |= {each.id: each.likelihood for each in read.effect}
    for name, likelihood in likelihoods.items():
        if not 0 < likelihood <= 1:
            raise CatalogueError(f"{source}: {name}: likelihood must be above 0 and 1 at most")
    ends = {each.hazard for each in read.effect if not each.kinds}
    for each in read.coupling:
        if each.result not in ends:
            raise CatalogueError(f"{source}: {each.id}: no effect follows from {each.result!r} on every kind of asset")
        if each.within_m <= 0 or each.fade_m <= 0:
            raise CatalogueError(f"{source}: {each.id}: within_m and fade_m must be above 0")
    if "unknown" not in read.road_impact:
        raise CatalogueError(f"{source}: road_impact: 'unknown' is missing")
    return read


def load(path: Path | None = None) -> Couplings:
    """The couplings in ``path``, or those that ship with Lifeline. Raises CatalogueError."""
    if path is None:
        return shipped()
    try:
        return parse(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise CatalogueError(f"{path}: {error.strerror}") from error


@cache
def shipped() -> Couplings:
    """The couplings that ship with Lifeline."""
    return parse(resources.files("lifeline").joinpath("coupling.toml").read_text(encoding="utf-8"))


class Place(NamedTuple):
    """What coupling looks at in an asset."""

    network: str
    kind: str
    cof: float
    road_class: str


class Link(NamedTuple):
    """One step of a chain: the asset (index) that is reached, how far it is, and how likely that is."""

    coupling: Coupling
    asset: int
    distance_m: float
    likelihood: float


class Reach(NamedTuple):
    """A hazard at an asset that follows from another; ``product`` of the links, 1 for the source itself."""

    asset: int
    hazard: str
    product: float
    links: tuple[Link, ...]


class Chain(NamedTuple):
    """From a source to an effect. ``product`` includes the source's and the effect's likelihood."""

    source: int
    hazard: str
    chance: float
    links: tuple[Link, ...]
    effect: Effect
    product: float
    impact: float

    @property
    def risk(self) -> float:
        """Product of the likelihoods times the impact."""
        return self.product * self.impact

    @property
    def end(self) -> int:
        """The asset where the effect is."""
        return self.links[-1].asset if self.links else self.source


class Surroundings:
    """What is near what, in a plane of metres about the city's middle. Found when asked for, and then remembered."""

    def __init__(self, geometries: Sequence[str], places: Sequence[Place], couplings: Couplings) -> None:
        shapes = shapely.from_geojson(np.array(geometries, dtype=object))
        latitude = float(np.nanmean(shapely.bounds(shapes)[:, 1])) if len(geometries) else 0.0
        metres = math.radians(1.0) * EARTH_RADIUS_M
        scale = np.array([metres * math.cos(math.radians(latitude)), metres])
        self._shapes = shapely.transform(shapes, lambda degrees: degrees * scale) if len(geometries) else shapes
        self._tree = shapely.STRtree(self._shapes)
        self._couplings = couplings
        self.places = places
        self._reached: dict[tuple[int, str], tuple[Reach, ...]] = {}

    def hazards(self, asset: int, quantity: str) -> list[str]:
        """What an alert of this quantity at an asset means."""
        network, kind, _, _ = self.places[asset]
        found = [each.hazard for each in self._couplings.onset if each.meant_by(network, kind, quantity)]
        return list(dict.fromkeys(found))

    def reached(self, asset: int, hazard: str) -> tuple[Reach, ...]:
        """The hazard itself and all that follows from it, each asset and hazard by its likeliest way."""
        key = (asset, hazard)
        if key not in self._reached:
            self._reached[key] = tuple(self._spread(asset, hazard))
        return self._reached[key]

    def chains(self, asset: int, hazard: str, chance: float) -> Iterator[Chain]:
        """Every chain that begins with this hazard at this asset."""
        for reach in self.reached(asset, hazard):
            place = self.places[reach.asset]
            for effect in self._couplings.effect:
                if effect.hazard == reach.hazard and (not effect.kinds or place.kind in effect.kinds):
                    product = chance * reach.product * effect.likelihood
                    yield Chain(asset, hazard, chance, reach.links, effect, product, self._impact(effect, place))

    def _spread(self, asset: int, hazard: str) -> list[Reach]:
        best = {(asset, hazard): Reach(asset, hazard, 1.0, ())}
        edge = list(best.values())
        for _ in range(MOST_COUPLINGS):
            further: list[Reach] = []
            for reach in edge:
                for link in self._links(reach, asset):
                    product = reach.product * link.likelihood
                    step = Reach(link.asset, link.coupling.result, product, (*reach.links, link))
                    known = best.get((step.asset, step.hazard))
                    if product >= WEAKEST and (known is None or known.product < product):
                        best[step.asset, step.hazard] = step
                        further.append(step)
            edge = further
        return list(best.values())

    def _links(self, reach: Reach, source: int) -> Iterator[Link]:
        for coupling in self._couplings.coupling:
            if coupling.source != reach.hazard:
                continue
            here = self._shapes[reach.asset]
            near = np.sort(self._tree.query(here, predicate="dwithin", distance=coupling.within_m))
            distances = shapely.distance(here, self._shapes[near])
            for at, metres in zip(near.tolist(), distances.tolist(), strict=True):
                place = self.places[at]
                wanted = place.network in coupling.networks and place.kind in coupling.kinds
                if wanted and at not in (source, reach.asset):
                    yield Link(coupling, at, metres, coupling.likelihood * math.exp(-metres / coupling.fade_m))

    def _impact(self, effect: Effect, place: Place) -> float:
        if effect.impact == "cof":
            return place.cof
        if effect.impact == "road":
            return self._couplings.road_impact.get(place.road_class, self._couplings.road_impact["unknown"])
        return float(effect.impact)


def tell(chain: Chain, names: Sequence[str]) -> JsonObject:
    """A chain as JSON; ``names`` are the city's own names of the assets."""
    return {
        "source": names[chain.source],
        "hazard": chain.hazard,
        "likelihood": round(chain.chance, 4),
        "links": [
            {
                "coupling": link.coupling.id,
                "title": {"en": link.coupling.en, "zh": link.coupling.zh},
                "asset": names[link.asset],
                "hazard": link.coupling.result,
                "distance_m": round(link.distance_m, 1),
                "likelihood": round(link.likelihood, 4),
            }
            for link in chain.links
        ],
        "effect": {
            "id": chain.effect.id,
            "title": {"en": chain.effect.en, "zh": chain.effect.zh},
            "likelihood": chain.effect.likelihood,
        },
        "product": chain.product,
        "impact": chain.impact,
        "risk": chain.risk,
    }
