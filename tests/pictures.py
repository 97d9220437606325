"""Photos for tests: the least that is one, and what a phone makes of a picture."""

import io
import struct
import zlib

from PIL import ExifTags, Image, PngImagePlugin

SECRETS = (b"Hefei", b"SECRETCAM", b"117.27", b"2026:11:22")
"""What ``phone_photo`` tells beside its picture."""


def chunk(kind: bytes, data: bytes) -> bytes:
    """One chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def picture(shade: int = 0, padding: int = 0) -> bytes:
    """A PNG of one grey pixel; ``padding`` bytes more in a palette that nobody reads."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n" + head + chunk(b"sPLT", b"\0" * padding) + chunk(b"IDAT", zlib.compress(bytes([0, shade])))
        + chunk(b"IEND", b"")
    )  # fmt: skip


def colours() -> Image.Image:
    """Every pixel another colour, so that a picture that was harmed is another one."""
    found = Image.new("RGB", (16, 12))
    found.putdata([(x * 15, y * 20, (x * y) % 256) for y in range(12) for x in range(16)])
    return found


def phone_photo(form: str = "JPEG", *, orientation: int | None = None, **options: object) -> bytes:
    """A photo that tells everything that its form has room for: camera, moment, place."""
    file = io.BytesIO()
    if form == "JPEG":
        options |= {"comment": b"at Hefei", "xmp": b"<x>Hefei 117.27</x>"}
    if form == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_text("Location", "Hefei 117.27")
        text.add_itxt("XML:com.adobe.xmp", "<x>Hefei</x>")
        options |= {"pnginfo": text}
    if form == "WEBP":
        options |= {"lossless": True, "xmp": b"<x>Hefei 117.27</x>"}
    colours().save(file, form, exif=_told(orientation), **options)  # type: ignore[arg-type]
    return file.getvalue()


def _told(orientation: int | None) -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "SECRETCAM"
    exif[ExifTags.Base.DateTime] = "2026:11:22 13:00:00"
    if orientation is not None:
        exif[ExifTags.Base.Orientation] = orientation
    place = {ExifTags.GPS.GPSAreaInformation: b"Hefei 117.27", 1: "N", 2: (31.0, 52.0, 0.0)}
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(place)
    return exif
