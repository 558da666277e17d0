"""Check `messages`: a test message by the ways that notify has, only where somebody asks for it."""

import asyncio
from typing import Final

from lastmetre.cli.client import ServiceClient
from lastmetre.cli.console import Trouble
from lastmetre.cli.doctor.findings import Findings
from lastmetre.cli.profile import Installation

PATIENCE_SECONDS: Final = 5.0
PATH: Final = "/api/notify/v1/test-messages"
KINDS: Final = {"email": "mail", "phone": "SMS"}


async def look_at_messages(
    installation: Installation, said: Findings, email: str | None, phone: str | None
) -> None:
    """Have notify send to these addresses; none is kept."""
    for field, address in (("email", email), ("phone", phone)):
        if address is None:
            option = "--mail ADDRESS" if field == "email" else "--sms PHONE"
            said.unknown(
                "message-not-tried",
                KINDS[field],
                "no test message was asked for",
                f"{option} sends one; an administrator's token in LASTMETRE_TOKEN",
            )
        else:
            await asyncio.to_thread(_send, installation, said, field, address)


def _send(installation: Installation, said: Findings, field: str, address: str) -> None:
    kind = KINDS[field]
    try:
        with ServiceClient(installation, patience=PATIENCE_SECONDS) as client:
            tried = client.send_internal("notify", "POST", PATH, {field: address})
    except Trouble as trouble:
        said.wrong(
            "message-not-asked",
            kind,
            trouble.problem,
            "nobody knows whether messages get out",
            trouble.way_out or "is that an administrator's token?",
        )
        return
    if tried["result"] == "sent":
        said.fine(kind, f"{tried['provider']} has taken it: look whether it arrives, and where")
    elif tried["error"] is None:
        said.warn(
            "message-reaches-nobody",
            kind,
            f"notify writes it into a {tried['provider']}",
            "nobody receives what would be sent that way",
            "NOTIFY_SMTP_HOST for mail; of SMS no provider is built in yet",
        )
    else:
        said.wrong(
            "message-refused",
            kind,
            f"{tried['provider']}: {tried['error']}",
            "messages wait, or fail",
            "deploy/runbooks/MailRefused.md and MessagesFail.md say what each code asks for",
        )
