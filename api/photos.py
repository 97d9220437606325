"""Routes of photos: the field sends them through a field link, the operations centre sees them as evidence.

A photo comes as its bytes, not as a form. What it is, its first bytes say: what it calls itself counts for nothing, and
it is served as the image that it is, with nosniff, to who has a key.
"""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Query, Request, Response
from pydantic import BaseModel

from api.access import Access
from api.city import city
from api.documents import document, respond
from api.fieldlinks import Token, read_link
from api.parameters import BigId, StrictRoute
from api.problems import ProblemError
from lifeline.model import Role
from lifeline.storage import directory, photos
from lifeline.storage.database import borrow
from lifeline.storage.photos import LARGEST, Photo

router = APIRouter(
    prefix="/api/v1", route_class=StrictRoute, tags=["photos"], dependencies=[Depends(Access(Role.VIEWER))]
)
field_router = APIRouter(prefix="/field", route_class=StrictRoute, tags=["field links"])


class PhotoOut(BaseModel):
    """A photo without its bytes. ``name``: who sent it, as they typed it."""

    id: int
    alert: int
    at: datetime
    name: str
    media_type: str
    size: int


class PhotoList(BaseModel):
    items: list[PhotoOut]


@field_router.post(
    "/{token}/photos",
    status_code=201,
    max_body_size=LARGEST,
    responses={
        403: {"description": "Not a link of ours"},
        409: {"description": "The link has sent its five photos"},
        410: {"description": "Expired"},
        413: {"description": "More than 512 KiB"},
        415: {"description": "Not a JPEG, PNG or WebP"},
    },
)
def send_photo(
    request: Request,
    token: Token,
    content: Annotated[bytes, Body(media_type="application/octet-stream")],
    name: Annotated[str, Query(max_length=80, description="Who sends it")] = "",
) -> PhotoOut:
    """Keep a photo as evidence of the link's alert; the same one twice is kept once. Five for a link."""
    here = city(request)
    link = read_link(here, token)
    now = here.clock()
    if link.expired(now):
        raise ProblemError(410, f"this link expired at {link.expires_at:%Y-%m-%d %H:%M} UTC")
    address = request.client.host if request.client else ""
    with borrow(here.pool) as connection:
        directory.alert(connection, link.alert_id)
        try:
            kept = photos.keep(connection, link, content, name, address, now)
        except ValueError as error:
            raise ProblemError(415, str(error)) from None
        found = photos.photos(connection, alert_id=link.alert_id)
    return _photo(next(each for each in found if each.photo_id == kept))


@router.get("/alerts/{id}/photos")
def list_photos(request: Request, id: BigId) -> PhotoList:  # noqa: A002
    """The photos of an alert, newest first."""
    with borrow(city(request).pool) as connection:
        directory.alert(connection, id)
        return PhotoList(items=[_photo(each) for each in photos.photos(connection, alert_id=id)])


@router.get("/incidents/{id}/photos")
def list_incident_photos(request: Request, id: BigId) -> PhotoList:  # noqa: A002
    """The photos of all alerts of an incident, newest first; empty where there is no such incident."""
    with borrow(city(request).pool) as connection:
        return PhotoList(items=[_photo(each) for each in photos.photos(connection, incident_id=id)])


@router.get("/photos/{id}", response_class=Response, responses={200: {"content": {"image/*": {}}}})
def get_photo(request: Request, id: BigId) -> Response:  # noqa: A002
    """One photo."""
    with borrow(city(request).pool) as connection:
        media_type, content = photos.content(connection, id)
    headers = {"Content-Disposition": f'inline; filename="photo-{id}"'}
    return respond(request, document(content, media_type, compressible=False), headers)


def _photo(photo: Photo) -> PhotoOut:
    return PhotoOut(
        id=photo.photo_id, alert=photo.alert_id, at=photo.at, name=photo.name, media_type=photo.media_type,
        size=photo.size,
    )  # fmt: skip
