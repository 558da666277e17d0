"""Records of the channels: each was accepted, rejected, repeated, a conflict, or given up.

An offset that intake has passed over is one where nothing stood, or one that was lost. While the
topic holds that stretch, the topic tells. Of one that is trimmed, only a gap is believed that
intake's trimmer has looked at before it deleted.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence, Set
from typing import Final, NamedTuple

from lastmetre.audit.balance import Balance, Line
from lastmetre.audit.consistent_cut import ConsistentCut
from lastmetre.audit.snapshot import Row, Snapshot
from lastmetre.common.contracts.readers import CHANNEL_TOPICS, READERS
from lastmetre.common.contracts.topics import PARTITIONS
from lastmetre.common.kafka.topic_reader import Place

_OUTCOMES: Final = """
    SELECT topic, partition, "offset", appended_at, outcome, contents_missing FROM report
    UNION ALL
    SELECT topic, partition, "offset", appended_at,
        CASE outcome WHEN 'conflict' THEN 'conflicts' ELSE outcome END, false FROM later_record
    UNION ALL
    SELECT topic, partition, "offset", appended_at, 'dead', false FROM dead_letter
    WHERE flow = 'channels' AND replayed_at IS NULL
    UNION ALL
    SELECT topic, partition, "offset", appended_at, 'held back', false FROM parked
    WHERE flow = 'channels'
"""
_EMPTY: Final = "SELECT topic, partition, first_offset, next_offset FROM empty_stretch"


class _Outcome(NamedTuple):
    """What became of a record. `expected_again`: it is known from intake's own log alone."""

    appended_at: int
    name: str
    expected_again: bool


async def check_channels(cut: ConsistentCut, balance: Balance) -> None:
    """Account for every record by its topic, partition and offset.

    Since a checkpoint: for each that came after it, was open there, or has a row that was written
    since.
    """
    outcomes: dict[Place, dict[int, list[_Outcome]]] = {}
    again = await _looked_at_again(cut)
    async for topic, partition, offset, *outcome in _outcomes(cut, again):
        found = outcomes.setdefault((topic, partition), defaultdict(list))
        found[offset].append(_Outcome(*outcome))
    seen_empty: dict[Place, set[int]] = defaultdict(set)
    for topic, partition, first, after in await cut.intake.rows(_EMPTY):
        seen_empty[topic, partition].update(range(first, after))
    places = [(topic, partition) for topic in CHANNEL_TOPICS for partition in range(PARTITIONS)]
    kept: dict[Place, dict[int, int]] = {place: {} for place in places}
    start = {place: cut.start(place) for place in places}
    async for record in cut.topics.records(places, start, cut.after):
        kept[record.topic, record.partition][record.offset] = record.timestamp
    for place in places:
        known = outcomes.get(place, {})
        earlier = sorted(offset for where, offset in again if where == place)
        line = balance.line("channel_records")
        _check_records(cut, line, place, (earlier, kept[place]), known)
        _check_gaps(cut, balance.line("channel_gaps"), place, kept[place], known, seen_empty[place])


async def _outcomes(cut: ConsistentCut, again: Set[tuple[Place, int]]) -> AsyncIterator[Row]:
    """What became of records: of all, or since a checkpoint of those that are counted."""
    if cut.since is None:
        async for row in cut.intake.stream(_OUTCOMES):
            yield row
        return
    starts = cut.since.checkpoint.starts.items()
    async for row in cut.intake.stream(
        f"SELECT o.* FROM ({_OUTCOMES}) AS o"  # noqa: S608
        " JOIN unnest($1::text[], $2::int[], $3::bigint[]) AS s(topic, partition, start)"
        " USING (topic, partition)"
        ' WHERE o."offset" >= s.start OR (o.topic, o.partition, o."offset") IN'
        " (SELECT * FROM unnest($4::text[], $5::int[], $6::bigint[]))",
        *([place[0] for place, _ in starts], [place[1] for place, _ in starts]),
        [start for _, start in starts],
        *([place[0] for place, _ in again], [place[1] for place, _ in again]),
        [offset for _, offset in again],
    ):
        yield row


async def _looked_at_again(cut: ConsistentCut) -> Set[tuple[Place, int]]:
    """Earlier records that were open at the checkpoint, or have a row that was written since."""
    if cut.since is None:
        return frozenset()
    recent = cut.intake.recent
    rows = await cut.intake.rows(
        f'SELECT topic, partition, "offset" FROM report WHERE {recent}'  # noqa: S608
        f' UNION SELECT topic, partition, "offset" FROM later_record WHERE {recent}'
        f' UNION SELECT topic, partition, "offset" FROM dead_letter'
        f" WHERE flow = 'channels' AND {recent}"
        f' UNION SELECT topic, partition, "offset" FROM parked'
        f" WHERE flow = 'channels' AND {recent}"
    )
    found = {((row[0], row[1]), row[2]) for row in rows} | cut.since.checkpoint.open_records
    return {
        (place, offset)
        for place, offset in found
        if place[0] in CHANNEL_TOPICS and offset < cut.counted_to(place)
    }


def _check_records(
    cut: ConsistentCut,
    line: Line,
    place: Place,
    records: tuple[Sequence[int], Mapping[int, int]],
    outcomes: Mapping[int, list[_Outcome]],
) -> None:
    """`records`: offsets to be looked at again, and append times by offset of what is kept."""
    earlier, appended = records
    position = cut.position(cut.intake, place)
    kept = {offset: at for offset, at in appended.items() if offset < position}
    # Below the first record that is kept, only intake's rows can tell what there was.
    passed_over = _passed_over(cut, place)
    trimmed = range(cut.counted_to(place), min(cut.first[place], position))
    gone = [each for each in (*earlier, *trimmed) if each not in passed_over]
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
        # A topic that was made anew begins at 0 again: what was read before is older. A report that
        # came back from intake's own log waits for its record to be read again.
        effects = [each.appended_at for each in found_there if not each.expected_again]
        if offset >= position and effects and max(effects) >= last_read:
            line.differ(f"{place[0]}/{place[1]}/{offset}", "is accounted for, but was not read yet")


def _check_gaps(
    cut: ConsistentCut,
    line: Line,
    place: Place,
    appended: Mapping[int, int],
    outcomes: Mapping[int, list[_Outcome]],
    seen_empty: Set[int],
) -> None:
    first, position = cut.first[place], cut.position(cut.intake, place)
    counted_to = cut.counted_to(place)
    passed_over = {each for each in _passed_over(cut, place) if counted_to <= each < position}
    line.expected["offsets passed over"] += len(passed_over)
    for offset in sorted(passed_over):
        if offset >= first and offset not in appended:
            line.actual["empty on the topic"] += 1
        elif outcomes.get(offset):
            # The gap is of a topic that was deleted since, or the record was read again.
            line.actual["accounted for as records"] += 1
        elif offset >= first:
            line.differ(_stretch(place, offset, offset + 1), "was passed over, but holds a record")
        elif offset in seen_empty:
            line.actual["seen empty before they were trimmed"] += 1
    unproved = (
        each
        for each in sorted(passed_over)
        if each < first and each not in seen_empty and not outcomes.get(each)
    )
    for start, after in _stretches(unproved):
        line.differ(
            _stretch(place, start, after),
            f"was passed over and is trimmed: {after - start} offsets cannot be proved empty",
        )


def _passed_over(cut: ConsistentCut, place: Place) -> set[int]:
    return cut.intake.passed_over.get((READERS["intake"][place[0]], place), set())


def _stretches(offsets: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Runs of offsets that follow each other, however many gaps they were booked as."""
    start = after = -1
    for offset in offsets:
        if offset != after:
            if after > start:
                yield start, after
            start = offset
        after = offset + 1
    if after > start:
        yield start, after


def _stretch(place: Place, start: int, after: int) -> str:
    offsets = str(start) if after == start + 1 else f"{start}-{after - 1}"
    return f"{place[0]}/{place[1]}/{offsets}"


def _current(found: list[_Outcome], appended_at: int | None) -> list[str]:
    """Outcomes of the record that is there now, not of one in a topic that was deleted since."""
    if appended_at is None and found:
        appended_at = max(each.appended_at for each in found)
    return [each.name for each in found if each.appended_at == appended_at]


def _last_read(intake: Snapshot, place: Place) -> int:
    """The append time of the last record that intake has read there, milliseconds."""
    read = intake.positions.get((READERS["intake"][place[0]], place))
    return read.appended_at if read else 0
