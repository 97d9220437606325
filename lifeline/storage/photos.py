"""Photos that the field sends through a field link: evidence of an alert, kept without place and camera."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from lifeline.errors import ConflictError, NotFoundError
from lifeline.fieldlink import FieldLink
from lifeline.photo import bare, media_type_of
from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.queries import load

LARGEST = 524_288
"""Bytes; the page on the phone makes a photo smaller before it sends it."""
MOST_OF_A_LINK = 5

_SQL = load("photos")


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo without its bytes. ``name`` is who sent it, as they typed it."""

    photo_id: int
    alert_id: int
    at: datetime
    name: str
    media_type: str
    size: int


def storable(content: bytes) -> dict[str, object]:
    """A photo as it is kept: ``media_type``, ``content`` without what it tells of its sender, its SHA-256 ``digest``.

    Raises ValueError for bytes that are no photo, are cut off, or are too many.
    """
    kept = bare(content)
    if len(kept) > LARGEST:
        raise ValueError(f"a photo has {LARGEST} bytes at most")
    return {"media_type": media_type_of(kept), "content": kept, "digest": hashlib.sha256(kept).digest()}


def keep(connection: Connection, link: FieldLink, content: bytes, name: str, address: str, now: datetime) -> int:
    """Keep a photo; its id. The same one again is kept once.

    Raises ValueError for bytes that are no photo or too many; ConflictError where the link has sent its five.
    """
    values = {
        "alert_id": link.alert_id, "nonce": link.nonce, "now": now, "name": name, "address": address,
        **storable(content),
    }  # fmt: skip
    with storage_errors(), connection.transaction():
        connection.execute(_SQL["lock"], values)
        known = connection.execute(_SQL["known"], values).fetchone()
        if known is not None:
            return int(known[0])
        sent = connection.execute(_SQL["sent"], values).fetchone()
        if sent is not None and sent[0] >= MOST_OF_A_LINK:
            raise ConflictError(f"this link has sent {MOST_OF_A_LINK} photos already")
        row = connection.execute(_SQL["keep"], values).fetchone()
    if row is None:
        raise NotFoundError(f"there is no alert {link.alert_id}")
    return int(row[0])


def photos(connection: Connection, *, alert_id: int | None = None, incident_id: int | None = None) -> list[Photo]:
    """The newest hundred photos of an alert, or of all alerts of an incident."""
    with storage_errors():
        rows = connection.execute(_SQL["list"], {"alert_id": alert_id, "incident_id": incident_id}).fetchall()
    return [Photo(*row) for row in rows]


def content(connection: Connection, photo_id: int) -> tuple[str, bytes]:
    """Media type and bytes of a photo. Raises NotFoundError."""
    with storage_errors():
        row = connection.execute(_SQL["content"], {"photo_id": photo_id}).fetchone()
    if row is None:
        raise NotFoundError(f"there is no photo {photo_id}")
    return str(row[0]), bytes(row[1])
