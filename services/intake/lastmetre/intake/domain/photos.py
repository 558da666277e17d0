"""Photos of reports: what a picture is told by, what of it is kept, and what is refused.

Nothing of what was sent is passed on: the picture is decoded within limits, turned upright, made
smaller and encoded anew, so that what hides in a file stays behind.
"""

from dataclasses import dataclass
from datetime import datetime, tzinfo
from enum import StrEnum
from fractions import Fraction
from io import BytesIO
from math import isfinite
from typing import Any, Final, NamedTuple

from PIL import ExifTags, Image, ImageOps

MOST_BYTES: Final = 10 * 1024 * 1024
MOST_PHOTOS: Final = 3
"""Of one report."""
LONGEST_SIDE: Final = 1600
"""Pixels of the longer side of a picture that is kept; smaller ones are not made larger."""
THUMBNAIL_SIDE: Final = 176
MEDIA_TYPE: Final = "image/jpeg"
"""Of what is kept, whatever was sent."""

_QUALITY: Final = 82
_JPEG_PIXELS: Final = 50_000_000
"""A JPEG is decoded at a fraction of its size, so a phone's largest may come."""
_PIXELS: Final = 24_000_000
"""Of the others, and of a JPEG whose scans build upon each other: all of it is in memory."""
_SCANS: Final = 100
"""Of a JPEG. An encoder makes about ten; each costs time, however few bytes it has."""
_SIDE: Final = 30_000
_RIFF_HEAD: Final = 30
_HEIC: Final = frozenset({b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1", b"avif"})


class Refusal(StrEnum):
    """Why a picture is not taken."""

    EMPTY = "empty"
    TOO_LARGE = "too_large"
    NOT_A_PICTURE = "not_a_picture"
    HEIC = "heic"
    TOO_MANY_PIXELS = "too_many_pixels"
    DAMAGED = "damaged"
    TOO_MANY = "too_many"
    REPORT_ERASED = "report_erased"
    NOT_NOW = "not_now"


class PhotoRefused(Exception):
    """This picture is not taken; nothing of it is kept."""

    def __init__(self, why: Refusal) -> None:
        super().__init__(why.value)
        self.why = why


class Size(NamedTuple):
    """Pixels."""

    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Taken:
    """What the camera noted: where, in degrees of WGS-84, and when. None: it did not say."""

    latitude: float | None = None
    longitude: float | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class CleanPhoto:
    """A picture as it is kept: JPEG, upright, without anything but pixels."""

    picture: bytes
    size: Size
    thumbnail: bytes
    taken: Taken


def clean(sent: bytes, zone: tzinfo) -> CleanPhoto:
    """The picture in these bytes; of several in one file the first. Raises PhotoRefused.

    `zone` is the camera's where it does not say. Takes up to 200 MB and some seconds of a
    processor: for a thread, few at a time.
    """
    kind = _kind_of(sent)
    try:
        with Image.open(BytesIO(sent), formats=[kind]) as image:
            _refuse_pixels(sent, image)
            taken = _taken(image, zone)
            if kind == "JPEG":
                image.draft("RGB", (LONGEST_SIDE, LONGEST_SIDE))
            picture = _upright(image)
    except PhotoRefused:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError) as error:
        raise PhotoRefused(Refusal.TOO_MANY_PIXELS) from error
    except Exception as error:  # a decoder raises anything over bytes that somebody made up
        raise PhotoRefused(Refusal.DAMAGED) from error
    thumbnail = picture.copy()
    thumbnail.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    return CleanPhoto(_encoded(picture), Size(*picture.size), _encoded(thumbnail), taken)


def _kind_of(sent: bytes) -> str:
    """Told by its first bytes, never by its name."""
    if not sent:
        raise PhotoRefused(Refusal.EMPTY)
    if len(sent) > MOST_BYTES:
        raise PhotoRefused(Refusal.TOO_LARGE)
    if sent.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if sent.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if sent.startswith(b"RIFF") and sent[8:12] == b"WEBP":
        # Its decoder makes room for a whole frame before it says how large that is.
        if _pixels(_webp_size(sent)) > _PIXELS:
            raise PhotoRefused(Refusal.TOO_MANY_PIXELS)
        return "WEBP"
    if sent[4:8] == b"ftyp" and sent[8:12] in _HEIC:
        raise PhotoRefused(Refusal.HEIC)
    raise PhotoRefused(Refusal.NOT_A_PICTURE)


def _webp_size(sent: bytes) -> Size:
    """As the first chunk says it, by the container specification of WebP."""
    if len(sent) < _RIFF_HEAD:
        raise PhotoRefused(Refusal.DAMAGED)
    little = int.from_bytes
    match sent[12:16]:
        case b"VP8X":
            return Size(little(sent[24:27], "little") + 1, little(sent[27:30], "little") + 1)
        case b"VP8L":
            both = little(sent[21:25], "little")
            return Size((both & 0x3FFF) + 1, (both >> 14 & 0x3FFF) + 1)
        case b"VP8 ":
            width, height = little(sent[26:28], "little"), little(sent[28:30], "little")
            return Size(width & 0x3FFF, height & 0x3FFF)
    raise PhotoRefused(Refusal.DAMAGED)


def _refuse_pixels(sent: bytes, image: Image.Image) -> None:
    """Before anything is decoded."""
    whole = image.format not in ("JPEG", "MPO") or bool(image.info.get("progressive"))
    size = Size(*image.size)
    if max(size) > _SIDE or _pixels(size) > (_PIXELS if whole else _JPEG_PIXELS):
        raise PhotoRefused(Refusal.TOO_MANY_PIXELS)
    if image.info.get("progressive") and sent.count(b"\xff\xda") > _SCANS:
        raise PhotoRefused(Refusal.DAMAGED)


def _pixels(size: Size) -> int:
    return size.width * size.height


def _upright(image: Image.Image) -> Image.Image:
    """Pixels alone, as somebody is to see them, on white where they were transparent."""
    if image.mode.startswith(("I", "F")):  # 16 bits a pixel: the upper eight
        image = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE), reducing_gap=2.0)
    turned = ImageOps.exif_transpose(image)
    if turned.has_transparency_data:
        over = turned.convert("RGBA")
        flat = Image.new("RGB", over.size, "white")
        flat.paste(over, mask=over.getchannel("A"))
        return flat
    flat = turned.convert("RGB")
    flat.info = {}
    return flat


def _encoded(image: Image.Image) -> bytes:
    out = BytesIO()
    image.save(out, "JPEG", quality=_QUALITY)
    return out.getvalue()


def _taken(image: Image.Image, zone: tzinfo) -> Taken:
    """What of it is readable: a camera's mistake costs no picture."""
    try:
        exif = image.getexif()
        place = exif.get_ifd(ExifTags.IFD.GPSInfo)
        times = exif.get_ifd(ExifTags.IFD.Exif)
    except Exception:  # as above
        return Taken()
    latitude = _degrees(place, ExifTags.GPS.GPSLatitude, ExifTags.GPS.GPSLatitudeRef, "S", 90)
    longitude = _degrees(place, ExifTags.GPS.GPSLongitude, ExifTags.GPS.GPSLongitudeRef, "W", 180)
    if latitude is None or longitude is None or latitude == longitude == 0:
        latitude = longitude = None
    return Taken(latitude, longitude, _time(times, zone))


def _degrees(place: dict[int, Any], tag: int, side: int, negative: str, most: int) -> float | None:
    try:
        degrees, minutes, seconds = (float(Fraction(each)) for each in place[tag])
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return None
    found = degrees + minutes / 60 + seconds / 3600
    if not isfinite(found) or not 0 <= found <= most:
        return None
    return -found if place.get(side) == negative else found


def _time(times: dict[int, Any], zone: tzinfo) -> datetime | None:
    said = str(times.get(ExifTags.Base.DateTimeOriginal, ""))[:19]
    try:
        at = datetime.strptime(said, "%Y:%m:%d %H:%M:%S")  # noqa: DTZ007 - its zone follows
    except ValueError:
        return None
    try:
        offset = str(times.get(ExifTags.Base.OffsetTimeOriginal, ""))[:6]
        return at.replace(tzinfo=datetime.strptime(offset, "%z").tzinfo)
    except ValueError:
        return at.replace(tzinfo=zone)
