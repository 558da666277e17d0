"""Records of the channels: each was accepted, rejected, repeated, a conflict, or given up."""

from collections import defaultdict
from typing import Final

from lastmetre.audit.balance import Balance, Line
from lastmetre.audit.consistent_cut import ConsistentCut
from lastmetre.audit.snapshot import Snapshot
from lastmetre.common.contracts.readers import CHANNEL_TOPICS, READERS
from lastmetre.common.contracts.topics import PARTITIONS
from lastmetre.common.kafka.topic_reader import Place

_OUTCOMES: Final = """
    SELECT topic, partition, "offset", appended_at, outcome FROM report
    UNION ALL
    SELECT topic, partition, "offset", appended_at,
        CASE outcome WHEN 'conflict' THEN 'conflicts' ELSE outcome END FROM later_record
    UNION ALL
    SELECT topic, partition, "offset", appended_at, 'dead' FROM dead_letter
    WHERE flow = 'channels' AND replayed_at IS NULL
"""


async def check_channels(cut: ConsistentCut, balance: Balance) -> None:
    """Account for every record by its topic, partition and offset."""
    line = balance.line("channel_records")
    outcomes: dict[Place, dict[int, list[tuple[int, str]]]] = {}
    async for topic, partition, offset, appended_at, outcome in cut.intake.stream(_OUTCOMES):
        found = outcomes.setdefault((topic, partition), defaultdict(list))
        found[offset].append((appended_at, outcome))
    places = [(topic, partition) for topic in CHANNEL_TOPICS for partition in range(PARTITIONS)]
    kept: dict[Place, dict[int, int]] = {place: {} for place in places}
    async for record in cut.topics.records(places, cut.first, cut.after):
        kept[record.topic, record.partition][record.offset] = record.timestamp
    for place in places:
        _check_partition(cut, line, place, kept[place], outcomes.get(place, {}))


def _check_partition(
    cut: ConsistentCut,
    line: Line,
    place: Place,
    appended: dict[int, int],
    outcomes: dict[int, list[tuple[int, str]]],
) -> None:
    position = cut.position(cut.intake, place)
    kept = {offset: at for offset, at in appended.items() if offset < position}
    # Below the first record that is kept, only intake's rows can tell what there was.
    empty = cut.intake.passed_over[READERS["intake"][place[0]], place]
    gone = [each for each in range(min(cut.first[place], position)) if each not in empty]
    line.expected["records below the position"] += len(gone) + len(kept)
    for offset in (*gone, *kept):
        found = _current(outcomes.get(offset, []), kept.get(offset))
        name = f"{place[0]}/{place[1]}/{offset}"
        if not found:
            line.differ(name, "was read, but nothing is known of it")
        elif len(found) > 1:
            line.differ(name, f"is accounted for more than once: {', '.join(found)}")
        else:
            line.actual[found[0]] += 1
    last_read = _last_read(cut.intake, place)
    for offset, found_there in outcomes.items():
        # A topic that was made anew begins at 0 again: what was read before is older.
        if offset >= position and max(at for at, _ in found_there) >= last_read:
            line.differ(f"{place[0]}/{place[1]}/{offset}", "is accounted for, but was not read yet")


def _current(found: list[tuple[int, str]], appended_at: int | None) -> list[str]:
    """Outcomes of the record that is there now, not of one in a topic that was deleted since."""
    if appended_at is None and found:
        appended_at = max(at for at, _ in found)
    return [outcome for at, outcome in found if at == appended_at]


def _last_read(intake: Snapshot, place: Place) -> int:
    """The append time of the last record that intake has read there, milliseconds."""
    read = intake.positions.get((READERS["intake"][place[0]], place))
    return read.appended_at if read else 0
