"""E-mail by SMTP. A server does not recognise a repetition, so nothing is ever sent twice."""

import asyncio
import re
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from typing import ClassVar, Final

import aiosmtplib
import structlog

from lastmetre.common.contracts.deliveries import DeliveryResult
from lastmetre.common.service.clock import Clock
from lastmetre.common.telemetry import metrics
from lastmetre.notify.domain.provider import SENT, AttemptLog, OutboundMessage, Outcome

log = structlog.get_logger()

_POLICY: Final = SMTP.clone(cte_type="7bit")
_PERMANENT: Final = 500
# RFC 3463, X.7.X: security or policy status, which is about who sends and not about the recipient.
_POLICY_STATUS: Final = re.compile(r"\b5\.7\.\d{1,3}\b")
_RELAY_DENIED: Final = re.compile(r"\brelay", re.IGNORECASE)
_AUTHENTICATION: Final = (530, 535)
_MESSAGES_A_CONNECTION: Final = 100
# What a connection dies of, and what a new one may cure.
_LOST: Final = (aiosmtplib.SMTPServerDisconnected, aiosmtplib.SMTPTimeoutError, OSError)


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Where mail goes. `timeout` in seconds, for each step of the conversation."""

    host: str
    port: int
    sender: str
    starttls: bool = True
    """Begin TLS after the greeting. A server that does not offer it is told nothing."""
    implicit_tls: bool = False
    """TLS from the first byte, as on port 465: then `starttls` says nothing."""
    user: str | None = None
    password: str | None = None
    timeout: float = 15


class NotConnected(Exception):
    """There is no connection by which anything may be sent: `code` says why. It passes."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class SmtpProvider:
    """Sends messages to one server over a few kept connections. `clock` dates the messages.

    Each is told to `attempts` once the server has taken sender and recipient, before its text: what
    the server puts off until then was no attempt that anybody must know of.
    """

    name: ClassVar[str] = "smtp"
    repeatable: ClassVar[bool] = False
    # Only what is being called this moment is claimed: after a crash just that is unknown.
    max_in_flight: ClassVar[int] = 8
    batch_size: ClassVar[int] = 1

    def __init__(self, server: SmtpServer, clock: Clock, attempts: AttemptLog) -> None:
        self._server = server
        self._clock = clock
        self._attempts = attempts
        self._domain = server.sender.rpartition("@")[2] or "localhost"
        self._idle: list[tuple[aiosmtplib.SMTP, int]] = []

    async def send(self, messages: Sequence[OutboundMessage]) -> list[Outcome]:
        """One message after the other."""
        return [await self._send(message) for message in messages]

    async def _send(self, message: OutboundMessage) -> Outcome:
        try:
            text = self._message(message).as_bytes()
        except ValueError:
            return Outcome(DeliveryResult.FAILED, "address_not_usable")
        try:
            client, used = await self._addressed(message)
        except NotConnected as error:
            return Outcome(None, error.code)
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            return _outcome(error)
        if not await self._attempts.tell(self.name, message):
            await self._take_back(client)
            return Outcome(None, "log_away")
        outcome = await _deliver(client, text)
        if client.is_connected and used + 1 < _MESSAGES_A_CONNECTION:
            self._idle.append((client, used + 1))
        else:
            client.close()
        return outcome

    async def _addressed(self, message: OutboundMessage) -> tuple[aiosmtplib.SMTP, int]:
        """A connection that has taken sender and recipient, and how many messages it has seen."""
        while self._idle:
            client, used = self._idle.pop()
            try:
                await self._address(client, message)
            except _LOST:
                client.close()  # it went away while nobody looked: the next one, or a new one
            else:
                return client, used
        client = await self._connected()
        try:
            await self._address(client, message)
        except _LOST:
            client.close()
            raise
        return client, 0

    async def _address(self, client: aiosmtplib.SMTP, message: OutboundMessage) -> None:
        """MAIL and RCPT. After a refusal the connection is good for the next message."""
        try:
            await client.mail(self._server.sender)
            await client.rcpt(message.address)
        except (aiosmtplib.SMTPResponseException, ValueError):
            await self._take_back(client)
            raise

    async def _take_back(self, client: aiosmtplib.SMTP) -> None:
        """Nothing comes of this message; the connection is kept if it is good."""
        with suppress(aiosmtplib.SMTPException, OSError):
            await client.rset()
            self._idle.append((client, 0))

    async def _connected(self) -> aiosmtplib.SMTP:
        """A new connection, by TLS unless the settings say otherwise. Raises NotConnected."""
        server = self._server
        client = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            local_hostname=self._domain,
            timeout=server.timeout,
            use_tls=server.implicit_tls,
            start_tls=False,  # below, so that it is known what failed
        )
        try:
            await client.connect()
            await client.ehlo()
            if server.starttls and not server.implicit_tls:
                if not client.supports_extension("starttls"):
                    raise ssl.SSLError("not offered")
                await client.starttls()
            if server.user is not None:
                await client.login(server.user, server.password or "")
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            client.close()
            raise NotConnected(_why_not_connected(error)) from error
        return client

    def _message(self, message: OutboundMessage) -> EmailMessage:
        email = EmailMessage(policy=_POLICY)
        email["From"] = self._server.sender
        email["To"] = message.address
        email["Subject"] = message.subject
        email["Date"] = formatdate(self._clock.now().timestamp())
        email["Message-ID"] = f"<{message.message_id}@{self._domain}>"
        email["Content-Language"] = message.language
        email["Auto-Submitted"] = "auto-generated"
        email.set_content(message.body, charset="utf-8")
        return email

    async def close(self) -> None:
        """Say goodbye to the server."""
        idle, self._idle = self._idle, []
        for client, _ in idle:
            with suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
                async with asyncio.timeout(2):
                    await client.quit()
            client.close()


async def _deliver(client: aiosmtplib.SMTP, text: bytes) -> Outcome:
    """The message itself. From here on no answer means that nobody knows."""
    try:
        await client.data(text)
    except aiosmtplib.SMTPResponseException as error:
        return _outcome(error)
    except (aiosmtplib.SMTPException, OSError) as error:
        log.warning("no answer to a message", error=type(error).__name__)
        client.close()
        return Outcome(DeliveryResult.UNKNOWN, "smtp_no_answer")
    return SENT


def _refuses_us(error: aiosmtplib.SMTPResponseException) -> bool:
    """Whether a refusal would hit every message: it passes when somebody has put that right."""
    if error.code < _PERMANENT:
        return False
    at_recipient = isinstance(error, aiosmtplib.SMTPRecipientRefused)
    return (
        error.code in _AUTHENTICATION
        or _POLICY_STATUS.search(error.message) is not None
        or (at_recipient and _RELAY_DENIED.search(error.message) is not None)
    )


def _why_not_connected(error: Exception) -> str:
    """A code for what keeps us from connecting: none of it is about any message."""
    if isinstance(error, aiosmtplib.SMTPResponseException):
        log.warning("mail server puts off", code=error.code)
        return f"smtp_{error.code}"
    if isinstance(error, ssl.SSLError) or isinstance(error.__cause__, ssl.SSLError):
        metrics.MAIL_REFUSALS.labels("tls").inc()
        log.error("no TLS with the mail server: see its settings and its certificate")
        return "smtp_no_tls"
    log.warning("mail server is away", error=type(error).__name__)
    return "smtp_away"


def _outcome(error: Exception) -> Outcome:
    """What an error means. The server's words may quote the address: only its code is kept."""
    if isinstance(error, aiosmtplib.SMTPResponseException):
        code = f"smtp_{error.code}"
        # Refusing the sender is about us, and passes when it is put right.
        about_the_message = isinstance(
            error, aiosmtplib.SMTPRecipientRefused | aiosmtplib.SMTPDataError
        )
        if about_the_message and _refuses_us(error):
            metrics.MAIL_REFUSALS.labels(str(error.code)).inc()
            log.error("mail server refuses to send for us: see its settings", code=error.code)
            return Outcome(None, f"{code}_refuses_us")
        if about_the_message and error.code >= _PERMANENT:
            return Outcome(DeliveryResult.FAILED, code)
        log.warning("mail server puts off", code=error.code)
        return Outcome(None, code)
    if isinstance(error, ValueError):
        return Outcome(DeliveryResult.FAILED, "address_not_usable")
    log.warning("mail server is away", error=type(error).__name__)
    return Outcome(None, "smtp_away")
