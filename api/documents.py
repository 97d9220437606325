"""Bytes that are served as they are: hashed and compressed once, then answered with 304 or a copy.

The ETag is made of the content, so that two instances of the API that see the same rows agree on it.
"""

import gzip
import hashlib
from dataclasses import dataclass

import orjson
import zstandard
from fastapi import Request, Response

GEOJSON = "application/geo+json"

SMALLEST_COMPRESSED = 1024
"""Below this a compressed body saves no packet."""


@dataclass(frozen=True, slots=True)
class Document:
    """A body with its ETag and its compressed forms (None where they would not pay)."""

    body: bytes
    media_type: str
    etag: str
    zstd: bytes | None
    gzip: bytes | None


def document(body: bytes, media_type: str, *, compressible: bool = True, level: int = 6) -> Document:
    """Hash and compress a body. ``level`` is gzip's; zstd is about as small at its own level 3."""
    etag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    if not compressible or len(body) < SMALLEST_COMPRESSED:
        return Document(body, media_type, etag, None, None)
    packed = zstandard.ZstdCompressor(level=3).compress(body)
    return Document(body, media_type, etag, packed, gzip.compress(body, level, mtime=0))


def respond(request: Request, found: Document, headers: dict[str, str] | None = None) -> Response:
    """304 where the client has this very body already, else the body in the best form that it accepts."""
    sent = {"ETag": found.etag, "Vary": "Accept-Encoding", "Cache-Control": "no-cache", **(headers or {})}
    if _matches(request.headers.get("if-none-match"), found.etag):
        return Response(status_code=304, headers=sent)
    accepted = accepted_encodings(request.headers.get("accept-encoding", ""))
    body, encoding = found.body, ""
    if found.zstd is not None and "zstd" in accepted:
        body, encoding = found.zstd, "zstd"
    elif found.gzip is not None and "gzip" in accepted:
        body, encoding = found.gzip, "gzip"
    if encoding:
        sent["Content-Encoding"] = encoding
    return Response(body, media_type=found.media_type, headers=sent)


def accepted_encodings(header: str) -> set[str]:
    """Names in an Accept-Encoding header, without those that it refuses by ``q=0``."""
    names = set()
    for each in header.lower().split(","):
        name, _, weight = each.partition(";")
        if weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000"):
            names.add(name.strip())
    return names


def collection(features: list[bytes], **members: object) -> bytes:
    """A FeatureCollection of encoded features, with foreign members in front."""
    head = orjson.dumps({"type": "FeatureCollection", "numberReturned": len(features), **members})
    return b'%b,"features":[%b]}' % (head[:-1], b",".join(features))


def _matches(header: str | None, etag: str) -> bool:
    """Weak comparison of RFC 9110, 13.1.2."""
    if header is None:
        return False
    return header.strip() == "*" or etag in (each.strip().removeprefix("W/") for each in header.split(","))
