"""What metrics counts beside the ledger: reports and what became of messages."""

from collections.abc import Iterable

from lastmetre.audit.balance import Balance, Line
from lastmetre.audit.consistent_cut import ConsistentCut
from lastmetre.audit.partition_view import PartitionView
from lastmetre.audit.snapshot import Row
from lastmetre.common.contracts.readers import READERS
from lastmetre.common.contracts.topics import NOTIFY_DELIVERIES
from lastmetre.common.kafka.topic_reader import Place


class CountedMessages:
    """Goes through the partitions: each delivery below metrics' position is counted once."""

    def __init__(self, cut: ConsistentCut, balance: Balance) -> None:
        self._cut = cut
        self._line = balance.line("counted_messages")
        self._counted: set[str] = set()

    async def check(self, partition_view: PartitionView) -> None:
        """Count one partition."""
        place = NOTIFY_DELIVERIES, partition_view.partition
        observed = [
            (each.offset, str(each.message.message_id)) for each in partition_view.deliveries
        ]
        rows = await self._cut.metrics.rows(
            "SELECT message_id::text AS id, recipient, provider, result FROM message"
            " WHERE message_id = ANY($1::uuid[])",
            [identity for _, identity in observed],
        )
        by_id = {row["id"]: row for row in rows}
        self._counted |= count_read(
            self._cut,
            self._line,
            place,
            observed,
            partition_view.unreadable[NOTIFY_DELIVERIES],
            by_id.keys(),
        )
        for each in partition_view.deliveries:
            message = each.message
            row = by_id.get(str(message.message_id))
            if row and not _agrees(row, message.recipient, message.provider, message.result):
                self._line.differ(message.message_id, "is counted as something else")

    async def finish(self) -> None:
        """Nothing is counted that was not told."""
        async for (identity,) in self._cut.metrics.stream(
            f"SELECT message_id::text FROM message WHERE {self._cut.metrics.recent}"  # noqa: S608
        ):
            if identity not in self._counted:
                self._line.differ(identity, "is counted, but not below the position")


def _agrees(row: Row, *says: str | None) -> bool:
    return (row["recipient"], row["provider"], row["result"]) == says


def count_read(
    cut: ConsistentCut,
    line: Line,
    place: Place,
    observed: Iterable[tuple[int, str]],
    unreadable: Iterable[int],
    counted: Iterable[str],
) -> set[str]:
    """Each record below metrics' position is counted, repeated or dead; returns those counted."""
    flow = READERS["metrics"][place[0]]
    position = cut.position(cut.metrics, place)
    known = set(counted)
    seen: set[str] = set()
    for offset, identity in [*observed, *((offset, "") for offset in unreadable)]:
        if not 0 <= offset < position:
            continue
        line.expected["below its position"] += 1
        key = (flow, place, offset)
        if identity in seen:
            line.actual["told again"] += 1
        elif identity in known:
            line.actual["counted"] += 1
            seen.add(identity)
        elif key in cut.metrics.dead:
            line.actual["dead"] += 1
        elif key in cut.metrics.parked:
            line.actual["held back"] += 1
        elif not identity and key in cut.metrics.replayed:
            line.actual["replayed"] += 1
        else:
            name = identity or f"{place[0]}/{place[1]}/{offset}"
            line.differ(name, "was read, but not counted")
    return seen
