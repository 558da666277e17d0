"""What Kafka brings of reports, actions and feedback, a batch at a time."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from lastmetre.common.kafka.codec import ConsumedRecord
from lastmetre.common.outbox.unit_of_work import UnitOfWork
from lastmetre.dispatch.application.execute_commands import execute_all
from lastmetre.dispatch.application.network_cache import NetworkCache
from lastmetre.dispatch.application.register_reports import Accepted, Registrar
from lastmetre.dispatch.domain.commands import Command

ReadCommand = Callable[[ConsumedRecord], Command]
"""What a record asks for that was read before and parked since."""


class Request(NamedTuple):
    """A command and the record that it came in."""

    command: Command
    record: ConsumedRecord


class HandleRequests:
    """One transaction, the batch's, for everything that is asked, so that a case that is registered
    and acted on in one batch is decided in one."""

    def __init__(self, registrar: Registrar, network: NetworkCache, read: ReadCommand) -> None:
        self._registrar = registrar
        self._network = network
        self._read = read

    async def __call__(
        self, work: UnitOfWork, accepted: Sequence[Accepted], requests: Sequence[Request]
    ) -> None:
        """Register first, then answer, parked requests of new cases included; a request whose case
        nobody knows is parked until it comes."""
        network = await self._network.current(work.connection)
        new = await self._registrar.register_all(work, network, accepted)
        everything = [*requests]
        if new:
            waited = await work.parked([case.case_id for case in new])
            for parked in waited.values():
                everything += [Request(self._read(record), record) for record in parked]
                work.unpark(parked)
        results = await execute_all(work, network, [each.command for each in everything])
        for (command, record), result in zip(everything, results, strict=True):
            if result is None:
                work.park(command.case_id, record.offset, record)
