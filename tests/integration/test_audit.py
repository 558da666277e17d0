"""`lastmetre audit` balances, and finds what does not: each tampering is named and undone."""

import asyncio
import json
import os
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from cli.stack import Stack
from tests.support.city import City


async def audit(stack: Stack) -> tuple[int, dict[str, Any]]:
    """Exit code and document of the command."""
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("lastmetre")),
        "audit",
        "--json",
        env={**os.environ, "LASTMETRE_HOME": str(stack.home.root)},
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, json.loads(said)


TAMPERINGS = {
    "a fact": (
        "metrics",
        "UPDATE fact SET state = 'cancelled' WHERE case_id = $1",
        "UPDATE fact SET state = 'closed' WHERE case_id = $1",
    ),
    "an entry of the ledger": (
        "dispatch",
        "UPDATE ledger SET seq = 9 WHERE case_id = $1 AND seq = 3",
        "UPDATE ledger SET seq = 3 WHERE case_id = $1 AND seq = 9",
    ),
    "a case's state": (
        "dispatch",
        "UPDATE \"case\" SET state = 'accepted' WHERE case_id = $1",
        "UPDATE \"case\" SET state = 'closed' WHERE case_id = $1",
    ),
    "a reader's view": (
        "notify",
        "UPDATE subject SET seq = seq - 1 WHERE case_id = $1",
        "UPDATE subject SET seq = seq + 1 WHERE case_id = $1",
    ),
}


@pytest.mark.parametrize("tampering", TAMPERINGS)
async def test_what_was_tampered_with_is_named(stack: Stack, city: City, tampering: str) -> None:
    await city.import_network()
    case_id = await city.new_case(f"audit-{uuid.uuid4()}")
    assert (await city.act(case_id, "resolve")).status_code == 200
    code, document = await audit(stack)
    assert code == 0, document
    service, tamper, undo = TAMPERINGS[tampering]
    database = await city.database(service)
    await database.execute(tamper, case_id)
    try:
        code, document = await audit(stack)
    finally:
        await database.execute(undo, case_id)
    assert code == 1
    assert str(case_id) in json.dumps(document)
    code, document = await audit(stack)
    assert code == 0, document
