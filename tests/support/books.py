"""The books of a running stack: the audit as a function and as a command."""

import asyncio
import base64
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from lastmetre.audit.balance import Balance
from lastmetre.audit.checkpoint import Checkpoint
from lastmetre.audit.consistent_cut import Targets
from lastmetre.audit.receipts import Receipt
from lastmetre.audit.run import Audited, take_balance
from lastmetre.audit.waiting import wait_until_quiet
from lastmetre.cli.main import app
from lastmetre.common.security.signed_links import SignedLinks
from lastmetre.devstack import Endpoints

QUIET_SECONDS = 60.0


def targets(endpoints: Endpoints, outbox: Path | None) -> Targets:
    """What of a stack is audited."""
    return Targets(
        endpoints.bootstrap_servers, endpoints.topic_prefix, endpoints.audit_databases, outbox
    )


def links(endpoints: Endpoints) -> SignedLinks:
    """What makes and opens the stack's receipts."""
    return SignedLinks(base64.urlsafe_b64decode(endpoints.link_key + "=="))


async def audited(
    endpoints: Endpoints,
    outbox: Path | None,
    receipts: Sequence[Receipt] = (),
    checkpoint: Checkpoint | None = None,
) -> Audited:
    """The books as they are now, whatever is in flight."""
    return await take_balance(
        targets(endpoints, outbox),
        checkpoint=checkpoint,
        receipts=receipts,
        links=links(endpoints),
    )


async def balance(
    endpoints: Endpoints, outbox: Path | None, receipts: Sequence[Receipt] = ()
) -> Balance:
    """The same, of everything."""
    return (await audited(endpoints, outbox, receipts)).balance


async def quiet(endpoints: Endpoints, seconds: float = QUIET_SECONDS) -> Counter[str]:
    """Wait until nothing is in flight; returns what still is."""
    return await wait_until_quiet(targets(endpoints, None), seconds, lambda pending: None)


async def audit(home: Path, *options: str) -> tuple[int, dict[str, Any]]:
    """Exit code and document of `lastmetre audit --json`."""
    code, said, _ = await command(home, "audit", "--json", *options)
    return code, json.loads(said)


async def command(home: Path, *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a `lastmetre` command for the stack in `home`.

    Run in this process: to start another one costs more than a small city's audit.
    """
    result = await asyncio.to_thread(
        CliRunner().invoke, app, arguments, env={"LASTMETRE_HOME": str(home)}
    )
    return result.exit_code, result.stdout, result.stderr
