"""A photo without what it tells of its sender: place, moment, camera, owner, a smaller picture from before it was cut.

A field crew or a citizen sends what a phone made, and phones write where the phone was beside every picture. Of each
form only those parts are kept that draw the picture; what follows its end (a moving photo's film, a second picture
with a place of its own) goes too. The picture itself is not decoded: nothing in it can harm the process. It is decoded
by the browser of who looks at it, so one that would fill its memory or hold it up is refused.

Forms: JPEG (ISO 10918-1, Annex B), PNG (W3C PNG 3, chapter 11), WebP (RFC 9649).
"""

import re
import struct
from collections.abc import Iterator

_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
"""What ends the data of a scan; a zero or a restart after 0xFF is part of it."""
_END, _SCAN, _COMMENT, _EXIF_AT = 0xD9, 0xDA, 0xFE, 0xE1
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of the segment that says how large a JPEG is."""
_COLOURS = {0xE2: b"ICC_PROFILE\0", 0xEE: b"Adobe"}
"""Segments of applications that say how a JPEG is drawn, and how each begins; every other one but JFIF's goes."""
_JFIF_AT, _JFIF = 0xE0, b"JFIF\0"
_THUMBNAIL_AT = 16
"""Where a JFIF segment gives width and height of its small picture, which follows."""
_EXIF = b"Exif\0\0"
_ORIENTATION = 0x0112
_DRAWN_PNG = frozenset(
    b"IHDR PLTE IDAT IEND tRNS cHRM gAMA iCCP sBIT sRGB cICP mDCV cLLI bKGD hIST pHYs sPLT acTL fcTL fdAT".split()
)
_DRAWN_WEBP = frozenset((b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP"))
_HAS_EXIF_OR_XMP = 0x0C
"""Bits of VP8X that announce what is taken out."""
_CUT_OFF = "the photo is cut off: it ends before its own end"
MOST_PIXELS = 25_000_000
"""A phone's photo has up to 24.5 million. Each takes four bytes of who looks at it, however few it was sent as."""
_MOST_SCANS = 100
"""Of a JPEG. A progressive one has about ten, and each goes over the whole picture."""


def media_type_of(content: bytes) -> str | None:
    """What the first bytes say that it is: JPEG, PNG or WebP; None for anything else, whatever it is called."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return "image/jpeg" if content.startswith(_JPEG) else "image/png" if content.startswith(_PNG) else None


def bare(content: bytes) -> bytes:
    """The photo's picture alone, pixel for pixel; of a JPEG also which way is up.

    Raises ValueError for what is no photo, for one that ends too early, and for one that only harms who looks at it.
    """
    form = {"image/jpeg": _jpeg, "image/png": _png, "image/webp": _webp}.get(media_type_of(content) or "")
    if form is None:
        raise ValueError("a photo is a JPEG, PNG or WebP")
    kept = form(content)
    pixels = _pixels(kept)
    if not pixels:
        raise ValueError("the photo does not say how large it is")
    if pixels > MOST_PIXELS:
        raise ValueError(f"a photo has {MOST_PIXELS // 1_000_000} million pixels at most")
    return kept


def _pixels(photo: bytes) -> int:
    """How large a bare photo says that it is; 0 where it says nothing."""
    if photo.startswith(_JPEG):
        frames = (segment for marker, segment, _ in _segments(photo) if marker in _FRAMES)
        return max((int.from_bytes(each[5:7]) * int.from_bytes(each[7:9]) for each in frames), default=0)
    kind = photo[12:16]  # the first chunk's in both other forms
    if kind == b"IHDR":
        return int.from_bytes(photo[16:20]) * int.from_bytes(photo[20:24])
    if kind == b"VP8 ":
        return (_little(photo[26:28]) & 0x3FFF) * (_little(photo[28:30]) & 0x3FFF)
    if kind == b"VP8L":
        both = _little(photo[21:25])
        return ((both & 0x3FFF) + 1) * ((both >> 14 & 0x3FFF) + 1)
    return (_little(photo[24:27]) + 1) * (_little(photo[27:30]) + 1) if kind == b"VP8X" else 0


def _little(told: bytes) -> int:
    return int.from_bytes(told, "little")


def _jpeg(content: bytes) -> bytes:
    kept, scans = [content[:2]], 0
    for marker, segment, scan in _segments(content):
        scans += marker == _SCAN
        if scans > _MOST_SCANS:
            raise ValueError("the photo is drawn over and over")
        if marker == _JFIF_AT and segment.startswith(_JFIF, 4) and len(segment) >= _THUMBNAIL_AT:
            kept.append(_without_thumbnail(segment))
        elif marker == _EXIF_AT and (way := _way_up(segment[4:])) > 1:
            kept.append(_upright(way))
        elif marker != _COMMENT and (not 0xE0 <= marker <= 0xEF or _says_colours(marker, segment[4:])):
            kept += [segment, scan]
    return b"".join(kept)


def _segments(content: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Marker, the segment with it, and the data of the scan that follows it, to the end of the picture."""
    at = 2
    while True:
        marker = content[at + 1] if content[at : at + 1] == b"\xff" and len(content) > at + 1 else 0
        if marker == 0xFF:  # a marker may stand behind any number of these
            at += 1
            continue
        if marker == _END:
            yield marker, content[at : at + 2], b""
            return
        length = int.from_bytes(content[at + 2 : at + 4]) if marker else 0
        end = at + 2 + length
        if length < 2 or end > len(content):
            raise ValueError(_CUT_OFF)
        following = _MARKER.search(content, end) if marker == _SCAN else None
        if marker == _SCAN and following is None:
            raise ValueError(_CUT_OFF)
        until = following.start() if following else end
        yield marker, content[at:end], content[end:until]
        at = until


def _without_thumbnail(segment: bytes) -> bytes:
    """A JFIF segment with no small picture in it."""
    told = segment[4:_THUMBNAIL_AT] + b"\0\0"
    return segment[:2] + (2 + len(told)).to_bytes(2) + told


def _says_colours(marker: int, body: bytes) -> bool:
    return marker in _COLOURS and body.startswith(_COLOURS[marker])


def _way_up(body: bytes) -> int:
    """The orientation that an EXIF segment tells, 1 to 8; 0 where it tells none."""
    tiff = body.removeprefix(_EXIF)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if len(tiff) == len(body) or order is None or len(tiff) < 10:
        return 0
    (first,) = struct.unpack_from(f"{order}I", tiff, 4)
    for at in range(first + 2, len(tiff) - 11, 12):
        tag, kind, count, value = struct.unpack_from(f"{order}HHIH", tiff, at)
        if (tag, kind, count) == (_ORIENTATION, 3, 1):
            return int(value) if value <= 8 else 0
    return 0


def _upright(way: int) -> bytes:
    """An EXIF segment that tells the orientation and nothing else."""
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, _ORIENTATION, 3, 1, way, 0, 0)
    return struct.pack(">BBH", 0xFF, _EXIF_AT, 2 + len(_EXIF) + len(tiff)) + _EXIF + tiff


def _png(content: bytes) -> bytes:
    kept, at, kind = [content[: len(_PNG)]], len(_PNG), b""
    while kind != b"IEND":
        length, kind = int.from_bytes(content[at : at + 4]), content[at + 4 : at + 8]
        end = at + 12 + length
        if end > len(content):
            raise ValueError(_CUT_OFF)
        if kind in _DRAWN_PNG:
            kept.append(content[at:end])
        at = end
    return b"".join(kept)


def _webp(content: bytes) -> bytes:
    size = 8 + _little(content[4:8])
    kept, at = [], 12
    while at < size:
        length, kind = _little(content[at + 4 : at + 8]), content[at : at + 4]
        end = at + 8 + length + length % 2
        if end > len(content):
            raise ValueError(_CUT_OFF)
        if kind == b"VP8X" and length:
            kept.append(content[at : at + 8] + bytes([content[at + 8] & ~_HAS_EXIF_OR_XMP]) + content[at + 9 : end])
        elif kind in _DRAWN_WEBP:
            kept.append(content[at:end])
        at = end
    body = b"WEBP" + b"".join(kept)
    return b"RIFF" + len(body).to_bytes(4, "little") + body
