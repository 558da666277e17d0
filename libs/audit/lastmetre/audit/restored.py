"""What databases that were set back, and senders that were stopped, leave to be done."""

from collections import Counter
from typing import Final

from lastmetre.audit.balance import Balance
from lastmetre.audit.consistent_cut import ConsistentCut
from lastmetre.common.contracts.readers import CHANNEL_TOPICS
from lastmetre.common.kafka.dead_letter_limit import Sender
from lastmetre.common.kafka.topic_reader import Place

_MISSING: Final = """
    SELECT report_id::text, topic, partition, "offset" FROM report WHERE contents_missing
"""


async def check_restored(cut: ConsistentCut, balance: Balance) -> None:
    """Every line of it."""
    await _contents(cut, balance)
    await _held_back(cut, balance)
    await _acknowledged(cut, balance)
    line = balance.line("decisions")
    for (case_id,) in await cut.dispatch.rows(
        "SELECT case_id::text FROM unfinished_decision"
        " UNION SELECT case_id::text FROM unfinished_merge"
    ):
        line.expected["decisions in the log"] += 1
        line.differ(case_id, "ends in the middle of a decision")


async def _contents(cut: ConsistentCut, balance: Balance) -> None:
    """Each report has what its channel record said, or that record can still be read again."""
    line = balance.line("contents")
    total = (await cut.intake.rows("SELECT count(*) FROM report"))[0][0]
    line.expected["reports in intake"] = total
    missing = await cut.intake.rows(_MISSING)
    line.actual["with their contents"] = total - len(missing)
    for report_id, topic, partition, offset in missing:
        place: Place = topic, partition
        to_be_read = topic in CHANNEL_TOPICS and offset >= max(
            cut.position(cut.intake, place), cut.first.get(place, 0)
        )
        if to_be_read:
            line.actual["to be read again"] += 1
        else:
            line.differ(
                report_id, f"has no contents: its record {topic}/{partition}/{offset} is gone"
            )


async def _held_back(cut: ConsistentCut, balance: Balance) -> None:
    """Records of stopped senders wait; of the channels nothing else does."""
    line = balance.line("held_back")
    for snapshot in cut.snapshots:
        stopped: dict[tuple[str, str], Sender] = {}
        for consumer, *names in await snapshot.rows(
            "SELECT consumer, topic, partition, source FROM stopped_sender"
        ):
            stopped[consumer, str(Sender(*names).key)] = Sender(*names)
        waiting: Counter[Sender] = Counter()
        for flow, key, topic, partition, offset in await snapshot.rows(
            'SELECT flow, key::text, topic, partition, "offset" FROM parked'
        ):
            if (flow, key) in stopped:
                waiting[stopped[flow, key]] += 1
            elif topic in CHANNEL_TOPICS:
                line.expected["records held back"] += 1
                line.differ(f"{topic}/{partition}/{offset}", "waits, but its sender is not stopped")
        for sender in stopped.values():
            line.expected["records held back"] += waiting[sender]
            line.actual[f"of {sender.source} in {sender.topic}/{sender.partition}"] += waiting[
                sender
            ]


async def _acknowledged(cut: ConsistentCut, balance: Balance) -> None:
    """What the broker acknowledged still stands in the log: the log is not behind the database."""
    line = balance.line("acknowledged")
    told: dict[Place, tuple[str, int, int]] = {
        (topic, partition): (snapshot.service, after, at)
        for snapshot in cut.snapshots
        for topic, partition, after, at in await snapshot.rows(
            "SELECT topic, partition, next_offset, appended_at FROM outbox_acknowledged"
        )
        if (topic, partition) in cut.after
    }
    until = {place: after for place, (_, after, _) in told.items() if after <= cut.after[place]}
    start = {place: max(after - 1, cut.first[place]) for place, after in until.items()}
    appended: dict[Place, int] = {}
    async for record in cut.topics.records(start, start, until):
        appended[record.topic, record.partition] = record.timestamp
    for place, (service, after, at) in told.items():
        line.expected["partitions written"] += 1
        name = f"{place[0]}/{place[1]}/{after - 1}"
        if place not in until:
            line.differ(
                name, f"was acknowledged to {service}; the topic ends at {cut.after[place]}"
            )
        elif cut.first[place] >= after:
            line.actual["no longer kept"] += 1
        elif appended.get(place) != at:
            line.differ(name, f"was acknowledged to {service}; another record stands there")
        else:
            line.actual["as acknowledged"] += 1
