"""Towns for renewal plans: real geometry, diameters and lengths, and ages that a seed makes where the data has none.

Neither Schutterwald nor ky10 nor L-TOWN tells when a pipe was laid. Real towns grow outward: a pipe's year rises with
its distance from the middle, is shared by its neighbourhood, and its material is what was laid in those years. Other
seeds are other histories of the same town.
"""

import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lifeline.inventory import parse_assets
from lifeline.model import Asset, AssetKind
from simulators.gas import load_pandapipes

LTOWN = Path(__file__).resolve().parents[2] / "shared" / "data" / "ltown" / "L-TOWN.inp"
METRES_PER_DEGREE = 111_195.0
PATCH_M = 250.0

ERAS: dict[str, tuple[tuple[int, str], ...]] = {
    "gas": ((1975, "steel"), (1992, "ductile_iron"), (9999, "pe")),
    "water": ((1972, "grey_cast_iron"), (1988, "asbestos_cement"), (2000, "ductile_iron"), (9999, "pe")),
    "drainage": ((1970, "brick"), (1990, "concrete"), (9999, "reinforced_concrete")),
}
"""What a network was built of up to a year."""


def schutterwald(seed: int = 1) -> list[Asset]:
    """Gas: 101 km and 1,506 houses, as pandapipes ships it (coordinates, lengths, diameters)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        load_pandapipes()
        import pandapipes.networks as shipped

        net = shipped.schutterwald_gas()
    houses = net.sink.junction.value_counts()
    place = net.junction_geodata
    pipes = []
    for row in net.pipe.itertuples():
        ends = [tuple(place.loc[node, ["x", "y"]]) for node in (row.from_junction, row.to_junction)]
        served = int(sum(houses.get(node, 0) for node in (row.from_junction, row.to_junction)))
        pipes.append((f"G{row.Index}", ends, row.length_km * 1000, row.inner_diameter_mm, served))
    return _laid("gas", pipes, seed)


def ky10(seed: int = 1) -> list[Asset]:
    """Water: a town in Kentucky, 430 km, as wntr ships it (coordinates in feet)."""
    import wntr

    return _from_epanet(Path(wntr.__file__).parent / "library" / "networks" / "ky10.inp", seed, scale=0.3048)


def ltown(seed: int = 1) -> list[Asset]:
    """Water: L-TOWN of the BattLeDIM, 42 km; FileNotFoundError where the shared data is missing."""
    if not LTOWN.exists():
        raise FileNotFoundError(LTOWN)
    return _from_epanet(LTOWN, seed)


def drains(seed: int = 1) -> list[Asset]:
    """Drainage: the sewers of a generated town, with the ages and materials that the generator gave them."""
    return [asset for asset in demo_town(seed) if asset.network == "drainage"]


def demo_town(seed: int = 1) -> list[Asset]:
    """The three networks of `make demo`'s town."""
    import json

    from lifeline.catalogue import load_catalogue
    from simulators.inventory import features
    from simulators.planning import make_town

    body = json.dumps({"type": "FeatureCollection", "features": features(make_town(seed))})
    return [entry.item for entry in parse_assets(body.encode(), load_catalogue())]


def grid(segments: int, seed: int = 1) -> list[Asset]:
    """Three networks in a grid of streets, about as many segments: for measuring growth. 100 m each."""
    side = max(2, round(math.sqrt(segments / 6)))
    pipes: dict[str, list[Any]] = {network: [] for network in ERAS}
    random = np.random.default_rng(seed)
    for shift, network in enumerate(ERAS):
        for column in range(side):
            for row in range(side):
                for step in ((1, 0), (0, 1)):
                    begin = (100.0 * column + 3.0 * shift, 100.0 * row + 3.0 * shift)
                    end = (begin[0] + 100.0 * step[0], begin[1] + 100.0 * step[1])
                    name = f"{network[0]}{column}-{row}-{step[0]}"
                    wide = float(random.choice((100, 150, 200, 300, 500), p=(0.3, 0.3, 0.2, 0.15, 0.05)))
                    street = f"{'E' if step[0] else 'N'}{row if step[0] else column}"
                    pipes[network].append((name, [begin, end], 100.0, wide, int(random.gamma(1.0, 30.0)), street))
    return [asset for network, rows in pipes.items() for asset in _laid(network, rows, seed)]


TOWNS: dict[str, tuple[str, Callable[[int], list[Asset]]]] = {
    "Schutterwald": ("gas", schutterwald),
    "ky10": ("water", ky10),
    "L-TOWN": ("water", ltown),
    "generated sewers": ("drainage", drains),
    "make demo": ("all three", demo_town),
}


def _from_epanet(path: Path, seed: int, scale: float = 1.0) -> list[Asset]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import wntr

        model = wntr.network.WaterNetworkModel(str(path))
    demand = {name: sum(each.base_value for each in node.demand_timeseries_list) for name, node in model.junctions()}
    pipes = []
    for name, pipe in model.pipes():
        ends = [
            tuple(scale * xy for xy in model.get_node(node).coordinates)
            for node in (pipe.start_node_name, pipe.end_node_name)
        ]
        served = round(sum(demand.get(node, 0.0) for node in (pipe.start_node_name, pipe.end_node_name)) * 86_400 / 0.3)
        pipes.append((str(name), ends, pipe.length, max(pipe.diameter * 1000, 25.0), max(served, 0)))
    return _laid("water", pipes, seed)


def _laid(network: str, pipes: list[Any], seed: int) -> list[Asset]:
    """Pipes (id, ends in metres, length, diameter, customers, street) as assets with a year and a material."""
    middle = np.array([np.mean(ends, axis=0) for _, ends, *_ in pipes])
    centre = np.median(middle, axis=0)
    away = np.hypot(*(middle - centre).T)
    reach = max(float(np.quantile(away, 0.95)), 1.0)
    random = np.random.default_rng(seed)
    offsets: dict[tuple[int, int], float] = {}
    origin = middle.min(axis=0)
    found = []
    for (name, ends, length, diameter, served, *street), place, far in zip(pipes, middle, away, strict=True):
        patch = (int((place[0] - origin[0]) // PATCH_M), int((place[1] - origin[1]) // PATCH_M))
        offset = offsets.setdefault(patch, float(random.normal(0.0, 10.0)))
        year = int(np.clip(1960 + 50 * min(far / reach, 1.0) + offset + random.normal(0.0, 3.0), 1945, 2022))
        material = next(what for until, what in ERAS[network] if year <= until)
        found.append(
            Asset(
                f"{network[0]}-{name}", network, AssetKind.PIPE, _line(ends, centre), material=material,
                diameter_mm=float(diameter), install_year=year, length_m=max(float(length), 0.1), customers=served,
                street=street[0] if street else None,
            )
        )  # fmt: skip
    return found


def _line(ends: Any, centre: Any) -> dict[str, Any]:
    """Metres about the middle of the town as degrees about (8, 48): ages and costs do not ask where on earth it is."""
    east = METRES_PER_DEGREE * math.cos(math.radians(48.0))
    return {
        "type": "LineString",
        "coordinates": [[8.0 + (x - centre[0]) / east, 48.0 + (y - centre[1]) / METRES_PER_DEGREE] for x, y in ends],
    }
