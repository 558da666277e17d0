"""Pictures in a folder or in S3, each encrypted with a key of its own that is not there."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Self
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

KEY_BYTES: Final = 32
PICTURE: Final = "picture"
THUMBNAIL: Final = "thumbnail"
_NONCE_BYTES: Final = 12
_S3: Final = "s3://"
_RETRY_SECONDS: Final = 5


class StoreAway(Exception):
    """The photo store does not answer, or may not be written."""


class PhotoStore:
    """Two objects a photo. What somebody put elsewhere in the store does not open."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    @classmethod
    def at(cls, location: str, options: dict[str, Any]) -> Self:
        """The folder of that path, which is made, or the bucket of `s3://BUCKET/PREFIX`, reached by
        `options` of obstore's. Raises StoreAway, ValueError."""
        with _store_errors():
            if not location.startswith(_S3):
                if "://" in location:
                    raise ValueError("INTAKE_PHOTOS is a folder, or s3://BUCKET/PREFIX")
                return cls(LocalStore(Path(location).absolute(), mkdir=True))
            more: dict[str, Any] = {
                "client_options": {"allow_http": options.get("endpoint", "").startswith("http:")},
                "retry_config": {
                    "max_retries": 2,
                    "retry_timeout": timedelta(seconds=_RETRY_SECONDS),
                },
            }
            return cls(from_url(location, **more, **options))

    async def put(self, photo: UUID, name: str, body: bytes, key: bytes) -> None:
        """Write one. Raises StoreAway."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + AESGCM(key).encrypt(nonce, body, _belongs_to(photo, name))
        with _store_errors():
            # obstore's own coroutines leave threads behind that abort the interpreter at its end.
            await asyncio.to_thread(self._store.put, f"{photo}/{name}", sealed)

    async def get(self, photo: UUID, name: str, key: bytes) -> bytes | None:
        """What was written; None where it is not there, or is something else. Raises StoreAway."""
        with _store_errors():
            sealed = await asyncio.to_thread(self._read, f"{photo}/{name}")
        if sealed is None:
            return None
        try:
            nonce, body = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
            return AESGCM(key).decrypt(nonce, body, _belongs_to(photo, name))
        except (InvalidTag, ValueError):
            return None

    def _read(self, path: str) -> bytes | None:
        try:
            return bytes(self._store.get(path).bytes())
        except FileNotFoundError:
            return None

    async def delete(self, photo: UUID) -> None:
        """Delete both; what is not there already is no mistake. Raises StoreAway."""
        with _store_errors():
            for name in (PICTURE, THUMBNAIL):
                await asyncio.to_thread(self._delete, f"{photo}/{name}")

    def _delete(self, path: str) -> None:
        try:
            self._store.delete(path)
        except FileNotFoundError:
            return


def _belongs_to(photo: UUID, name: str) -> bytes:
    return b"photo\0" + photo.bytes + name.encode()


@contextmanager
def _store_errors() -> Iterator[None]:
    try:
        yield
    except (BaseError, OSError) as error:
        raise StoreAway(str(error).partition("\n")[0]) from error
