"""Dead letters of before are bound to their own records by `lastmetre rotate vault`."""

from datetime import UTC, datetime

import asyncpg
import pytest

from lastmetre.common.kafka.codec import ConsumedRecord
from lastmetre.common.postgres.migrate import migrate
from lastmetre.devstack import Stack
from lastmetre.intake.adapters.vault_cipher import CannotOpen, EncryptedDeadLetters, Vault
from lastmetre.intake.application.reseal_vault import ResealVault
from tests.support.databases import fresh_database

NOW = datetime(2026, 11, 30, tzinfo=UTC)
KEY = b"k" * 32
VAULT = Vault(KEY, fingerprint_key=KEY)
LETTERS = EncryptedDeadLetters(VAULT)
COLUMN = "dead_letter.value"


def record(offset: int) -> ConsumedRecord:
    return ConsumedRecord("channels.app", 3, offset, 1_790_000_000_000, b"key", b"%d" % offset, [])


@pytest.fixture
def database(stack: Stack) -> str:
    return fresh_database(stack, "intake")


async def test_l9_letters_of_before_are_bound_to_their_records(database: str) -> None:
    await migrate(database, ("common.runtime", "intake"))
    reading, writing = await asyncpg.connect(database), await asyncpg.connect(database)

    async def keep(each: ConsumedRecord, sealed: bytes | None) -> None:
        await writing.execute(
            'INSERT INTO dead_letter (flow, topic, partition, "offset", appended_at, headers,'
            " value, error, died_at) VALUES ('channels', $1, $2, $3, $4, '', $5, 'bad', $6)",
            each.topic, each.partition, each.offset, each.timestamp, sealed, NOW,
        )  # fmt: skip

    async def kept() -> dict[int, ConsumedRecord]:
        rows = await writing.fetch('SELECT "offset", value FROM dead_letter')
        return {row[0]: record(row[0])._replace(value=row[1]) for row in rows}

    try:
        for offset in (1, 2):
            await keep(record(offset), VAULT.seal(b"%d" % offset, b"dead-letter"))
        await keep(record(3), LETTERS.seal(record(3)).value)
        await keep(record(4), None)
        planned = await ResealVault(reading, writing, VAULT, dry_run=True)()
        assert planned.columns[COLUMN].sealed_anew == 2
        done = await ResealVault(reading, writing, VAULT, dry_run=False)()
        assert (done.columns[COLUMN].sealed_anew, done.columns[COLUMN].current, done.ok) == (
            2, 1, True,
        )  # fmt: skip
        letters = await kept()
        assert [LETTERS.open(letters[n]).value for n in (1, 2, 3, 4)] == [b"1", b"2", b"3", None]
        with pytest.raises(CannotOpen):
            LETTERS.open(letters[1]._replace(value=letters[2].value))
    finally:
        await reading.close()
        await writing.close()
