"""E-mail against a real SMTP server: what each of its answers means for a message."""

import asyncio
import email
import email.policy
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP
from prometheus_client import REGISTRY

from lastmetre.common.contracts.deliveries import DeliveryResult
from lastmetre.common.service.clock import RealClock
from lastmetre.devstack.ports import free_port
from lastmetre.notify.adapters.smtp import SmtpProvider, SmtpServer
from lastmetre.notify.domain.provider import SENT, OutboundMessage, Outcome
from tests.support.certificates import Authority
from tests.support.mailbox import Mailbox, listening
from tests.unit.notify.ledger import CASE
from tests.unit.notify.outbound import outbound

FAILED, UNKNOWN = DeliveryResult.FAILED, DeliveryResult.UNKNOWN


@dataclass
class Attempts:
    """Stands in for the log: keeps what it is told, or is away."""

    away: bool = False
    told: list[OutboundMessage] = field(default_factory=list)

    async def tell(self, provider: str, message: OutboundMessage) -> bool:
        self.told.append(message)
        return not self.away


@asynccontextmanager
async def sending(
    port: int,
    timeout: float = 5,
    attempts: Attempts | None = None,
    *,
    starttls: bool = False,
    implicit_tls: bool = False,
) -> AsyncIterator[SmtpProvider]:
    server = SmtpServer(
        "127.0.0.1", port, "city@lastmetre.example", timeout=timeout, starttls=starttls,
        implicit_tls=implicit_tls,
    )  # fmt: skip
    provider = SmtpProvider(server, RealClock(), attempts or Attempts())
    try:
        yield provider
    finally:
        await provider.close()


async def send(provider: SmtpProvider, *messages: OutboundMessage) -> list[Outcome]:
    return await provider.send(messages)


async def test_a_message_arrives_whole() -> None:
    mailbox, port = Mailbox(), free_port()
    async with listening(mailbox, port), sending(port) as provider:
        sent = outbound(CASE, body="已收到，编号 261122-0418。\n.\n查看进展：http://x")
        assert await send(provider, sent, outbound(CASE, 3)) == [SENT, SENT]
    first, second = (
        email.message_from_bytes(raw, policy=email.policy.default) for raw in mailbox.taken
    )
    assert first["To"] == "a@example.org"
    assert first["Message-ID"] == f"<{sent.message_id}@lastmetre.example>"
    assert first["Subject"] == sent.subject
    assert first.get_content_type() == "text/plain"
    assert first.get_content_charset() == "utf-8"
    assert first.get_content().split() == sent.body.split()
    assert second["Message-ID"] != first["Message-ID"]


async def test_the_log_is_told_of_a_message_before_it_goes_out() -> None:
    attempts, port = Attempts(), free_port()
    mailbox = Mailbox(rcpt="451 Later please")
    message = outbound(CASE)
    async with listening(mailbox, port), sending(port, attempts=attempts) as provider:
        assert await send(provider, message) == [Outcome(None, "smtp_451")]
        assert attempts.told == [], "the server put it off before it had the text"
        mailbox.rcpt, attempts.away = "250 OK", True
        assert await send(provider, message) == [Outcome(None, "log_away")]
        assert mailbox.taken == []
        attempts.away = False
        assert await send(provider, message) == [SENT]
        assert attempts.told == [message, message]
    assert len(mailbox.taken) == 1


@pytest.mark.parametrize(
    ("rcpt", "data", "expected"),
    [
        ("550 No such user", "250 OK", Outcome(FAILED, "smtp_550")),
        ("451 Later please", "250 OK", Outcome(None, "smtp_451")),
        ("550 5.1.1 No such user", "250 OK", Outcome(FAILED, "smtp_550")),
        ("250 OK", "554 Not wanted", Outcome(FAILED, "smtp_554")),
        ("250 OK", "452 Disk is full", Outcome(None, "smtp_452")),
    ],
)
async def test_what_the_answers_mean(rcpt: str, data: str, expected: Outcome) -> None:
    mailbox, port = Mailbox(rcpt, data), free_port()
    async with listening(mailbox, port), sending(port) as provider:
        assert await send(provider, outbound(CASE), outbound(CASE, 3)) == [expected] * 2
        mailbox.rcpt = mailbox.data = "250 OK"
        assert await send(provider, outbound(CASE, 4)) == [SENT], "the connection is still good"
    assert len(mailbox.taken) == 1


@pytest.mark.parametrize(
    ("rcpt", "data", "error"),
    [
        ("554 5.7.1 <a@b.example>: Relay access denied", "250 OK", "smtp_554_refuses_us"),
        ("550 relay not permitted", "250 OK", "smtp_550_refuses_us"),
        ("553 not in my list of rcpthosts (#5.7.1)", "250 OK", "smtp_553_refuses_us"),
        ("530 Authentication required", "250 OK", "smtp_530_refuses_us"),
        ("250 OK", "550 5.7.26 Unauthenticated sender", "smtp_550_refuses_us"),
    ],
)
async def test_15_a_refusal_that_is_about_us_is_put_off_and_counted(
    rcpt: str, data: str, error: str
) -> None:
    mailbox, port = Mailbox(rcpt, data), free_port()
    code = error.split("_")[1]
    before = refusals(code)
    async with listening(mailbox, port), sending(port) as provider:
        assert await send(provider, outbound(CASE), outbound(CASE, 3)) == [Outcome(None, error)] * 2
        mailbox.rcpt = mailbox.data = "250 OK"
        assert await send(provider, outbound(CASE), outbound(CASE, 3)) == [SENT, SENT]
    assert refusals(code) == before + 2


def refusals(code: str) -> float:
    return REGISTRY.get_sample_value("lastmetre_mail_refusals_total", {"code": code}) or 0


@pytest.fixture
def certified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """What a server needs whose certificate we trust."""
    authority = Authority("authority")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.write(tmp_path / "authority.pem")))
    return server_context(authority, tmp_path)


def server_context(authority: Authority, folder: Path) -> ssl.SSLContext:
    certificate, key = authority.issue("mail")
    (folder / "server.pem").write_bytes(certificate + key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "server.pem")
    return context


async def test_28_a_server_that_speaks_tls_from_the_first_byte(certified: ssl.SSLContext) -> None:
    mailbox, port = Mailbox(), free_port()
    mails = sending(port, implicit_tls=True)
    async with listening(mailbox, port, tls=certified), mails as provider:
        assert await send(provider, outbound(CASE)) == [SENT]
    assert len(mailbox.taken) == 1


async def test_l8_tls_begins_before_anything_is_said_of_a_message(
    certified: ssl.SSLContext,
) -> None:
    """The server takes no mail in the clear."""
    mailbox, port = Mailbox(), free_port()
    async with listening(mailbox, port, starttls=certified):
        async with sending(port) as in_the_clear:
            assert await send(in_the_clear, outbound(CASE)) == [Outcome(None, "smtp_530")]
        async with sending(port, starttls=True) as provider:
            assert await send(provider, outbound(CASE), outbound(CASE, 3)) == [SENT, SENT]
    assert len(mailbox.taken) == 2


async def test_l8_a_server_that_offers_no_tls_is_told_nothing() -> None:
    mailbox, port, attempts = Mailbox(), free_port(), Attempts()
    before = refusals("tls")
    mails = sending(port, attempts=attempts, starttls=True)
    async with listening(mailbox, port), mails as provider:
        assert await send(provider, outbound(CASE)) == [Outcome(None, "smtp_no_tls")]
    assert (mailbox.addressed, mailbox.taken, attempts.told) == ([], [], [])
    assert refusals("tls") == before + 1


@pytest.mark.parametrize("implicit", [False, True])
async def test_l8_a_server_whose_certificate_is_not_trusted_is_told_nothing(
    certified: ssl.SSLContext, tmp_path: Path, implicit: bool
) -> None:
    stranger = server_context(Authority("stranger"), tmp_path)
    mailbox, port = Mailbox(), free_port()
    tls = {"tls": stranger} if implicit else {"starttls": stranger}
    mails = sending(port, starttls=True, implicit_tls=implicit)
    async with listening(mailbox, port, **tls), mails as provider:
        assert await send(provider, outbound(CASE)) == [Outcome(None, "smtp_no_tls")]
    assert (mailbox.addressed, mailbox.taken) == ([], [])


async def test_a_server_that_is_away_is_waited_for() -> None:
    mailbox, port = Mailbox(), free_port()
    async with sending(port) as provider:
        assert await send(provider, outbound(CASE)) == [Outcome(None, "smtp_away")]
        async with listening(mailbox, port):
            assert await send(provider, outbound(CASE)) == [SENT]
        assert await send(provider, outbound(CASE, 3)) == [Outcome(None, "smtp_away")]
        async with listening(mailbox, port):
            assert await send(provider, outbound(CASE, 3)) == [SENT], "not over the old connection"
    assert len(mailbox.taken) == 2


async def test_no_answer_to_a_message_is_unknown() -> None:
    async def hang(server: SMTP) -> None:
        await asyncio.Event().wait()

    async def drop(server: SMTP) -> None:
        assert server.transport
        server.transport.close()

    port = free_port()
    for trouble in (hang, drop):
        mailbox = Mailbox(on_data=trouble)
        async with listening(mailbox, port), sending(port, timeout=0.5) as provider:
            assert await send(provider, outbound(CASE)) == [Outcome(UNKNOWN, "smtp_no_answer")]
            mailbox.on_data = None
            assert await send(provider, outbound(CASE, 3)) == [SENT]
        assert len(mailbox.taken) == 2, "it had been taken: sending again would have doubled it"


@pytest.mark.parametrize("address", ["nobody\r\nBcc: x@example.org", "李敏@example.org"])
async def test_an_address_that_cannot_be_used(address: str) -> None:
    mailbox, port = Mailbox(), free_port()
    async with listening(mailbox, port), sending(port) as provider:
        outcome = (await send(provider, outbound(CASE, address=address)))[0]
        assert outcome.result is FAILED
        assert await send(provider, outbound(CASE, 3)) == [SENT]
    assert len(mailbox.taken) == 1
