"""The route that tells administrators who changed what."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from api.access import Access
from api.city import city
from api.parameters import After, Limit, Moment, StrictRoute, decode_cursor, encode_cursor
from lifeline.model import JsonObject, Role
from lifeline.storage import audit
from lifeline.storage.database import borrow

router = APIRouter(prefix="/api/v1", route_class=StrictRoute, tags=["access"])
Word = Annotated[str | None, Query(max_length=128)]


class ChangeOut(BaseModel):
    """One changed row: by whom (``actor_kind`` key, user, token, link or command), from where, by which request; the
    fields that changed, as they were and as they are. A secret stands there as `old` and `new`."""

    model_config = ConfigDict(from_attributes=True)

    id: Annotated[int, Field(validation_alias="audit_id")]
    at: datetime
    actor: str
    actor_kind: str
    address: str
    request: str
    action: str
    what: str
    row: Annotated[str, Field(validation_alias="id")]
    before: JsonObject | None
    after: JsonObject | None


class ChangePage(BaseModel):
    items: list[ChangeOut]
    next: str | None


@router.get("/audit", dependencies=[Depends(Access(Role.ADMIN))])
def list_audit(
    request: Request,
    actor: Word = None,
    what: Annotated[str | None, Query(max_length=128, description="A table", examples=["endpoint"])] = None,
    row: Word = None,
    since: Annotated[Moment | None, Query()] = None,
    until: Annotated[Moment | None, Query()] = None,
    limit: Limit = 100,
    after: After = None,
) -> ChangePage:
    """Changes, the newest first."""
    (before,) = decode_cursor(after, int) or (None,)
    with borrow(city(request).pool) as connection:
        found = audit.changes(
            connection, actor=actor, what=what, id=row, since=since, until=until, before=before, limit=limit + 1
        )
    more = encode_cursor(found[limit - 1].audit_id) if len(found) > limit else None
    return ChangePage(items=[ChangeOut.model_validate(each) for each in found[:limit]], next=more)
