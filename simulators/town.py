"""What a town is made of. Pure data; ``simulators.planning`` lays it out, engines give it physics."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from lifeline.model import AssetKind, JsonObject
from simulators.streets import Point, Streets


@dataclass(frozen=True, slots=True)
class Node:
    """A point asset of one network. ``crossing`` is the street crossing that it belongs to, -1 for none.

    ``attributes`` carry what its engine needs, with units in the names, and are exported with the asset.
    """

    id: str
    network: str
    kind: AssetKind
    name: str
    at: Point
    ground_m: float
    crossing: int
    depth_m: float
    install_year: int
    customers: int = 0
    critical: bool = False
    material: str | None = None
    diameter_mm: float | None = None
    between: tuple[str, str] | None = None
    """Ids of the nodes that it connects, for a pump."""
    attributes: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pipe:
    """A pipe from node ``a`` to node ``b``; for drainage in the direction of flow."""

    id: str
    network: str
    name: str
    a: str
    b: str
    path: tuple[Point, ...]
    length_m: float
    diameter_mm: float
    material: str
    install_year: int
    depth_m: float
    customers: int
    critical: bool
    attributes: JsonObject = field(default_factory=dict)

    @property
    def middle(self) -> Point:
        """The middle point of its path, or halfway between the two."""
        (x, y), (u, v) = self.path[(len(self.path) - 1) // 2], self.path[len(self.path) // 2]
        return (x + u) / 2, (y + v) / 2


@dataclass(frozen=True, slots=True)
class Network:
    """Nodes and pipes by id."""

    key: str
    nodes: dict[str, Node]
    pipes: dict[str, Pipe]

    def pipes_at(self, node: str) -> list[Pipe]:
        """The pipes that end at a node."""
        return [pipe for pipe in self.pipes.values() if node in (pipe.a, pipe.b)]


@dataclass(frozen=True, slots=True)
class Instrument:
    """One sensor: ``device`` measures ``channel`` at ``asset`` and speaks through ``gateway`` ("": its own)."""

    device: str
    network: str
    channel: str
    asset: str
    name: str
    at: Point
    gateway: str

    @property
    def key(self) -> tuple[str, str]:
        """Device and channel: unique in a town."""
        return self.device, self.channel

    @property
    def quantity(self) -> str:
        return self.channel.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Town:
    """Three networks under one set of streets, and the instruments that watch them."""

    seed: int
    streets: Streets
    water: Network
    drainage: Network
    gas: Network
    instruments: tuple[Instrument, ...]

    @property
    def networks(self) -> tuple[Network, ...]:
        return (self.gas, self.water, self.drainage)

    def asset(self, asset_id: str) -> Node | Pipe | None:
        """The asset with this id, or None."""
        for network in self.networks:
            found = network.nodes.get(asset_id) or network.pipes.get(asset_id)
            if found:
                return found
        return None

    def position(self, asset_id: str) -> Point:
        """Where an asset is (the middle, for a pipe). Raises KeyError for an unknown id."""
        asset = self.asset(asset_id)
        if asset is None:
            raise KeyError(asset_id)
        return asset.at if isinstance(asset, Node) else asset.middle

    def gateways(self) -> dict[str, list[str]]:
        """Gateway -> devices behind it, in the order of the inventory."""
        behind: dict[str, list[str]] = {}
        for instrument in self.instruments:
            if instrument.gateway:
                devices = behind.setdefault(instrument.gateway, [])
                if instrument.device not in devices:
                    devices.append(instrument.device)
        return behind

    def device_network(self) -> dict[str, str]:
        """Device -> its network, gateways included."""
        return {instrument.device: instrument.network for instrument in self.instruments}

    def at_device(self, device: str) -> Iterator[Instrument]:
        """The sensors of one device."""
        return (instrument for instrument in self.instruments if instrument.device == device)
