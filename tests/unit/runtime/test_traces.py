"""Spans of batches: in whose trace they are, what they are linked with, what goes on from them."""

import threading
from collections.abc import Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import StatusCode
from tests.support.spans import context_of, kept_spans, links_of, parent_of, spans_given_to

from lastmetre.common.service.ids import IdGenerator
from lastmetre.common.telemetry.traces import TRACES

ONE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OTHER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
NOT_SAMPLED = "00-11111111111111111111111111111111-2222222222222222-00"
NO_CONTEXTS = (
    None,
    "",
    "00-00000000000000000000000000000000-b7ad6b7169203331-01",
    "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
    "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\n",
    "'; DROP TABLE report",
)


def trace_of(context: str) -> str:
    return context.split("-")[1]


def span_of(context: str) -> str:
    return context.split("-")[2]


@pytest.mark.parametrize("items", [1, 3])
async def test_a_batch_of_one_trace_is_in_it(items: int) -> None:
    async with kept_spans() as kept:
        with TRACES.batch("process", "consumer", [ONE] * items) as given:
            with TRACES.span("inside", "client"):
                pass
            running = TRACES.current()
    inside, batch = kept.all()
    assert given == [context_of(batch)] * items
    assert running == context_of(batch)
    assert trace_of(context_of(batch)) == trace_of(ONE) == trace_of(context_of(inside))
    assert parent_of(batch) == span_of(ONE)
    assert parent_of(inside) == span_of(context_of(batch))
    assert links_of(batch) == []
    assert batch.attributes == {"messaging.batch.message_count": items}


async def test_a_batch_of_several_traces_is_linked_with_each() -> None:
    async with kept_spans() as kept:
        with (
            TRACES.batch("process", "consumer", [ONE, OTHER, ONE, NOT_SAMPLED]) as given,
            TRACES.span("inside", "client"),
        ):
            pass
    inside, batch, *parts = kept.all()
    assert parent_of(batch) is None
    assert trace_of(context_of(batch)) not in (trace_of(ONE), trace_of(OTHER))
    assert links_of(batch) == [span_of(ONE), span_of(OTHER)]
    assert parent_of(inside) == span_of(context_of(batch))
    assert {parent_of(each): context_of(each) for each in parts} == {
        span_of(ONE): given[0], span_of(OTHER): given[1],
    }  # fmt: skip
    assert given[2] == given[0]
    assert trace_of(given[0]) == trace_of(ONE)
    assert trace_of(given[1]) == trace_of(OTHER)
    assert [links_of(each) for each in parts] == [[span_of(context_of(batch))]] * 2
    assert (trace_of(given[3]), given[3][-2:]) == (trace_of(NOT_SAMPLED), "00")


@pytest.mark.parametrize("context", NO_CONTEXTS)
async def test_what_is_no_context_begins_a_trace(context: str | None) -> None:
    async with kept_spans() as kept:
        with TRACES.batch("alone", "consumer", [context]) as alone:
            pass
        with TRACES.batch("together", "consumer", [context, ONE, context]) as together:
            pass
    [one] = kept.named("alone")
    assert alone == [context_of(one)]
    assert parent_of(one) is None
    batch = next(each for each in kept.named("together") if len(each.attributes or {}) == 1)
    assert links_of(batch) == [span_of(ONE)]
    assert len({trace_of(each) for each in together}) == 3
    assert trace_of(together[1]) == trace_of(ONE)


async def test_a_trace_is_sampled_by_its_own_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0")
    async with kept_spans() as kept:
        with TRACES.batch("mixed", "consumer", [ONE, None]) as given:
            assert TRACES.exemplar() is not None
        with TRACES.batch("none", "consumer", [None, NOT_SAMPLED]):
            assert TRACES.exemplar() is None
    assert [int(each[-2:], 16) & 1 for each in given] == [1, 0]
    assert {each.name for each in kept.all()} == {"mixed"}
    assert len(kept.all()) == 2


async def test_of_an_error_only_its_type_is_told() -> None:
    async with kept_spans() as kept:
        with (
            pytest.raises(ValueError, match="13800138000"),
            TRACES.batch("process", "consumer", [ONE, OTHER]),
        ):
            raise ValueError("13800138000")
    assert len(kept.all()) == 3
    for each in kept.all():
        assert each.status.status_code is StatusCode.ERROR
        assert (each.attributes or {})["error.type"] == "ValueError"
        assert "13800138000" not in each.to_json()


async def test_statements_are_told_below_what_runs_and_nowhere_else() -> None:
    async with kept_spans() as kept:
        TRACES.statement("SELECT 1", 0.1, None)
        with TRACES.span("outside", "internal"):
            TRACES.statement("\n  UPDATE position\n SET next_offset = $1", 0.25, "TimeoutError")
    statement, outside = kept.all()
    assert statement.name == "UPDATE"
    assert parent_of(statement) == span_of(context_of(outside))
    assert statement.attributes == {
        "db.system.name": "postgresql",
        "db.operation.name": "UPDATE",
        "db.query.text": "UPDATE position SET next_offset = $1",
        "error.type": "TimeoutError",
    }
    assert (statement.end_time or 0) - (statement.start_time or 0) == 250_000_000


async def test_an_example_is_what_runs_or_what_is_named_if_it_is_exported() -> None:
    named = {"trace_id": trace_of(ONE), "span_id": span_of(ONE)}
    assert TRACES.exemplar(ONE) is None
    async with kept_spans():
        assert TRACES.exemplar() is None
        assert TRACES.exemplar(ONE) == named
        assert TRACES.exemplar(NOT_SAMPLED) is None
        with TRACES.span("runs", "internal"):
            running = TRACES.current() or ""
            assert TRACES.exemplar() == {
                "trace_id": trace_of(running), "span_id": span_of(running),
            }  # fmt: skip


async def test_a_new_trace_begins_where_no_span_runs() -> None:
    identities = IdGenerator()
    async with kept_spans():
        outside = identities.traceparent()
        with TRACES.span("runs", "internal"):
            assert identities.traceparent() == TRACES.current() != outside
        assert TRACES.current() is None


class Stuck(SpanExporter):
    """A collector that takes a request and never answers."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.answers = threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.asked.set()
        self.answers.wait()
        return SpanExportResult.FAILURE


class Broken(SpanExporter):
    """One whose client fails."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        raise MemoryError


async def test_nobody_waits_for_a_collector() -> None:
    stuck = Stuck()
    async with spans_given_to(
        BatchSpanProcessor(stuck, max_queue_size=16, max_export_batch_size=8)
    ):
        for _ in range(100):
            with TRACES.batch("process", "consumer", [ONE, OTHER]) as given:
                assert len(given) == 2
        assert stuck.asked.wait(30)
    assert not stuck.answers.is_set()
    stuck.answers.set()


async def test_a_collector_that_fails_harms_nobody() -> None:
    async with spans_given_to(BatchSpanProcessor(Broken(), max_export_batch_size=1)):
        for _ in range(5):
            with TRACES.batch("process", "consumer", [ONE, OTHER]) as given:
                assert len(given) == 2


def test_where_no_spans_are_made_nobody_looks_at_a_context() -> None:
    contexts = iter([ONE])
    with TRACES.batch("process", "consumer", contexts) as given:
        assert TRACES.current() is None
    assert given == ()
    assert next(contexts) == ONE
