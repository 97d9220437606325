"""Bytes that are served as they are: hashed once, compressed when first asked for so, then answered with 304 or a copy.

The ETag is made of the content, so that two instances of the API that see the same rows agree on it.
"""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cached_property

import orjson
import zstandard
from fastapi import Request, Response

GEOJSON = "application/geo+json"

SMALLEST_COMPRESSED = 1024
"""Below this a compressed body saves no packet."""


@dataclass(frozen=True)
class Document:
    """A body with its ETag and, where they pay, its compressed forms, each made when the first client asks for it."""

    body: bytes
    media_type: str
    etag: str
    compressible: bool
    level: int

    @cached_property
    def zstd(self) -> bytes | None:
        """The body as zstd; None where that would not pay."""
        return zstandard.ZstdCompressor(level=3).compress(self.body) if self.compressible else None

    @cached_property
    def gzip(self) -> bytes | None:
        """The body as gzip; None where that would not pay."""
        return gzip.compress(self.body, self.level, mtime=0) if self.compressible else None


def document(body: bytes, media_type: str, *, compressible: bool = True, level: int = 6) -> Document:
    """Hash a body. ``level`` is gzip's; zstd is about as small at its own level 3."""
    etag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    return Document(body, media_type, etag, compressible and len(body) >= SMALLEST_COMPRESSED, level)


def respond(request: Request, found: Document, headers: dict[str, str] | None = None) -> Response:
    """304 where the client has this very body already, else the body in the best form that it accepts.

    By default asked for anew each time and kept by nobody on the way: it may be one caller's part of the city, and
    a shared computer shows nothing to who may no longer see it.
    """
    sent = {"ETag": found.etag, "Vary": "Accept-Encoding", "Cache-Control": "private, no-cache", **(headers or {})}
    if _matches(request.headers.get("if-none-match"), found.etag):
        return Response(status_code=304, headers=sent)
    accepted = accepted_encodings(request.headers.get("accept-encoding", ""))
    body, encoding = found.body, ""
    if "zstd" in accepted and (packed := found.zstd) is not None:
        body, encoding = packed, "zstd"
    elif "gzip" in accepted and (packed := found.gzip) is not None:
        body, encoding = packed, "gzip"
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
