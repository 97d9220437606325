"""Routes for those who keep Lifeline itself well: quarantine, silent sensors, room on disk."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel

from api.access import Access
from api.city import city
from api.inventory import SensorPage, sensor_out
from api.parameters import After, Limit, Network, StrictRoute, decode_cursor, encode_cursor
from lifeline.model import Reason, Role
from lifeline.storage import health, quarantine, silence
from lifeline.storage.database import borrow
from lifeline.storage.quarantine import Held

router = APIRouter(prefix="/api/v1", route_class=StrictRoute, tags=["administration"])
_viewer = Depends(Access(Role.VIEWER))


class ReasonOut(BaseModel):
    reason: Reason
    count: int
    last: datetime


class ReasonsOut(BaseModel):
    """Rows by reason, the most frequent first, of what came since ``since``."""

    since: datetime
    items: list[ReasonOut]


class HeldOut(BaseModel):
    """A reading or message that could not be taken. ``payload``: the first 4,096 of its ``size`` bytes, in hexadecimal;
    ``text``: the same where it is UTF-8."""

    id: int
    received_at: datetime
    topic: str
    reason: Reason
    detail: str
    channel: str | None
    reading_ts: datetime | None
    size: int
    payload: str
    text: str | None


class HeldPage(BaseModel):
    items: list[HeldOut]
    next: str | None


class StorageOut(BaseModel):
    """Bytes on disk by table with its indexes, the largest first; a hypertable with all its chunks."""

    bytes: int
    tables: dict[str, int]


@router.get("/quarantine/reasons", dependencies=[_viewer])
def list_reasons(request: Request, days: Annotated[float, Query(gt=0, le=365)] = 7) -> ReasonsOut:
    """How much could not be taken, by reason."""
    here = city(request)
    since = here.clock() - timedelta(days=days)
    with borrow(here.pool) as connection:
        found = quarantine.reasons(connection, since)
    return ReasonsOut(
        since=since, items=[ReasonOut(reason=each.reason, count=each.count, last=each.last) for each in found]
    )


@router.get("/quarantine", dependencies=[_viewer])
def list_quarantine(
    request: Request, reason: Reason | None = None, limit: Limit = 100, after: After = None
) -> HeldPage:
    """What could not be taken, the newest first, with its own bytes."""
    (before,) = decode_cursor(after, int) or (None,)
    with borrow(city(request).pool) as connection:
        found = quarantine.held(connection, before=before, reason=reason, limit=limit + 1)
    more = encode_cursor(found[limit - 1].quarantine_id) if len(found) > limit else None
    return HeldPage(items=[_held(each) for each in found[:limit]], next=more)


@router.get("/silent", dependencies=[_viewer])
def list_silent(request: Request, network: Network = None, limit: Limit = 100, after: After = None) -> SensorPage:
    """Sensors in service that were not heard within their longest silence, or never; in order of their entry."""
    (behind,) = decode_cursor(after, int) or (0,)
    here = city(request)
    now = here.clock()
    longest = {key: quantity.max_silence_s for key, quantity in here.catalogue.quantities.items()}
    with borrow(here.pool) as connection:
        found = silence.silent(connection, longest, now, after=behind, limit=limit + 1, network=network)
    more = encode_cursor(found[limit - 1].sensor_id) if len(found) > limit else None
    return SensorPage(items=[sensor_out(each, here, now) for each in found[:limit]], next=more)


@router.get("/system/storage", dependencies=[_viewer])
def get_storage(request: Request) -> StorageOut:
    """How much room the tables take."""
    with borrow(city(request).pool) as connection:
        tables = health.disk_usage(connection)
    return StorageOut(bytes=sum(tables.values()), tables=tables)


def _held(each: Held) -> HeldOut:
    try:
        text = each.payload.decode("utf-8")
    except UnicodeDecodeError:
        text = None
    return HeldOut(
        id=each.quarantine_id,
        received_at=each.received_at,
        topic=each.topic,
        reason=each.reason,
        detail=each.detail,
        channel=each.channel,
        reading_ts=each.reading_ts,
        size=each.size,
        payload=each.payload.hex(),
        text=text,
    )
