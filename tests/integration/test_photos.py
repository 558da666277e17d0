"""Photos come with the form and by the API, are kept closed, and go with their report."""

import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import asyncpg
import httpx
import pytest
from PIL import Image

from lastmetre.intake.adapters.photo_store import PhotoStore
from lastmetre.intake.adapters.vault_cipher import Vault
from lastmetre.intake.application.forget_reports import ForgetReport
from lastmetre.intake.application.remove_photos import RemovePhotos
from lastmetre.intake.application.reseal_vault import ResealVault
from tests.support.city import IntakeAlone

pytestmark = pytest.mark.slow


@pytest.fixture
async def city(intake_city: IntakeAlone) -> AsyncIterator[IntakeAlone]:
    async with intake_city.running() as opened:
        yield opened


def photo(shade: int = 0, *, place: bool = False) -> bytes:
    """A picture of one colour; with where it was taken."""
    exif, out = Image.Exif(), BytesIO()
    if place:
        exif.get_ifd(0x8825).update({1: "N", 2: (23.0, 1.0, 0.0), 3: "E", 4: (113.0, 45.0, 0.0)})
    Image.new("RGB", (2400, 1200), (shade * 25, 90, 90)).save(out, "JPEG", exif=exif)
    return out.getvalue()


def files(*bodies: bytes) -> list[tuple[str, tuple[str, bytes, str]]]:
    return [("photos", (f"{at}.jpg", body, "image/jpeg")) for at, body in enumerate(bodies)]


def as_a_browser(typed: dict[str, str]) -> dict[str, Any]:
    """The form as it is sent where no file was chosen: with one that has no name."""
    parts = [f'name="{name}"\r\n\r\n{each}' for name, each in typed.items()]
    parts.append('name="photos"; filename=""\r\nContent-Type: application/octet-stream\r\n\r\n')
    body = "".join(f"--part\r\nContent-Disposition: form-data; {each}\r\n" for each in parts)
    return {
        "content": (body + "--part--\r\n").encode(),
        "headers": {"Content-Type": "multipart/form-data; boundary=part"},
    }


def size_of(answer: httpx.Response) -> tuple[int, int]:
    with Image.open(BytesIO(answer.content)) as image:
        return image.size


def on_disk(city: IntakeAlone) -> list[Path]:
    return [each for each in Path(city.environment["INTAKE_PHOTOS"]).rglob("*") if each.is_file()]


async def send(city: IntakeAlone, client: httpx.AsyncClient, **asked: Any) -> httpx.Response:
    """A photo by the API."""
    body = asked.get("body", photo())
    return await client.post(
        f"/channels/{asked.get('channel', 'hotline')}/photos",
        data={"source_id": asked.get("source_id", "P1")},
        files={"photo": ("photo.jpg", body, "image/jpeg")},
        headers=city.credentials.channel(asked.get("key", "hotline")),
    )


async def progress_of(city: IntakeAlone, client: httpx.AsyncClient, source_id: str = "P1") -> str:
    """The path of the page of a report that is sent now."""
    taken = await client.post(
        "/channels/hotline/reports",
        json={"source_id": source_id, "text": "路灯不亮"},
        headers=city.credentials.channel("hotline"),
    )
    await city.until_read()
    return str(taken.json()["progress_url"]).removeprefix("http://intake")


async def remove(city: IntakeAlone, now: datetime) -> int:
    """As the service does every minute, at that time."""
    async with asyncpg.create_pool(city.database_url, min_size=0) as pool:
        host = cast("Any", SimpleNamespace(pool=pool, clock=SimpleNamespace(now=lambda: now)))
        return await RemovePhotos(host, PhotoStore.at(city.environment["INTAKE_PHOTOS"], {}))()


async def test_by_the_api_once_and_seen_by_its_reporter_alone(city: IntakeAlone) -> None:
    running = await city.start()
    async with running.client() as client:
        first = await send(city, client, body=photo(place=True))
        again = await send(city, client, body=photo(place=True))
        assert (first.status_code, again.json()) == (201, first.json())
        page = await progress_of(city, client)
        other = await progress_of(city, client, "P2")
        photo_id = first.json()["photo_id"]
        shown = await client.get(page)
        assert f"{page}/photos/{photo_id}/thumbnail" in shown.text
        whole = await client.get(f"{page}/photos/{photo_id}")
        small = await client.get(f"{page}/photos/{photo_id}/thumbnail")
        assert (size_of(whole), size_of(small)) == ((1600, 800), (176, 88))
        assert whole.headers["content-type"] == "image/jpeg"
        assert whole.headers["cache-control"].startswith("private")
        assert whole.headers["x-content-type-options"] == "nosniff"
        assert b"Exif" not in whole.content
        assert (await client.get(f"{other}/photos/{photo_id}")).status_code == 404
        assert (await client.get(f"{page}/photos/{uuid4()}")).status_code == 404
        assert (await client.get(f"{page}/photos/nothing")).status_code == 404
    kept = on_disk(city)
    assert len(kept) == 2
    assert not any(each.read_bytes().startswith(b"\xff\xd8") for each in kept)


async def test_what_is_no_photo_is_refused_and_says_why(city: IntakeAlone) -> None:
    running = await city.start()
    async with running.client() as client:
        for body, status, reason in (
            (b"", 422, "empty"),
            (b"%PDF-1.7", 415, "not_a_picture"),
            (photo()[:900], 422, "damaged"),
            (photo().ljust(10 * 1024 * 1024 + 1, b"\0"), 413, "too_large"),
        ):
            answer = await send(city, client, body=body)
            assert (answer.status_code, answer.json()["reason"]) == (status, reason)
        huge = await send(city, client, body=bytes(50_000_000))
        assert huge.status_code == 413
        assert (await send(city, client, key="app")).status_code == 403
        assert (await send(city, client, source_id="")).status_code == 422
        for shade in (1, 2, 3):
            assert (await send(city, client, body=photo(shade))).status_code == 201
        fourth = await send(city, client, body=photo(4))
        assert (fourth.status_code, fourth.json()["reason"]) == (422, "too_many")
    assert await city.value("SELECT count(*) FROM photo") == 3


async def test_with_the_form_and_what_is_refused_costs_nothing_else(city: IntakeAlone) -> None:
    running = await city.start()
    typed = {"source_id": str(uuid4()), "text": "The lamp is out", "address": "Dock Road 1"}
    async with running.client() as client:
        client.headers["Accept-Language"] = "en"
        refused = await client.post(
            "/report", data=typed, files=files(photo(1), b"<svg/>", photo(2))
        )
        assert refused.status_code == 422
        assert "Photo 2 is not a picture in JPEG, PNG or WebP" in refused.text
        assert "2 photos are kept with this report" in refused.text
        assert "The lamp is out" in refused.text
        assert typed["source_id"] in refused.text
        sent = await client.post("/report", **as_a_browser(typed))
        assert sent.status_code == 303, sent.text
        await city.until_read()
        secret = sent.headers["location"].rpartition("/")[2]
        page = await client.get(f"/progress/{secret}")
        assert page.text.count("/thumbnail") == 2
    assert await city.value("SELECT count(*) FROM photo") == 2


async def test_a_form_without_photos_is_sent_as_before(city: IntakeAlone) -> None:
    running = await city.start()
    typed = {"source_id": str(uuid4()), "text": "The lamp is out", "address": "Dock Road 1"}
    async with running.client() as client:
        assert (await client.post("/report", data=typed)).status_code == 303


async def test_it_goes_with_its_report_and_none_comes_after(city: IntakeAlone) -> None:
    running = await city.start()
    async with running.client() as client:
        await send(city, client)
        await send(city, client, source_id="P2")
        page = await progress_of(city, client)
        photo_id = await city.value("SELECT photo_id FROM photo p JOIN report USING (identity)")
        report_id = await city.value("SELECT report_id FROM report")
        async with city.connection() as connection:
            await ForgetReport(connection, dry_run=True)([report_id])
            assert await city.value("SELECT count(*) FROM photo") == 2
            await ForgetReport(connection, dry_run=False)([report_id])
        assert (await client.get(f"{page}/photos/{photo_id}")).status_code == 404
        late = await send(city, client, body=photo(9))
        assert (late.status_code, late.json()["reason"]) == (422, "report_erased")
    now = datetime.now(UTC)
    assert await remove(city, now) == 1
    assert len(on_disk(city)) == 2
    # The report of the other one never came.
    assert await remove(city, now + timedelta(hours=23)) == 0
    assert await remove(city, now + timedelta(hours=25)) == 1
    assert on_disk(city) == []
    assert await city.value("SELECT count(*) FROM unused_photo_object") == 0


async def test_a_replaced_key_opens_it_and_a_swapped_file_does_not(city: IntakeAlone) -> None:
    first = city.environment["INTAKE_VAULT_KEY"]
    running = await city.start()
    async with running.client() as client:
        photo_id = (await send(city, client)).json()["photo_id"]
        page = await progress_of(city, client)
    await city.stop()
    second = base64.urlsafe_b64encode(b"k" * 32).decode()
    old, new = (base64.urlsafe_b64decode(each) for each in (first, second))
    async with city.connection() as reading, city.connection() as writing:
        vault = Vault(new, old_keys=[old], fingerprint_key=old)
        done = await ResealVault(reading, writing, vault, dry_run=False)()
    assert done.columns["photo.sealed"].sealed_anew == 1
    running = await city.start(INTAKE_VAULT_KEY=second, INTAKE_FINGERPRINT_KEY=first)
    async with running.client() as client:
        assert size_of(await client.get(f"{page}/photos/{photo_id}")) == (1600, 800)
        whole, small = sorted(on_disk(city), key=lambda each: each.name)
        whole.write_bytes(small.read_bytes())
        assert (await client.get(f"{page}/photos/{photo_id}")).status_code == 404
