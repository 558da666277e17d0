"""Which errors prove a record bad, and which wait."""

import asyncpg
import pytest
from pydantic import BaseModel, ValidationError

from lastmetre.common.kafka.codec import BadRecord, UnknownEventType
from lastmetre.common.kafka.failures import DatabaseWentBack, FencedError, is_record_at_fault
from lastmetre.common.kafka.ports import BrokerError
from lastmetre.common.outbox.messages import MessageTooLarge


def validation_error() -> ValidationError:
    class Model(BaseModel):
        number: int

    with pytest.raises(ValidationError) as caught:
        Model.model_validate({"number": "none"})
    return caught.value


@pytest.mark.parametrize(
    "error",
    [
        BadRecord("no body"),
        validation_error(),
        MessageTooLarge("too large"),
        asyncpg.DataError("22000"),
        asyncpg.NumericValueOutOfRangeError("22003"),
        asyncpg.UniqueViolationError("23505"),
        asyncpg.ForeignKeyViolationError("23503"),
        ValueError(),
        KeyError("name"),
        IndexError(),
        TypeError(),
        AttributeError(),
        ZeroDivisionError(),
        AssertionError(),
        RecursionError(),
        NameError(),
        UnicodeDecodeError("utf-8", b"", 0, 1, "reason"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_these_prove_a_record_bad(error: Exception) -> None:
    assert is_record_at_fault(error)


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.ReadOnlySQLTransactionError("25006"),
        asyncpg.InvalidPasswordError("28P01"),
        asyncpg.InvalidAuthorizationSpecificationError("28000"),
        asyncpg.PostgresIOError("58030"),
        asyncpg.DiskFullError("53100"),
        asyncpg.InternalServerError("XX000"),
        asyncpg.IndexCorruptedError("XX002"),
        asyncpg.UndefinedColumnError("42703"),
        asyncpg.UndefinedTableError("42P01"),
        asyncpg.InsufficientPrivilegeError("42501"),
        asyncpg.DeadlockDetectedError("40P01"),
        asyncpg.LockNotAvailableError("55P03"),
        asyncpg.RaiseError("P0001"),
        asyncpg.InterfaceError("closed"),
        asyncpg.InternalClientError("state"),
        TimeoutError(),
        ConnectionResetError(),
        BrokerError("no leader"),
        UnknownEventType("too new"),
        FencedError(),
        DatabaseWentBack("restored"),
        MemoryError(),
        RuntimeError("nobody foresaw it"),
        type("NobodySawError", (Exception,), {})(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_these_wait(error: Exception) -> None:
    assert not is_record_at_fault(error)
