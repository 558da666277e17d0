"""A broker's access rules, given and taken away one by one."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest

from lastmetre.common.contracts.rights import Right
from lastmetre.common.kafka.access import KafkaAccess
from lastmetre.common.kafka.clients import metadata_client
from lastmetre.common.kafka.cluster_view import OPERATIONS

KINDS: Final = {"topic": 2, "group": 3}
LITERAL: Final = 3
PREFIXED: Final = 4
ALLOW: Final = 3
CODES: Final = {name: code for code, name in OPERATIONS.items()}


class AccessRules:
    """Of the broker there, reached as somebody who may change them."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._access = KafkaAccess.plaintext(bootstrap_servers)

    async def allow(self, user: str, rights: Iterable[Right]) -> None:
        """Give these; a group's name stands for all that begin so, `*` for all there are."""
        for right in rights:
            answer = await self._send(CreateAclsRequest(*_fields(user, right)))
            assert not any(code for code, *_ in answer.creation_responses), answer

    @asynccontextmanager
    async def without(self, user: str, right: Right) -> AsyncIterator[None]:
        """That right is away meanwhile."""
        answer = await self._send(DeleteAclsRequest(*_fields(user, right)))
        assert [len(found) for _, _, found in answer.filter_responses] == [1], answer
        try:
            yield
        finally:
            await self.allow(user, [right])

    async def _send(self, request: Any) -> Any:
        client = metadata_client(self._access, "access-rules")
        await client.bootstrap()
        try:
            return await client.send(client.get_random_node(), request)
        finally:
            await client.close()


def _fields(user: str, right: Right) -> tuple[int, str, int, str, str, int, int]:
    prefixed = right.kind == "group" and right.name != "*"
    pattern = PREFIXED if prefixed else LITERAL
    principal, operation = f"User:{user}", CODES[right.operation]
    return KINDS[right.kind], right.name, pattern, principal, "*", operation, ALLOW
