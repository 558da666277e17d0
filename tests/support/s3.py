"""A small S3 server of a test's own: SeaweedFS, from PyPI."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from lastmetre.devstack.ports import free_port
from tests.support.city.waiting import eventually

KEY = "city"
SECRET = "not-a-secret"
_PORTS = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port",
          "filer.port.grpc", "s3.port.grpc")  # fmt: skip


@asynccontextmanager
async def s3_server(folder: Path) -> AsyncIterator[dict[str, str]]:
    """What a command has to be told to reach it, once it takes objects. Buckets make themselves."""
    port = free_port()
    config = folder / "s3.json"
    credentials = [{"accessKey": KEY, "secretKey": SECRET}]
    identity = {"name": "city", "credentials": credentials, "actions": ["Admin"]}
    config.write_text(json.dumps({"identities": [identity]}))
    (folder / "objects").mkdir()
    options = [f"-{name}={free_port()}" for name in _PORTS]
    with (folder / "weed.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("weed")),
            "server", f"-dir={folder / 'objects'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
            "-master.volumeSizeLimitMB=16", "-volume.max=10", "-master.telemetry=false",
            "-s3", f"-s3.port={port}", f"-s3.config={config}", "-s3.autoCreateBucket", *options,
            stdout=log, stderr=log,
        )  # fmt: skip
    told = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
    }
    try:
        await eventually(lambda: _answers(port), seconds=60)
        yield told
    finally:
        process.terminate()
        await process.wait()


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
