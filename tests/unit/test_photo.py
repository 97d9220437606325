"""A photo is kept without place, moment and camera, and shows the same picture as before."""

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image

from lifeline.photo import bare, media_type_of
from tests.pictures import SECRETS, chunk, phone_photo

TURNED = 6
"""EXIF's orientation of a phone held upright."""


def pixels(content: bytes) -> bytes:
    return Image.open(io.BytesIO(content)).convert("RGB").tobytes()


FORMS = [
    ("JPEG", {}),
    ("JPEG", {"progressive": True}),
    ("JPEG", {"restart_marker_blocks": 1}),
    ("PNG", {}),
    ("WEBP", {}),
]


@pytest.mark.parametrize(("form", "options"), FORMS, ids=str)
def test_place_camera_and_moment_go_and_the_picture_stays(form: str, options: dict[str, object]) -> None:
    sent = phone_photo(form, **options)
    assert any(secret in sent for secret in SECRETS), "the test has something to find"
    kept = bare(sent)
    assert not [secret for secret in SECRETS if secret in kept]
    opened = Image.open(io.BytesIO(kept))
    assert dict(opened.getexif()) == {}
    assert not {"exif", "xmp", "comment", "Location"} & set(opened.info)
    assert pixels(kept) == pixels(sent)
    assert media_type_of(kept) == media_type_of(sent)
    assert len(kept) < len(sent)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_what_is_bare_already_stays_as_it_is(form: str) -> None:
    once = bare(phone_photo(form, orientation=TURNED))
    assert bare(once) == once


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_that_was_taken_upright_is_shown_upright(orientation: int) -> None:
    """How a phone was held is the one thing that a JPEG's EXIF says about the picture itself."""
    opened = Image.open(io.BytesIO(bare(phone_photo("JPEG", orientation=orientation))))
    kept = {ExifTags.Base.Orientation: orientation} if orientation > 1 else {}
    assert dict(opened.getexif()) == kept
    assert opened.getexif().get_ifd(ExifTags.IFD.GPSInfo) == {}


def test_a_big_endian_phone_is_understood_too() -> None:
    tiff = b"MM\0*\0\0\0\x08" + b"\0\2" + b"\1\x0f\0\2\0\0\0\4CAM\0" + b"\1\x12\0\3\0\0\0\1\0\6\0\0" + b"\0\0\0\0"
    segment = b"\xff\xe1" + struct.pack(">H", len(tiff) + 8) + b"Exif\0\0" + tiff
    clean = bare(phone_photo("JPEG"))
    kept = bare(clean[:2] + segment + clean[2:])
    assert Image.open(io.BytesIO(kept)).getexif()[ExifTags.Base.Orientation] == TURNED
    assert b"CAM" not in kept


@pytest.mark.parametrize(
    "tiff",
    [
        b"",
        b"II",
        b"XX*\0\x08\0\0\0",
        b"II*\0\xff\xff\xff\x7f",
        b"II*\0\x08\0\0\0\xff\xff",
        b"II*\0\x08\0\0\0\1\0\x12\1\3\0",
    ],
)
def test_an_exif_that_makes_no_sense_says_nothing_and_goes(tiff: bytes) -> None:
    clean = bare(phone_photo("JPEG"))
    segment = b"\xff\xe1" + struct.pack(">H", len(tiff) + 8) + b"Exif\0\0" + tiff
    assert bare(clean[:2] + segment + clean[2:]) == clean


def test_colours_are_kept_and_what_else_hides_in_segments_goes() -> None:
    """ICC and Adobe's mark say how colours are meant; Photoshop's block has place and caption, MPF further pictures."""
    clean = bare(phone_photo("JPEG"))

    def segment(marker: int, body: bytes) -> bytes:
        return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body

    colours = segment(0xE2, b"ICC_PROFILE\0\1\1xx") + segment(0xEE, b"Adobe\0d\0\0\0\0\1")
    hidden = segment(0xED, b"Photoshop 3.0\0Hefei") + segment(0xE2, b"MPF\0Hefei") + segment(0xEF, b"Hefei")
    assert bare(clean[:2] + colours + hidden + clean[2:]) == clean[:2] + colours + clean[2:]


def test_a_small_picture_from_before_it_was_cut_goes_and_the_frame_of_jfif_stays() -> None:
    """JFIF has room for a thumbnail in its own segment, and for three kinds of them in the one behind it."""
    clean = bare(phone_photo("JPEG"))
    assert clean[2:4] == b"\xff\xe0"
    frame = clean[6:18]
    small = frame + b"\2\1" + b"Hefei!"
    told = b"\xff\xe0" + struct.pack(">H", len(small) + 2) + small
    behind = b"\xff\xe0" + struct.pack(">H", 14) + b"JFXX\0\x10Hefei!"
    kept = bare(clean[:2] + told + behind + clean[20:])
    assert kept == clean
    assert pixels(kept) == pixels(clean)


def test_a_frame_of_jfif_that_is_cut_short_goes() -> None:
    clean = bare(phone_photo("JPEG"))
    assert bare(clean[:2] + b"\xff\xe0\0\x09JFIF\0\1\1" + clean[20:]) == clean[:2] + clean[20:]


def large(form: str, width: int, height: int, **options: object) -> bytes:
    """A picture of one colour: what says how large it is stands in its first bytes."""
    file = io.BytesIO()
    Image.new("L" if form != "WEBP" else "RGB", (width, height)).save(file, form, **options)  # type: ignore[arg-type]
    return file.getvalue()


def said_to_be(content: bytes, width: int, height: int) -> bytes:
    """The same photo, which claims another size: a bomb takes no more bytes than a snapshot."""
    form = media_type_of(content)
    if form == "image/png":
        return content[:16] + struct.pack(">II", width, height) + content[24:]
    if form == "image/jpeg":
        at = min(content.index(b"\xff" + mark) for mark in (b"\xc0", b"\xc2") if b"\xff" + mark in content)
        return content[: at + 5] + struct.pack(">HH", height, width) + content[at + 9 :]
    at, kind = 20, content[12:16]
    if kind == b"VP8X":
        size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        return content[: at + 4] + size + content[at + 10 :]
    if kind == b"VP8L":
        return content[: at + 1] + ((width - 1) | (height - 1) << 14).to_bytes(4, "little") + content[at + 5 :]
    return content[: at + 6] + struct.pack("<HH", width, height) + content[at + 10 :]


SIZED = {
    "JPEG": large("JPEG", 40, 30),
    "progressive": large("JPEG", 40, 30, progressive=True),
    "PNG": large("PNG", 40, 30),
    "WebP with extras": phone_photo("WEBP"),
    "WebP, lossless": large("WEBP", 40, 30, lossless=True),
    "WebP": large("WEBP", 40, 30),
}


@pytest.mark.parametrize("name", SIZED)
@pytest.mark.parametrize(("width", "height"), [(5001, 5001), (16_000, 1600), (1600, 16_000)])
def test_a_photo_that_would_fill_the_memory_of_who_looks_at_it_is_refused(name: str, width: int, height: int) -> None:
    """Half a megabyte can unpack to gigabytes: the page of the operations centre must not be ended by a stranger."""
    assert bare(SIZED[name])
    with pytest.raises(ValueError, match="25 million pixels"):
        bare(said_to_be(SIZED[name], width, height))


@pytest.mark.parametrize("name", SIZED)
def test_a_photo_as_phones_make_them_is_not_too_large(name: str) -> None:
    """24.5 million pixels; and what says nothing of its size is no picture that anybody could see."""
    told = said_to_be(SIZED[name], 5712, 4284)
    assert len(bare(told)) <= len(told)


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_a_photo_that_does_not_begin_with_its_size_is_refused(form: str) -> None:
    clean = bare(phone_photo(form))
    with pytest.raises(ValueError, match="does not say how large"):
        bare(clean.replace(b"IHDR", b"IDAT", 1).replace(b"VP8X", b"ICCP", 1))


def test_a_picture_that_is_drawn_over_and_over_is_refused() -> None:
    """Each scan of a progressive JPEG goes over the whole picture again, for a few bytes."""
    clean = bare(phone_photo("JPEG", progressive=True))
    scan = clean.rindex(b"\xff\xda")
    again = clean[scan:-2]
    assert bare(clean[:scan] + again * 80 + clean[scan:])
    with pytest.raises(ValueError, match="over and over"):
        bare(clean[:scan] + again * 100 + clean[scan:])


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_what_follows_a_photo_is_not_kept(form: str) -> None:
    """The film of a moving photo, a second picture with a place of its own, or a program."""
    clean = bare(phone_photo(form))
    assert bare(clean + phone_photo("JPEG") + b"<script>Hefei</script>") == clean


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_photo_that_is_cut_off_is_refused(form: str) -> None:
    whole = phone_photo(form)
    for length in range(12, len(whole) - (0 if form == "WEBP" else 1), 7):
        with pytest.raises(ValueError, match="cut off"):
            bare(whole[:length])


@pytest.mark.parametrize(
    "content", [b"", b"GIF89a" + b"\0" * 50, b"%PDF-1.7", b"<svg onload=alert(1)>", b"RIFF1234WAVE"]
)
def test_what_is_no_photo_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="JPEG, PNG or WebP"):
        bare(content)


BEGINNINGS = st.sampled_from(
    [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\x40\0\0\0WEBP", *map(phone_photo, ("JPEG", "PNG", "WEBP"))]
)


@given(BEGINNINGS, st.binary(max_size=80), st.integers(0, 400))
def test_no_bytes_break_it_and_what_it_keeps_is_bare(beginning: bytes, more: bytes, at: int) -> None:
    try:
        kept = bare(beginning[:at] + more + beginning[at:])
    except ValueError:
        return
    assert bare(kept) == kept


def test_a_png_keeps_how_it_is_drawn() -> None:
    clean = bare(phone_photo("PNG"))
    head, rest = clean[:33], clean[33:]
    drawn = chunk(b"gAMA", struct.pack(">I", 45455)) + chunk(b"pHYs", struct.pack(">IIB", 2835, 2835, 1))
    hidden = chunk(b"tIME", b"\7\xea\x0b\x16\x0d\0\0") + chunk(b"prVt", b"Hefei")
    assert bare(head + drawn + hidden + rest) == head + drawn + rest
