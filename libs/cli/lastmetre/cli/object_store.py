"""Files of an installation in a folder or in S3: obstore, with errors that people understand."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from lastmetre.cli.console import Trouble, UsedWrongly
from lastmetre.cli.profile import Installation

_S3: Final = "s3://"
_OPTIONS: Final = {
    "AWS_ACCESS_KEY_ID": "access_key_id",
    "AWS_SECRET_ACCESS_KEY": "secret_access_key",
    "AWS_SESSION_TOKEN": "session_token",
    "AWS_REGION": "region",
    "AWS_ENDPOINT_URL": "endpoint",
}
_RETRY_SECONDS: Final = 60
"""A person waits: obstore's own are three minutes."""


def open_store(location: str, found: Installation, *, make: bool = False) -> ObjectStore:
    """The folder of that path, made if `make` says so, or the bucket of `s3://BUCKET/PREFIX`.

    How S3 is reached is said by AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID and so on, each in
    the environment, a profile, or a file that NAME_FILE names. Raises UsedWrongly, Trouble.
    """
    if not location.startswith(_S3):
        if "://" in location:
            raise UsedWrongly(
                f"{location} is neither a folder nor in S3.",
                "as /srv/ledger or s3://bucket/ledger.",
            )
        with store_errors(location):
            return LocalStore(Path(location).absolute(), mkdir=make)
    options: dict[str, Any] = {
        option: value for name, option in _OPTIONS.items() if (value := found.find(name))
    }
    endpoint = str(options.get("endpoint", ""))
    with store_errors(location):
        return from_url(
            location,
            client_options={"allow_http": endpoint.startswith("http://")},
            retry_config={"max_retries": 5, "retry_timeout": timedelta(seconds=_RETRY_SECONDS)},
            **options,
        )


@contextmanager
def store_errors(location: str) -> Iterator[None]:
    """Turn what a store can raise into Trouble that names the place."""
    try:
        yield
    except (BaseError, OSError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise Trouble(
            f"{location}: {said}",
            "is the folder there and may be written? For S3: AWS_ENDPOINT_URL, AWS_REGION,"
            " AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
        ) from error


# obstore's own coroutines leave threads behind that abort the interpreter at its end, one time in
# five (0.12.1). So its other functions are called, in a thread that ends before that.


async def read_object(store: ObjectStore, name: str) -> bytes | None:
    """The whole object; None if there is none of that name."""
    return await asyncio.to_thread(_read, store, name)


def _read(store: ObjectStore, name: str) -> bytes | None:
    try:
        return bytes(store.get(name).bytes())
    except FileNotFoundError:
        return None


async def write_object(store: ObjectStore, name: str, content: bytes) -> None:
    """Put an object there in one step, in place of one of that name."""
    await asyncio.to_thread(store.put, name, content)
