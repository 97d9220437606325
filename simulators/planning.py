"""Lays out a town: the same seed gives the same town, to the last pipe."""

import math
from typing import NamedTuple

import numpy as np

from simulators.drains import lay_drainage
from simulators.gaslines import lay_gas
from simulators.instruments import place_instruments
from simulators.mains import lay_water
from simulators.streets import Point, Streets, make_streets
from simulators.town import Network, Town

CRITICAL = {
    "市第一人民医院 First People's Hospital": "hospital",
    "城南小学 Chengnan Primary School": "school",
    "第八中学 No. 8 Middle School": "school",
    "市政府 City Hall": "government",
    "火车站 Railway Station": "station",
    "中心养老院 Central Nursing Home": "care_home",
    "数据中心 Data Centre": "data_centre",
}
"""Critical facilities by name, each with its kind."""


class People(NamedTuple):
    """Who lives at each crossing: customers (households), and the name of the critical facility there, if any."""

    customers: list[int]
    facility: dict[int, str]


def make_town(seed: int) -> Town:
    """The town with this seed."""
    streets = make_streets(seed)
    people = _settle(streets, np.random.default_rng([seed, 2]))
    water = lay_water(streets, people.customers, people.facility, np.random.default_rng([seed, 3]))
    drainage = lay_drainage(streets, people.customers, people.facility, np.random.default_rng([seed, 4]))
    gas = lay_gas(streets, people.customers, people.facility, np.random.default_rng([seed, 5]))
    networks: tuple[Network, Network, Network] = (gas, water, drainage)
    return Town(seed, streets, water, drainage, gas, place_instruments(streets, *networks))


def _settle(streets: Streets, rng: np.random.Generator) -> People:
    """About 7,000 households, denser in the centre."""
    density = np.array([1.0 - 0.55 * min(math.hypot(*at) / 900, 1.0) for at in streets.crossings])
    customers = [int(n) for n in np.round(95 * density * rng.lognormal(0, 0.35, len(density)))]
    facility: dict[int, str] = {}
    centre: Point = (0.0, 0.0)
    for name in CRITICAL:
        radius, angle = 550 * math.sqrt(rng.random()), rng.uniform(0, 2 * math.pi)
        spot = (centre[0] + radius * math.cos(angle), centre[1] + radius * math.sin(angle))
        free = [c for c in range(len(streets.crossings)) if c not in facility]
        facility[streets.nearest(spot, free)] = name
    return People(customers, facility)
