"""What is lost while an asset is out of service: by a hydraulic model where there is one, else by the graph.

Each pipe, pump and valve of the model is closed in turn and the network solved pressure-driven; the demand that is no
longer delivered is the loss. A worker opens the model once. Without a model: lifeline.risk.reach.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, Field

from lifeline.errors import ConfigurationError
from lifeline.model import JsonObject
from lifeline.planning import Progress
from lifeline.planning.hydraulics import Model, opened
from lifeline.planning.pool import map_over
from lifeline.risk.assets import Bools, Floats
from lifeline.settings import load_settings
from lifeline.storage import health, standing
from lifeline.storage.database import Connection
from lifeline.storage.standing import Elements, Lost

LINK_KINDS = ("pipe", "pump", "valve")
UNSERVED = 0.5
"""A critical facility is without service when it gets less than this share of what it gets otherwise (default)."""


class Loss(NamedTuple):
    """What is lost with a link: share of the demand, customers, critical facilities."""

    share: float
    customers: float
    critical: int


@dataclass(frozen=True, slots=True)
class Closing:
    """Closes one link of a model; goes to the workers. ``customers`` and ``critical`` are by the model's node."""

    model: Model
    customers: tuple[tuple[str, int], ...]
    critical: tuple[str, ...]

    def __call__(self, link: str) -> Loss:
        engine = opened(self.model)
        intact, customers, critical = _intact(self)
        served = np.minimum(engine.delivered([link]), intact)
        share = np.divide(served, intact, out=np.ones(len(intact)), where=intact > 0)
        lost = 1.0 - float(served.sum()) / max(float(intact.sum()), 1e-12)
        return Loss(
            min(max(lost, 0.0), 1.0),
            float((customers * (1.0 - share)).sum()),
            int((critical & (share < UNSERVED)).sum()),
        )


@lru_cache(maxsize=2)
def _intact(closing: Closing) -> tuple[Floats, Floats, Bools]:
    """Of the model with nothing closed: what is delivered at each node, and who is there."""
    engine = opened(closing.model)
    customers, critical = dict(closing.customers), set(closing.critical)
    return (
        engine.delivered(),
        np.array([customers.get(node, 0) for node in engine.nodes], dtype=np.float64),
        np.array([node in critical for node in engine.nodes], dtype=np.bool_),
    )


def hydraulic(
    model: Model, found: Elements, *, cluster: str | None = None, workers: int | None = None,
    progress: Progress | None = None,
) -> Lost:  # fmt: skip
    """The loss with every asset that is a link of the model. Raises ConfigurationError where none is."""
    links = set(opened(model).links)
    chosen = [at for at, kind in enumerate(found.kind) if kind in LINK_KINDS and found.element[at] in links]
    if not chosen:
        raise ConfigurationError(
            f"none of the {len(links)} links of {model.name} is an asset: import the model first "
            f"(lifeline import {model.name}), or give its network with --network"
        )
    losses = map_over(
        closing_of(model, found),
        [found.element[at] for at in chosen],
        cluster=cluster,
        workers=workers,
        progress=progress,
        what="closing links",
    )
    return Lost(
        found.asset_id[chosen],
        np.array([each.share for each in losses]),
        np.array([round(each.customers) for each in losses], dtype=np.int_),
        np.array([each.critical for each in losses], dtype=np.int_),
    )


def closing_of(model: Model, found: Elements) -> Closing:
    """What the workers need to close links of the model."""
    nodes = [at for at, kind in enumerate(found.kind) if kind not in LINK_KINDS]
    return Closing(
        model,
        tuple((found.element[at], int(found.customers[at])) for at in nodes if found.customers[at]),
        tuple(found.element[at] for at in nodes if found.critical[at]),
    )


def compute(
    connection: Connection, now: datetime, networks: Sequence[str], model: Model | None = None, *,
    cluster: str | None = None, workers: int | None = None, progress: Progress | None = None,
) -> dict[str, int]:  # fmt: skip
    """Compute, keep and score anew; how many assets of each network. ``model`` is that of the one network given.

    In one transaction at the end: while it computes nothing is locked.
    """
    done: dict[str, int] = {}
    for network in networks:
        lost = standing.graph_criticality(network, standing.columns(connection, now, [network]))
        precise = None
        if model is not None:
            precise = hydraulic(
                model, standing.elements(connection, network), cluster=cluster, workers=workers, progress=progress
            )
        with connection.transaction():
            standing.store_criticality(connection, lost, "graph", now)
            if precise is not None:
                standing.store_criticality(connection, precise, "hydraulic", now)
            standing.recompute(connection, now, [network])
        done[network] = len(lost.asset_id) if precise is None else len(precise.asset_id)
    return done


def model_of(connection: Connection, network: str, hours: int = 24) -> Model | None:
    """The EPANET model of a network that was imported last, or None."""
    found = standing.model(connection, network, "epanet")
    return None if found is None else Model(*found, hours)


class Parameters(BaseModel):
    """Of a job of kind ``criticality``."""

    network: str | None = Field(None, description="Only this network; else all.")
    hours: int = Field(24, ge=0, le=168, description="Hours that are simulated where there is a model.")


def run(connection: Connection, parameters: JsonObject, progress: Progress) -> JsonObject:
    """The nightly job: every network, by its model where one was imported."""
    settings, asked = load_settings(), Parameters.model_validate(parameters)
    now = health.database_clock(connection)
    counted: JsonObject = {}
    networks = [asked.network] if asked.network else standing.networks(connection)
    for network in networks:
        model = model_of(connection, network, asked.hours)
        counted |= compute(connection, now, [network], model, cluster=settings.cluster or None, progress=progress)
    return {"assets": counted}
