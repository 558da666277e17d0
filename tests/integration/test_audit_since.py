"""`lastmetre audit` from a checkpoint: what is new is counted, and nothing of it is missed."""

import asyncio
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import asyncpg
import pytest

from lastmetre.audit.balance import TITLES
from lastmetre.audit.checkpoint import Checkpoint, written_checkpoint
from lastmetre.audit.run import Audited
from lastmetre.audit.tables import Rows
from lastmetre.common.contracts.base import SYSTEM
from lastmetre.common.contracts.cases import CaseRegistered
from lastmetre.common.contracts.requests import ActionAnswered
from lastmetre.common.contracts.topics import (
    CASE_EVENTS,
    FIELD_ACTIONS,
    FIELD_OUTCOMES,
    PARTITIONS,
    REPORTS,
)
from lastmetre.common.kafka.codec import cloud_event, kafka_headers
from lastmetre.common.outbox.messages import batches_of
from lastmetre.common.postgres.outbox_table import append_outbox
from lastmetre.devstack import Endpoints, Stack
from tests.integration.audit_story import CONTACT, Story, first_told, invented, live_through
from tests.support import books
from tests.support.city import TRACE, City
from tests.support.city.own import own_city


@dataclass(frozen=True)
class Days:
    """A story, with the audits of the days after. The services have ended."""

    story: Story
    first: Audited
    second: Audited
    """On from the first, after some more has happened."""
    touched: int
    """Cases that were touched between them, or that a dead letter is of."""

    @property
    def endpoints(self) -> Endpoints:
        return self.story.endpoints

    async def since(self, checkpoint: Checkpoint | None) -> Audited:
        return await books.audited(self.endpoints, self.story.outbox, checkpoint=checkpoint)


@pytest.fixture(scope="module")
def days(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Days:
    with own_city(stack, tmp_path_factory.mktemp("days") / "home") as own:
        return asyncio.run(_live_on(own))


async def _live_on(own: Stack) -> Days:
    story = await live_through(own)
    async with City(own.endpoints.model_dump(mode="json", by_alias=True)) as city:
        for partition in range(PARTITIONS):  # also where no case of this city is
            key = str(story.closed).encode()
            await city.produce(FIELD_ACTIONS, key, b"not JSON", [], partition=partition)
        assert not await books.quiet(own.endpoints)
        first = await books.audited(own.endpoints, story.outbox)
        # A case of before goes all the way, and its closing is rated.
        earlier = await city.case_of(story.receipts[1].receipt)
        for action in ("accept", "arrive", "resolve"):
            assert (await city.act(earlier, action)).is_success
        await city.until(lambda: _stands(city, earlier, "closed"), "closing")
        closing = (await city.state(earlier))[0]
        assert (await city.rate(earlier, closing, score=2)).is_success
        # Another goes a step; a report of before comes again; one is new.
        another = await city.case_of(story.receipts[2].receipt)
        assert (await city.act(another, "accept")).is_success
        await city.report("told", contact=CONTACT)
        await city.until(lambda: _ends_with(city, earlier, "rated"), "rating")
        await city.case_of(await city.report("later", contact=CONTACT))
        assert not await books.quiet(own.endpoints)
    second = await books.audited(own.endpoints, story.outbox, checkpoint=first.next)
    return Days(story, first, second, touched=4)


async def _stands(city: City, case_id: uuid.UUID, state: str) -> bool:
    return (await city.state(case_id))[1] == state


async def _ends_with(city: City, case_id: uuid.UUID, kind: str) -> bool:
    return (await city.ledger(case_id))[-1] == kind


def named(audited: Audited) -> dict[str, list[str]]:
    """What each line that does not balance names."""
    return {
        line.name: sorted(each.id for each in line.differences)
        for line in audited.balance
        if not line.balanced
    }


async def test_only_what_is_new_is_counted(days: Days) -> None:
    assert named(days.first) == named(days.second) == {}
    assert (days.first.since, days.second.since) == (None, days.first.next)
    assert days.second.everything_because is None
    counted = days.second.balance.line("case_state").expected["cases in dispatch"]
    assert counted == days.touched
    everything = await days.since(None)
    assert named(everything) == {}
    assert everything.balance.line("case_state").expected["cases in dispatch"] > counted
    assert days.second.next
    for url in days.endpoints.databases.values():
        connection = await asyncpg.connect(url)
        await connection.execute("VACUUM (FREEZE)")  # keeps which transaction wrote a row
        await connection.close()
    third = await days.since(days.second.next)
    assert (named(third), third.since) == ({}, days.second.next)
    assert {line.name for line in third.balance} == TITLES.keys()
    assert third.balance.line("case_state").expected.total() == 1  # the dead letter's


ALTERED: list[tuple[str, Callable[[Checkpoint], Checkpoint]]] = [
    ("made anew", lambda c: c.model_copy(
        update={"topic_ids": c.topic_ids | {CASE_EVENTS: str(uuid.uuid4())}})),
    ("ends at", lambda c: c.model_copy(update={"start": c.start | {REPORTS: [10**6] * 12}})),
    ("holds other records", lambda c: c.model_copy(
        update={"appended": c.appended | {CASE_EVENTS: [1] * PARTITIONS}})),
    ("another prefix", lambda c: c.model_copy(update={"topic_prefix": "elsewhere."})),
    ("went back in time", lambda c: _of_notify(c, identity="another/timeline")),
    ("were migrated", lambda c: _of_notify(c, schema_versions="core 1")),
    ("counts other transactions", lambda c: _of_notify(c, limit=2**40)),
    ("of notify's message_done", lambda c: _of_notify(
        c, rows=c.databases["notify"].rows | {"message_done": Rows(10**6, 0)})),
    ("files of messages", lambda c: c.model_copy(update={"message_files": 10**6})),
]  # fmt: skip


def _of_notify(checkpoint: Checkpoint, **update: object) -> Checkpoint:
    state = checkpoint.databases["notify"].model_copy(update=update)
    return checkpoint.model_copy(update={"databases": checkpoint.databases | {"notify": state}})


@pytest.mark.parametrize(("why", "alter"), ALTERED, ids=[why for why, _ in ALTERED])
async def test_where_a_checkpoint_does_not_hold_everything_is_counted(
    days: Days, why: str, alter: Callable[[Checkpoint], Checkpoint]
) -> None:
    assert days.second.next
    audited = await days.since(alter(Checkpoint.model_validate(days.second.next.model_dump())))
    assert why in (audited.everything_because or "")
    assert (named(audited), audited.since) == ({}, None)
    assert audited.balance.line("case_state").expected["cases in dispatch"] > days.touched


async def test_the_command_goes_on_from_what_it_noted(days: Days) -> None:
    """And says what it has counted; a damaged checkpoint is not believed."""
    home = days.story.outbox.parent
    file = home / "audit-checkpoint.json"
    code, first = await books.audit(home, "--live")
    assert (code, first["balanced"], first["since"]) == (0, True, None)
    noted = json.loads(file.read_text())["content"]["taken_at"]
    code, second = await books.audit(home, "--live")
    assert (code, second["balanced"]) == (0, True)
    assert datetime.fromisoformat(second["since"]) == datetime.fromisoformat(noted)
    code, said, _ = await books.command(home, "audit", "--live")
    assert (code, "--full counts everything" in said) == (0, True), said
    code, full = await books.audit(home, "--live", "--full")
    assert (code, full["since"]) == (0, None)
    file.write_bytes(file.read_bytes()[:-20])
    code, said, complained = await books.command(home, "audit", "--live")
    assert (code, "The books balance." in said) == (0, True)
    assert "Everything is counted: the checkpoint is damaged" in complained
    later = json.loads(file.read_text())["content"] | {"format": 3}
    file.write_bytes(written_checkpoint(Checkpoint.model_construct(**later)))
    _, _, complained = await books.command(home, "audit", "--live")
    assert "the checkpoint is of another build" in complained


async def test_what_waited_in_an_outbox_is_looked_for(days: Days) -> None:
    """It waits still, or is on its topic; or it is lost, though nothing else tells that."""
    outcome = await first_told(days.story, ActionAnswered)
    again = cloud_event(
        outcome,
        topic=FIELD_OUTCOMES,
        key=str(outcome.case_id),
        event_id="told once more",
        source="/tests",
        occurred_at=outcome.answered_at,
        recorded_at=outcome.answered_at,
        traceparent=TRACE,
    )
    (row,) = batches_of([again])
    dispatch = await asyncpg.connect(days.endpoints.databases["dispatch"])
    try:
        await append_outbox(dispatch, [row])
        waiting = await days.since(days.second.next)
        assert (named(waiting), waiting.since) == ({}, days.second.next)
        assert waiting.next
        assert waiting.next.unrelayed == [(FIELD_OUTCOMES, row.partition, "told once more")]
        assert named(await days.since(waiting.next)) == {}
        await dispatch.execute("DELETE FROM outbox")
        assert named(await days.since(waiting.next)) == {"outcomes": ["told once more"]}
        # Acknowledged late: it is on the topic, and in the outbox.
        await append_outbox(dispatch, [row])
        async with City(days.endpoints.model_dump(mode="json", by_alias=True)) as city:
            headers = kafka_headers(again.headers)
            await city.produce(FIELD_OUTCOMES, again.key, again.value, headers, row.partition)
        told = await days.since(waiting.next)
        assert told.next
        assert (named(told), told.next.unrelayed) == ({}, [])
        await dispatch.execute("DELETE FROM outbox")
        assert named(await days.since(told.next)) == {}
    finally:
        await dispatch.close()


async def test_what_is_told_later_of_earlier_cases_is_named(days: Days) -> None:
    """Just as an audit of everything names it: a hole, a second version, a second registration.

    The last one of this file: what stands on a topic stays there.
    """
    story = days.story
    first = await first_told(story, CaseRegistered)
    hole = (await invented(story, 99)).model_copy(update={"actor": SYSTEM})
    twice = first.model_copy(update={"case_id": uuid.uuid4(), "number": "991231-0001"})
    namesake = first.model_copy(update={"case_id": uuid.uuid4(), "report_id": uuid.uuid4()})
    otherwise = first.model_copy(update={"category": "unknown-to-all"})
    async with City(story.endpoints.model_dump(mode="json", by_alias=True)) as city:
        for told in (first, hole, twice, namesake, otherwise):
            await city.tell(told)
    since, everything = await days.since(days.second.next), await days.since(None)
    assert since.since == days.second.next, since.everything_because
    assert since.next is None
    assert named(since) == named(everything)
    assert {str(first.report_id), first.number} <= set(named(since)["one_case"])
    assert f"{story.closed}:1" in named(since)["ledger_on_topic"]
    assert f"{story.closed}:98" in named(since)["ledger_on_topic"]
    assert f"{story.closed}:99" in named(since)["ledger_told"]
    # Had a writer epoch begun before the checkpoint, all of that would be of one that is past.
    assert days.second.next
    past = days.second.next.model_copy(update={"writer_epochs": [1] * PARTITIONS})
    assert named(await days.since(past)) == {}
    # The command says it of the whole, and why it has counted that.
    home = story.outbox.parent
    (home / "audit-checkpoint.json").write_bytes(written_checkpoint(days.second.next))
    code, document = await books.audit(home, "--live")
    because = "what came since the checkpoint does not balance"
    assert (code, document["since"], document["everything_because"]) == (1, None, because)
