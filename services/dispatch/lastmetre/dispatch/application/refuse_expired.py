"""Actions whose case did not come within ten minutes."""

from datetime import timedelta
from typing import Final

from lastmetre.common.postgres import dead_letter_table, stopped_sender_table
from lastmetre.common.service.host import ServiceHost
from lastmetre.dispatch.application.execute_commands import execute_all, refuse_unknown
from lastmetre.dispatch.application.handle_requests import ReadCommand
from lastmetre.dispatch.application.network_cache import NetworkCache
from lastmetre.dispatch.application.transactions import CONSUMER, own_transaction

KNOWN_WITHIN: Final = timedelta(minutes=10)
"""How long an action may wait for its case to become known."""
EXPIRY_BATCH: Final = 500


class RefuseExpired:
    """Refuses them, with that reason."""

    def __init__(self, host: ServiceHost, network: NetworkCache, read: ReadCommand) -> None:
        self._host = host
        self._network = network
        self._read = read

    async def __call__(self) -> None:
        """Refuse some of them, if there are any."""
        async with own_transaction(self._host) as work:
            connection = work.connection
            stopped = await stopped_sender_table.stopped_senders(connection, CONSUMER)
            expired = await dead_letter_table.parked_before(
                connection,
                CONSUMER,
                work.now - KNOWN_WITHIN,
                [sender.key for sender in stopped],
                EXPIRY_BATCH,
            )
            if not expired:
                return
            commands = [self._read(record) for record in expired]
            network = await self._network.current(connection)
            # The case may be known by now: it was adopted from the log, and not registered.
            results = await execute_all(work, network, commands)
            unknown = [
                command for command, result in zip(commands, results, strict=True) if result is None
            ]
            await refuse_unknown(work, unknown, work.now)
            work.unpark(expired)
