"""Hostile records, as a partner could write them, each with its stated answer."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from lastmetre.common.contracts.requests import ActionRequested, FeedbackGiven
from tests.support.city import Headers, submitted

Record = tuple[str, bytes | None, Headers, str]
"""(name, body, headers, what the dead letter says)"""

NO_BODY: Final = "the record has no body"
NO_TYPE: Final = "the header ce_type is missing"
NOT_JSON: Final = "body: Invalid JSON"
FUTURE: Final = b"lastmetre.report.submitted.v2"


def body(**fields: Any) -> bytes:
    """A report, apart from these fields."""
    return json.dumps({"source_id": "dead", "text": "x"} | fields).encode()


def app(*more: tuple[str, bytes | None]) -> Headers:
    """What a partner of the channel `app` says of its record."""
    return [*submitted("app"), *more]


def typed(name: bytes | None, source: bytes | None = b"/channels/app/partner") -> Headers:
    """Another type, or another source."""
    return [("ce_specversion", b"1.0"), ("ce_type", name), ("ce_source", source)]


SUBMITTED: Final = b"lastmetre.report.submitted.v1"
HUGE: Final = "x" * 1_000_000

DEAD_REPORTS: Final[Sequence[Record]] = [
    ("tombstone", None, app(), NO_BODY),
    ("empty", b"", app(), NOT_JSON),
    ("not JSON", b"{", app(), NOT_JSON),
    ("123", b"123", app(), "body: Input should be an object"),
    ("null", b"null", app(), "body: Input should be an object"),
    ("an array", b"[]", app(), "body: Input should be an object"),
    ("deep", b'{"source_id":"x","text":' + b"[" * 5000, app(), NOT_JSON),
    ("lone surrogate", b'{"source_id":"\\ud800"}', app(), NOT_JSON),
    ("not UTF-8", b'{"source_id":"\xff"}', app(), NOT_JSON),
    ("NaN", b'{"source_id":"x","position":{"latitude":NaN,"longitude":1}}', app(),
     "position.latitude"),
    ("NUL", body(source_id="\0"), app(), "source_id"),
    ("wrong type", body(text=7), app(), "text: Input should be a valid string"),
    ("text of 1 MB", body(text=HUGE), app(), "text: String should have at most"),
    ("far future", body(reported_at="9999-12-31T23:59:59-14:00"), app(), "reported_at"),
    ("no headers", body(), [], NO_TYPE),
    ("no type", body(), submitted("app")[2:], NO_TYPE),
    ("null type", body(), typed(None), NO_TYPE),
    ("type not UTF-8", body(), typed(b"\xff\xfe"), "ce_type is"),
    ("type of 10 kB", body(), typed(b"x" * 10_000), "ce_type is 'xxx"),
    ("future version", body(), typed(FUTURE), "ce_type is 'lastmetre.report.submitted.v2'"),
    ("type of another topic", body(), typed(b"lastmetre.case.closed.v1"), "ce_type is"),
    ("no source", body(), typed(SUBMITTED)[:2], "the header ce_source is missing"),
    ("null source", body(), typed(SUBMITTED, None), "the header ce_source is missing"),
    ("source not UTF-8", body(), typed(SUBMITTED, b"/channels/app/\xff"), "is not UTF-8"),
    ("another channel's source", body(), submitted("hotline"), "names the channel hotline"),
    ("no channel's source", body(), submitted("fax"), "is not /channels/<channel>/<sender>"),
    ("sender of 121", body(), submitted("app", "x" * 121), "is not /channels/"),
]  # fmt: skip

STRANGE_REPORTS: Final[Mapping[str, tuple[bytes | None, bytes, Headers]]] = {
    "no key": (None, body(), app()),
    "empty key": (b"", body(), app()),
    "key not UTF-8": (b"\xff\xfe", body(), app()),
    "key of 100 kB": (b"k" * 100_000, body(), app()),
    "null header": (b"k", body(), app(("x", None))),
    "header not UTF-8": (b"k", body(), app(("traceparent", b"\xff"), ("ce_time", b"\xff"))),
    "header with an empty name": (b"k", body(), app(("", b""))),
    "1,000 headers": (b"k", body(), app(*((f"x{n}", b"") for n in range(1000)))),
    "just under the limit": (b"k", body(x=HUGE), app()),
    "NaN where nobody looks": (b"k", body(x=float("nan")), app()),
    "type twice": (b"k", body(), app(("ce_type", FUTURE))),
}
"""(key, body, headers): reports all the same. The source id is put in."""


@dataclass(frozen=True)
class Asking:
    """The case and the lead that the requests to dispatch are about."""

    case_id: UUID
    action_id: UUID

    def action(self, **fields: Any) -> bytes:
        """Accept, apart from these fields."""
        good = {
            "case_id": str(self.case_id),
            "action_id": str(self.action_id),
            "action": "accept",
            "actor": {"role": "lead", "id": "L0"},
            "occurred_at": datetime.now(UTC).isoformat(),
        }
        return json.dumps(good | fields).encode()

    def feedback(self, **fields: Any) -> bytes:
        """Five stars for a closing that is not, apart from these fields."""
        good = {
            "case_id": str(self.case_id),
            "feedback_id": str(self.action_id),
            "closing": 5,
            "solved": True,
            "score": 5,
            "occurred_at": datetime.now(UTC).isoformat(),
        }
        return json.dumps(good | fields).encode()


ACTION: Final[Headers] = [("ce_type", ActionRequested.TYPE.encode())]
FEEDBACK: Final[Headers] = [("ce_type", FeedbackGiven.TYPE.encode())]


def dead_actions(about: Asking) -> Sequence[Record]:
    """On `field.actions`, where partners write."""
    action = about.action
    return [
        ("tombstone", None, ACTION, NO_BODY),
        ("not JSON", b"{", ACTION, NOT_JSON),
        ("123", b"123", ACTION, "body: Input should be an object"),
        ("lone surrogate", action()[:-1] + b',"area_id":"\\ud800"}', ACTION, NOT_JSON),
        ("no headers", action(), [], NO_TYPE),
        ("null type", action(), [("ce_type", None)], NO_TYPE),
        ("future version", action(), [("ce_type", b"lastmetre.action.requested.v2")],
         "lastmetre.action.requested.v2"),
        ("type not UTF-8", action(), [("ce_type", b"\xff")], "holds the type"),
        ("answer for a question", action(), [("ce_type", b"lastmetre.action.answered.v1")],
         "lastmetre.action.answered.v1"),
        ("unknown action", action(action="explode"), ACTION, "action"),
        ("no case", action(case_id="x"), ACTION, "case_id"),
        ("seen nothing", action(expected_seq=0), ACTION, "expected_seq"),
        ("unknown role", action(actor={"role": "mayor"}), ACTION, "actor.role"),
        ("area with NUL", action(area_id="\0"), ACTION, "area_id"),
        ("area of 1 MB", action(area_id=HUGE), ACTION, "area_id"),
        ("time without zone", action(occurred_at="2026-11-22T08:00:00"), ACTION, "occurred_at"),
        ("time after the last", action(occurred_at="9999-12-31T23:59:59-14:00"), ACTION,
         "occurred_at"),
    ]  # fmt: skip


def refused_actions(about: Asking) -> Mapping[str, tuple[bytes, str]]:
    """Read, and answered with the reason."""
    action = about.action
    return {
        "seen too much": (action(expected_seq=10**30), "case_has_moved_on"),
        "as the system": (action(actor={"role": "system"}), "not_allowed_for_role"),
        "as a resident": (action(actor={"role": "resident"}), "not_allowed_for_role"),
        "as a partner": (action(actor={"role": "partner"}), "not_allowed_for_role"),
        "as another lead": (action(actor={"role": "lead", "id": "L1"}), "not_your_case"),
        "as no lead": (action(actor={"role": "lead"}), "not_your_case"),
        "in the future": (action(occurred_at="2199-01-01T00:00:00Z"), "happens_in_the_future"),
        "out of turn": (action(action="arrive"), "not_allowed_in_state"),
        "return unseen": (
            action(action="return", return_reason="not_found"),
            "expected_seq_missing",
        ),
        "in 1999": (action(occurred_at="1999-01-01T00:00:00Z"), "happens_before_the_last_step"),
        # The system that asks is one that nobody has named: it speaks for leads alone.
        "as an operator": (
            action(action="cancel", actor={"role": "operator"}, cancel_reason="x", expected_seq=2),
            "not_allowed_for_role",
        ),
        "as an administrator": (
            action(action="place", actor={"role": "administrator"}, area_id="A1", expected_seq=2),
            "not_allowed_for_role",
        ),
    }


def dead_feedback(about: Asking) -> Sequence[Record]:
    """On `feedback`, which only notify writes: still nobody is stopped by what cannot be read."""
    feedback = about.feedback
    return [
        ("tombstone", None, FEEDBACK, NO_BODY),
        ("not JSON", b"{", FEEDBACK, NOT_JSON),
        ("123", b"123", FEEDBACK, "body: Input should be an object"),
        ("no headers", feedback(), [], NO_TYPE),
        ("six stars", feedback(score=6), FEEDBACK, "score"),
        ("no closing", feedback(closing=0), FEEDBACK, "closing"),
        ("infinite stars", feedback(score=float("inf")), FEEDBACK, "score"),
    ]
