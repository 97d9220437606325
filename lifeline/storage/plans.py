"""Renewal plans: the pipes that they are made over, and what was planned."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from psycopg.types.json import Jsonb

from lifeline.errors import NotFoundError
from lifeline.model import Asset, AssetKind, JsonObject, RoadClass
from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.queries import load

_SQL = load("plans")


class Pipes(NamedTuple):
    """Pipes with their standing risk: ``lof`` and ``cof`` 1..5, ``rate`` failures per km and year,
    (n,), NaN where none was computed."""

    assets: list[Asset]
    lof: NDArray[np.float64]
    cof: NDArray[np.float64]
    rate: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """A plan without its works."""

    plan_id: int
    job_id: int | None
    name: str
    parameters: JsonObject
    summary: JsonObject
    created_by: str
    created_at: datetime


def pipes(connection: Connection, network: str | None = None, zone: str | None = None) -> Pipes:
    """Pipes in service of a network (None: of all), that lie mostly in a zone where one is named.

    Raises NotFoundError for a zone that there is not.
    """
    values = {"network": network, "zone": zone}
    with storage_errors():
        if zone is not None and connection.execute(_SQL["zone_exists"], values).fetchone() is None:
            raise NotFoundError(f"there is no zone {zone!r}")
        rows = connection.execute(_SQL["pipes"], values).fetchall()
    known = np.array([row[20:] for row in rows], dtype=np.float64).reshape(-1, 3)  # None becomes NaN
    return Pipes([_asset(row[:20]) for row in rows], *known.T)


def served(connection: Connection, network: str | None = None) -> dict[str, int]:
    """Customers at each joint in service that holds some, by its external id."""
    with storage_errors():
        return dict(connection.execute(_SQL["served"], {"network": network}).fetchall())


def _asset(row: Sequence[object]) -> Asset:
    asset = Asset(*row)  # type: ignore[arg-type]
    values = {name: getattr(asset, name) for name in Asset.__slots__}
    road = RoadClass(asset.road_class) if asset.road_class else None
    return Asset(**values | {"kind": AssetKind(asset.kind), "road_class": road})


def store_plan(
    connection: Connection,
    works: Sequence[JsonObject],
    *,
    name: str,
    parameters: JsonObject,
    summary: JsonObject,
    actor: str,
    now: datetime,
    job_id: int | None = None,
    pdf: bytes | None = None,
) -> int:
    """Keep a plan with its works (rows of lifeline.planning.documents); replaces what the same job wrote before."""
    values = {
        "job": job_id, "name": name, "parameters": Jsonb(parameters), "summary": Jsonb(summary), "actor": actor,
        "now": now,
    }  # fmt: skip
    with storage_errors(), connection.transaction():
        connection.execute(_SQL["forget"], values)
        row = connection.execute(_SQL["store"], values).fetchone()
        plan_id = int(row[0]) if row else 0
        with connection.cursor() as cursor:
            cursor.executemany(_SQL["store_work"], [_work(plan_id, work) for work in works])
        if pdf is not None:
            connection.execute(_SQL["store_document"], {"plan": plan_id, "format": "pdf", "content": pdf})
    return plan_id


_OWN = ("work", "year", "cost", "gain", "assets", "lines")


def _work(plan_id: int, work: JsonObject) -> JsonObject:
    return {
        "plan": plan_id,
        **{name: work[name] for name in ("work", "year", "cost", "gain", "assets")},
        "detail": Jsonb({name: value for name, value in work.items() if name not in _OWN}),
        "geometry": Jsonb({"type": "MultiLineString", "coordinates": work["lines"]}),
    }


def list_plans(connection: Connection, before: int | None = None, limit: int = 100) -> list[StoredPlan]:
    """Plans, the newest first."""
    with storage_errors():
        return [StoredPlan(*row) for row in connection.execute(_SQL["list"], {"before": before, "limit": limit})]


def get_plan(connection: Connection, plan_id: int) -> StoredPlan:
    """One plan. Raises NotFoundError."""
    with storage_errors():
        row = connection.execute(_SQL["get"], {"plan": plan_id}).fetchone()
    if row is None:
        raise NotFoundError(f"there is no plan {plan_id}")
    return StoredPlan(*row)


def works(connection: Connection, plan_id: int) -> list[JsonObject]:
    """The works of a plan, as they were stored."""
    with storage_errors():
        rows = connection.execute(_SQL["works"], {"plan": plan_id}).fetchall()
    return [
        {"work": work, "year": year, "cost": cost, "gain": gain, **detail, "assets": assets}
        | {"lines": geometry["coordinates"]}
        for work, year, cost, gain, detail, assets, geometry in rows
    ]


def document(connection: Connection, plan_id: int, format_: str) -> bytes:
    """A document of a plan. Raises NotFoundError where there is none."""
    with storage_errors():
        row = connection.execute(_SQL["document"], {"plan": plan_id, "format": format_}).fetchone()
    if row is None:
        raise NotFoundError(f"plan {plan_id} has no {format_}")
    return bytes(row[0])
