"""Check `addresses`: what residents, partners and staff open, and what they must not reach."""

import asyncio
import socket
import ssl
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from lastmetre.cli.doctor.asking import Answer, NoAnswer, ask
from lastmetre.cli.doctor.findings import Findings
from lastmetre.cli.profile import Installation
from lastmetre.common.contracts.topics import SERVICES

ANSWER_SECONDS: Final = 5.0
WARN_DAYS: Final = 14
WRONG_DAYS: Final = 3
PAGES: Final = {"intake": "/report", "dispatch": "/work", "notify": "/rate", "metrics": "/board"}
"""A page of each service that is to be published."""
HIDDEN: Final = ("/metrics", "/readyz")
"""Of the admin port: never to be published."""
_OURS: Final = (200, 303, 401, 403, 404, 405)


async def look_at_addresses(installation: Installation, said: Findings) -> None:
    """The address of each service as people reach it, from where this runs."""
    development = installation.is_development()
    _two_hosts(installation, said)
    looked: set[str] = set()
    for service in SERVICES:
        name = f"{service.upper()}_PUBLIC_URL"
        url = (installation.find(name) or "").rstrip("/")
        if not url:
            said.unknown(
                "address-not-known",
                service,
                f"{name} is not set",
                "set it: links in messages begin with it",
            )
            continue
        if url not in looked:
            looked.add(url)
            if not await _host(url, said, development=development):
                continue
            await _hidden(url, said)
        await _page(service, url, said)


def _two_hosts(installation: Installation, said: Findings) -> None:
    intake, dispatch = (
        urlsplit(installation.find(name) or "").netloc.lower()
        for name in ("INTAKE_PUBLIC_URL", "DISPATCH_PUBLIC_URL")
    )
    if intake and intake == dispatch:
        said.wrong(
            "one-host",
            intake,
            "is the host of intake's and of dispatch's pages",
            "both have /cases: partners ask for their receipts there, staff open their cases",
            "a name for residents and one for staff: docs/operations.md, Two hosts",
        )


async def _host(url: str, said: Findings, *, development: bool) -> bool:
    """Whether a connection can be made, with a certificate that a browser would take."""
    address = urlsplit(url)
    if address.scheme == "https":
        return await _certificate(url, address.hostname or "", address.port or 443, said)
    if address.scheme != "http" or not address.hostname:
        said.wrong(
            "address-unusable",
            url,
            "is no address that begins with https://",
            "links in messages lead nowhere",
            "correct it",
        )
        return False
    if not development:
        said.warn(
            "address-in-the-clear",
            url,
            "is not https",
            "what people report, and how staff sign in, can be read on the way",
            "a proxy with TLS in front: docs/operations.md",
        )
    return await _answer(url, url, said) is not None


async def _certificate(url: str, host: str, port: int, said: Findings) -> bool:
    try:
        ends = await asyncio.to_thread(certificate_end, host, port)
    except ssl.SSLCertVerificationError as error:
        said.wrong(
            "certificate-refused",
            url,
            f"its certificate is refused: {error.verify_message}",
            "browsers warn, and partners' systems send nothing",
            "renew it, for this name, with its chain; see the proxy's log",
        )
        return False
    except OSError as error:
        _away(url, error, said)
        return False
    say_certificate(url, ends - datetime.now(UTC), said)
    return True


def certificate_end(host: str, port: int) -> datetime:
    """When the certificate there ends, UTC. Raises OSError; ssl.SSLError for one not trusted."""
    context = ssl.create_default_context()
    with (
        socket.create_connection((host, port), timeout=ANSWER_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=host) as secured,
    ):
        told = secured.getpeercert()
    assert told, "a verified connection has one"
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(told["notAfter"])), UTC)


def say_certificate(url: str, left: timedelta, said: Findings) -> None:
    """Judge a certificate that holds for so long yet."""
    words = f"its certificate ends in {left.days} days"
    means = "then browsers warn, and partners' systems send nothing"
    way_out = "renew it; where ACME does that, the proxy's log says why it has not"
    if left < timedelta(days=WRONG_DAYS):
        said.wrong("certificate-ends", url, words, means, way_out)
    elif left < timedelta(days=WARN_DAYS):
        said.warn("certificate-ends", url, words, means, way_out)
    else:
        said.fine(url, words)


async def _page(service: str, url: str, said: Findings) -> None:
    answer = await _answer(url, url + PAGES[service], said)
    if answer is None:
        return
    if answer.status in _OURS and (answer.status != 404 or service == "notify"):
        said.fine(f"{service} at {url}", f"{PAGES[service]} answers {answer.status}")
    else:
        said.wrong(
            "page-missing",
            f"{service} at {url}",
            f"{PAGES[service]} answers {answer.status}",
            f"people do not reach {service}",
            "the proxy's paths: docs/operations.md, Two hosts; `lastmetre status`",
        )


async def _hidden(url: str, said: Findings) -> None:
    for path in HIDDEN:
        answer = await _answer(url, url + path, said)
        if answer and (answer.status == 200 or '"missing"' in answer.body):
            said.wrong(
                "admin-port-published",
                url,
                f"{path} answers {answer.status}",
                "an admin port is published: dead letters and the vault's routes are behind it",
                "publish the paths of docs/security.md, What to publish, and nothing else",
            )


async def _answer(site: str, url: str, said: Findings) -> Answer | None:
    try:
        return await ask(url)
    except NoAnswer as error:
        _away(site, error, said)
        return None


def _away(site: str, error: Exception, said: Findings) -> None:
    said.wrong(
        "address-away",
        site,
        f"no answer from here: {error}",
        "if it is so from outside, too, nobody can report and no link opens",
        "the name's address, the firewall, the proxy; or run this where people are",
    )
