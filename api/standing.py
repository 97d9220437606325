"""Routes of what stands without any alert: criticality, the 5x5 matrix, and the stress tests that were computed."""

from datetime import datetime
from typing import Literal

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel

from api.access import Access
from api.city import city
from api.parameters import After, BigId, Limit, Network, StrictRoute, decode_cursor, encode_cursor
from lifeline.model import JsonObject, Role
from lifeline.storage import standing, stress
from lifeline.storage.database import borrow
from lifeline.storage.stress import StressTest

router = APIRouter(prefix="/api/v1", route_class=StrictRoute, tags=["planning"])
_viewer = Depends(Access(Role.VIEWER))
Kind = Literal["storm", "loss", "earthquake"]
Method = Literal["hydraulic", "graph"]


class CriticalOut(BaseModel):
    """What is lost while an asset is out of service: share of the demand (or of who is served), and who."""

    asset: str
    name: str
    network: str
    kind: str
    loss: float
    customers_lost: int
    critical_lost: int
    method: Method
    computed_at: datetime


class CriticalList(BaseModel):
    items: list[CriticalOut]


class MatrixOut(BaseModel):
    """``counts[i][j]``: assets whose likelihood of failure is class i + 1 and whose consequence is class j + 1."""

    network: str
    assets: int
    counts: list[list[int]]


class MatrixList(BaseModel):
    items: list[MatrixOut]


class StressTestOut(BaseModel):
    """A stress test. ``result`` holds its figures; ``weakest`` in it stands only where one test is asked for."""

    id: int
    kind: Kind
    network: str
    method: Method
    parameters: JsonObject
    result: JsonObject
    computed_at: datetime
    requested_by: str


class StressTestPage(BaseModel):
    items: list[StressTestOut]
    next: str | None


@router.get("/risk/criticality", dependencies=[_viewer])
def list_critical(request: Request, network: Network = None, limit: Limit = 100) -> CriticalList:
    """The assets whose loss costs most customers, then most demand, worst first."""
    with borrow(city(request).pool) as connection:
        found = standing.most_critical(connection, network, limit)
    return CriticalList(items=[CriticalOut.model_validate(each._asdict()) for each in found])


@router.get("/risk/matrix", dependencies=[_viewer])
def count_matrix(request: Request, network: Network = None) -> MatrixList:
    """How many assets stand in each field of likelihood by consequence, by network."""
    with borrow(city(request).pool) as connection:
        known = [each for each in standing.networks(connection) if network in (None, each)]
        counted = [(name, standing.matrix(connection, name)) for name in known]
    return MatrixList(
        items=[MatrixOut(network=name, assets=sum(map(sum, counts)), counts=counts) for name, counts in counted]
    )


@router.get("/stress-tests", dependencies=[_viewer])
def list_stress_tests(
    request: Request, kind: Kind | None = None, network: Network = None, limit: Limit = 100, after: After = None
) -> StressTestPage:
    """Stress tests that were computed, the newest first, page by page; ask for one as a job of kind `stress`."""
    cursor = decode_cursor(after, int)
    with borrow(city(request).pool) as connection:
        found = stress.kept_tests(
            connection, kind=kind, network=network, before=cursor[0] if cursor else None, limit=limit + 1
        )
    more = encode_cursor(found[limit - 1].stress_test_id) if len(found) > limit else None
    return StressTestPage(items=[_out(each, whole=False) for each in found[:limit]], next=more)


@router.get("/stress-tests/{id}", dependencies=[_viewer])
def get_stress_test(request: Request, id: BigId) -> StressTestOut:  # noqa: A002
    """One stress test with its weakest places."""
    with borrow(city(request).pool) as connection:
        return _out(stress.kept_test(connection, id), whole=True)


def _out(test: StressTest, *, whole: bool) -> StressTestOut:
    told = {name: value for name, value in test._asdict().items() if name != "stress_test_id"}
    if not whole:
        told["result"] = {name: value for name, value in test.result.items() if name != "weakest"}
    return StressTestOut(id=test.stress_test_id, **told)
