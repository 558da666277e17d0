"""Whether a broker or a service answers."""

import asyncio
import contextlib
import http.client
import socket
from urllib.parse import urlsplit

from aiokafka.errors import KafkaError

from lastmetre.common.kafka.access import KafkaAccess, access_of
from lastmetre.common.kafka.clients import metadata_client


def broker_answers(access: KafkaAccess | str) -> bool:
    """Whether a broker gives its metadata there."""
    return asyncio.run(_answers(access_of(access)))


async def _answers(access: KafkaAccess) -> bool:
    if not _listens(access):
        return False
    client = metadata_client(access, "lastmetre-probe")
    try:
        await client.bootstrap()
        return bool(client.cluster.brokers())
    except (KafkaError, OSError):
        return False
    finally:
        await client.close()


def _listens(access: KafkaAccess) -> bool:
    for address in access.bootstrap_servers:
        host, _, port = address.rpartition(":")
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=5):
            return True
    return False


def readiness(url: str) -> tuple[int, str]:
    """Status and body of GET /readyz there; 0 and the reason if nothing answers."""
    address = urlsplit(url)
    kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    connection = kind(address.hostname or "", address.port, timeout=5)
    try:
        connection.request("GET", f"{address.path.rstrip('/')}/readyz?all")
        response = connection.getresponse()
        return response.status, response.read(2000).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        return 0, f"no answer ({error})"
    finally:
        connection.close()
