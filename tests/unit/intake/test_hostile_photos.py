"""Files that somebody sends as a photo: refused, or only clean pixels of them are kept."""

import struct
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from io import BytesIO
from zoneinfo import ZoneInfo

import pytest
from PIL import Image, PngImagePlugin

from lastmetre.intake.domain.photos import MOST_BYTES, PhotoRefused, Refusal, clean

ZONE = ZoneInfo("Asia/Shanghai")
RED, GREEN = (200, 0, 0), (0, 160, 0)


def picture(kind: str = "JPEG", mode: str = "RGB", size: tuple[int, int] = (64, 48)) -> bytes:
    """A plain picture of that mode."""
    out = BytesIO()
    Image.new(mode, size, 1).save(out, kind)
    return out.getvalue()


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    out = BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def png(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of eight-bit grey that says it has this size, and these chunks behind its head."""
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = [(b"IHDR", head), *chunks, (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in parts
    )


def png_bomb() -> bytes:
    """900 million pixels in under a megabyte."""
    packer = zlib.compressobj(9)
    body = b"".join(packer.compress(bytes(30_001)) for _ in range(3000)) + packer.flush()
    return png(30_000, 30_000, (b"IDAT", body))


def text_bomb() -> bytes:
    """A remark of 200 MB in 200 kB."""
    return png(8, 8, (b"zTXt", b"Comment\0\0" + zlib.compress(bytes(200_000_000), 1)))


def webp_that_says(width: int, height: int) -> bytes:
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + sides
    return b"RIFF" + struct.pack("<I", len(body)) + body


def jpeg_that_says(width: int, height: int) -> bytes:
    body = picture()
    at = body.index(b"\xff\xc0") + 5
    return body[:at] + struct.pack(">HH", height, width) + body[at + 4 :]


def scan_bomb() -> bytes:
    """A JPEG whose last scan comes two hundred thousand times: hours for a decoder."""
    body = encoded(Image.effect_noise((256, 256), 80), "JPEG", progressive=True)
    last = body[body.rindex(b"\xff\xda") : body.rindex(b"\xff\xd9")]
    scans = (MOST_BYTES - len(body)) // len(last)
    return body[:-2] + last * scans + b"\xff\xd9"


REFUSED: dict[str, tuple[Callable[[], bytes], Refusal]] = {
    "zero bytes": (lambda: b"", Refusal.EMPTY),
    "50 MB": (lambda: picture() + bytes(50_000_000), Refusal.TOO_LARGE),
    "a PDF named .jpg": (lambda: b"%PDF-1.7\n" + picture(), Refusal.NOT_A_PICTURE),
    "an SVG with a script": (
        lambda: b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        Refusal.NOT_A_PICTURE,
    ),
    "a GIF": (lambda: picture("GIF", "P"), Refusal.NOT_A_PICTURE),
    "a TIFF": (lambda: picture("TIFF"), Refusal.NOT_A_PICTURE),
    "an EPS, which another decoder would run": (
        lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        Refusal.NOT_A_PICTURE,
    ),
    "a HEIC": (lambda: b"\0\0\0\x18ftypheic" + bytes(64), Refusal.HEIC),
    "a PNG bomb": (png_bomb, Refusal.TOO_MANY_PIXELS),
    "a PNG with a bomb of text": (text_bomb, Refusal.DAMAGED),
    "a PNG 2,147,483,647 high": (lambda: png(1, 2**31 - 1), Refusal.TOO_MANY_PIXELS),
    "a PNG of no pixels": (lambda: png(0, 0, (b"IDAT", b"")), Refusal.DAMAGED),
    "a JPEG 65,500 wide": (lambda: jpeg_that_says(65_500, 65_500), Refusal.TOO_MANY_PIXELS),
    "a WebP 16,777,216 wide": (lambda: webp_that_says(2**24, 64), Refusal.TOO_MANY_PIXELS),
    "a WebP cut off in its head": (lambda: picture("WEBP")[:20], Refusal.DAMAGED),
    "a JPEG cut in half": (
        lambda: (body := picture(size=(640, 480)))[: len(body) // 2],
        Refusal.DAMAGED,
    ),
    "a JPEG of its first bytes": (lambda: b"\xff\xd8\xff", Refusal.DAMAGED),
    "a JPEG of endless scans": (scan_bomb, Refusal.DAMAGED),
}


@pytest.mark.parametrize("name", REFUSED)
def test_is_refused_for_what_it_is(name: str) -> None:
    made, why = REFUSED[name]
    with pytest.raises(PhotoRefused) as refused:
        clean(made(), ZONE)
    assert refused.value.why is why


def polyglot(body: bytes) -> bytes:
    """A picture that is a web page and an archive as well."""
    return body + b"<html><script>alert(1)</script></html>PK\x05\x06" + bytes(18)


def with_text() -> bytes:
    about = PngImagePlugin.PngInfo()
    about.add_text("Author", "Wang Fang <script>")
    return encoded(Image.new("RGB", (64, 48), RED), "PNG", pnginfo=about)


def animated(kind: str) -> bytes:
    frames = [Image.new("RGB", (64, 48), each) for each in (RED, GREEN)]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=100)


CLEANED: dict[str, Callable[[], bytes]] = {
    "a JPEG that is a page and an archive": lambda: polyglot(picture()),
    "a PNG that is a page and an archive": lambda: polyglot(picture("PNG")),
    "a PNG with somebody's name": with_text,
    "a JPEG with a remark": lambda: encoded(
        Image.new("RGB", (64, 48), RED), "JPEG", comment=b"Wang Fang <script>"
    ),
    "an animated PNG": lambda: animated("PNG"),
    "an animated WebP": lambda: animated("WEBP"),
    "CMYK": lambda: picture(mode="CMYK"),
    "one bit": lambda: picture("PNG", "1"),
    "a palette": lambda: picture("PNG", "P"),
    "grey with transparency": lambda: picture("PNG", "LA"),
    "sixteen bits": lambda: picture("PNG", "I;16"),
    "one pixel": lambda: picture(size=(1, 1)),
    "a line": lambda: picture("PNG", size=(20_000, 1)),
}


@pytest.mark.parametrize("name", CLEANED)
def test_only_pixels_are_kept(name: str) -> None:
    kept = clean(CLEANED[name](), ZONE)
    for body, most in ((kept.picture, 1600), (kept.thumbnail, 176)):
        with Image.open(BytesIO(body)) as image:
            image.load()
            assert image.format == "JPEG"
            assert image.mode == "RGB"
            assert max(image.size) <= most
            assert not image.getexif()
            assert "comment" not in image.info
            assert getattr(image, "n_frames", 1) == 1
        assert b"script" not in body
        assert b"Wang" not in body
        assert body.endswith(b"\xff\xd9")


def test_of_several_frames_the_first_is_kept() -> None:
    with Image.open(BytesIO(clean(animated("WEBP"), ZONE).picture)) as image:
        red, green, _ = image.convert("RGB").getpixel((32, 24))  # type: ignore[misc]
    assert red > 150
    assert green < 50


def test_sixteen_bits_keep_their_brightness() -> None:
    half = encoded(Image.new("I;16", (8, 8), 0x8000), "PNG")
    with Image.open(BytesIO(clean(half, ZONE).picture)) as image:
        assert 120 <= image.convert("L").getpixel((4, 4)) <= 136  # type: ignore[operator]


def test_what_was_transparent_is_white() -> None:
    clear = encoded(Image.new("RGBA", (8, 8), (0, 0, 0, 0)), "PNG")
    with Image.open(BytesIO(clean(clear, ZONE).picture)) as image:
        assert image.getpixel((4, 4)) == (255, 255, 255)


def from_a_phone(offset: str | None = "+01:00", latitude: float = 2.4) -> bytes:
    """Four times as wide as high, lying on its side, with place and time of the camera."""
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    exif[0x010F] = "Camera of Wang Fang"
    exif.get_ifd(0x8825).update({1: "N", 2: (23.0, latitude, 0.0), 3: "E", 4: (113.0, 45.0, 6.48)})
    exif.get_ifd(0x8769)[0x9003] = "2026:11:22 08:30:00"
    if offset:
        exif.get_ifd(0x8769)[0x9011] = offset
    return encoded(Image.new("RGB", (4000, 1000), GREEN), "JPEG", exif=exif)


def test_place_and_time_are_read_and_taken_out_and_it_stands_upright() -> None:
    sent = from_a_phone()
    assert b"Wang" in sent
    kept = clean(sent, ZONE)
    assert kept.taken.latitude == pytest.approx(23.04)
    assert kept.taken.longitude == pytest.approx(113.7518)
    assert kept.taken.at == datetime(2026, 11, 22, 8, 30, tzinfo=timezone(timedelta(hours=1)))
    assert kept.size == (400, 1600)
    with Image.open(BytesIO(kept.picture)) as image:
        assert image.size == (400, 1600)
        assert not image.getexif()
    with Image.open(BytesIO(kept.thumbnail)) as image:
        assert image.size == (44, 176)
    assert b"Wang" not in kept.picture + kept.thumbnail


def test_a_camera_without_a_zone_has_the_city_s() -> None:
    taken = clean(from_a_phone(offset=None), ZONE).taken
    assert taken.at == datetime(2026, 11, 22, 0, 30, tzinfo=UTC)


def test_a_place_that_is_none_costs_no_picture() -> None:
    taken = clean(from_a_phone(latitude=float(99 * 60)), ZONE).taken
    assert (taken.latitude, taken.longitude) == (None, None)


def test_a_phone_s_largest_picture_is_taken() -> None:
    large = encoded(Image.new("RGB", (8000, 6000), GREEN), "JPEG")
    assert clean(large, ZONE).size == (1600, 1200)
