"""Photos that the field sends through a field link: evidence of an alert, kept as they came."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from lifeline.errors import ConflictError, NotFoundError
from lifeline.fieldlink import FieldLink
from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.queries import load

LARGEST = 524_288
"""Bytes; the page on the phone makes a photo smaller before it sends it."""
MOST_OF_A_LINK = 5

_SQL = load("photos")
_BEGINNINGS = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n\x1a\n": "image/png"}


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo without its bytes. ``name`` is who sent it, as they typed it."""

    photo_id: int
    alert_id: int
    at: datetime
    name: str
    media_type: str
    size: int


def media_type_of(content: bytes) -> str | None:
    """What the first bytes say that it is: JPEG, PNG or WebP; None for anything else, whatever it is called."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for beginning, kind in _BEGINNINGS.items() if content.startswith(beginning)), None)


def keep(connection: Connection, link: FieldLink, content: bytes, name: str, address: str, now: datetime) -> int:
    """Keep a photo; its id. The same one again is kept once.

    Raises ValueError for bytes that are no photo or too many; ConflictError where the link has sent its five.
    """
    media_type = media_type_of(content)
    if media_type is None or len(content) > LARGEST:
        raise ValueError(f"a photo is a JPEG, PNG or WebP of {LARGEST} bytes at most")
    values = {
        "alert_id": link.alert_id, "nonce": link.nonce, "now": now, "name": name, "address": address,
        "media_type": media_type, "content": content, "digest": hashlib.sha256(content).digest(),
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
