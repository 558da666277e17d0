"""What is changed in a table behind everybody's back, and which line of the audit names it."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from lastmetre.common.contracts.topics import CASE_EVENTS
from tests.integration.audit_story import Story

STRANGER = UUID("0190a000-0000-7000-8000-000000000001")


@dataclass(frozen=True)
class Tampering:
    """`sql` in `table` of `service`, with `given` as $1, makes `line` name `named`."""

    line: str
    what: str
    service: str
    table: str
    sql: str
    given: Callable[[Story], object]
    named: Callable[[Story], str]


def _case(story: Story, suffix: str = "") -> str:
    return f"{story.closed}{suffix}"


NOTHING = Tampering("", "", "dispatch", "outbox", "SELECT $1::int", lambda _: 1, str)
T = Tampering
TAMPERINGS = [
    T("channel_records", "an accepted report is lost", "intake", "report",
      "DELETE FROM report WHERE report_id = $1",
      lambda s: s.report, lambda s: s.place),
    T("channel_records", "a repetition is lost", "intake", "later_record",
      "DELETE FROM later_record WHERE outcome = $1",
      lambda s: "repeated", lambda s: s.repeated),
    T("channel_records", "a dead letter is lost", "intake", "dead_letter",
      "DELETE FROM dead_letter WHERE flow = $1",
      lambda s: "channels", lambda s: s.dead),
    T("channel_records", "a record counts twice", "intake", "later_record",
      'INSERT INTO later_record SELECT topic, partition, "offset", appended_at, report_id,'
      " 'repeated', NULL FROM report WHERE report_id = $1",
      lambda s: s.report, lambda s: s.place),
    T("channel_records", "the position is behind the effects", "intake", "position",
      "UPDATE position p SET next_offset = r.offset, appended_at = r.appended_at - 1 FROM report r"
      " WHERE p.flow = 'channels' AND (p.topic, p.partition) = (r.topic, r.partition)"
      " AND r.report_id = $1",
      lambda s: s.report, lambda s: s.place),
    T("channel_records", "what was held back is not what was read", "intake", "parked",
      "INSERT INTO parked SELECT 'channels', report_id, 0, topic, partition, \"offset\","
      " appended_at, '', NULL, now() FROM report WHERE report_id = $1",
      lambda s: s.report, lambda s: s.place),
    T("channel_gaps", "a record was passed over", "intake", "dead_letter",
      "WITH lost AS (DELETE FROM dead_letter WHERE flow = $1 RETURNING *)"
      " INSERT INTO passed_over SELECT 'channels', topic, partition, \"offset\", \"offset\" + 1"
      " FROM lost ON CONFLICT DO NOTHING",
      lambda s: "channels", lambda s: s.dead),
    T("held_back", "its sender is not stopped", "intake", "parked",
      "INSERT INTO parked SELECT 'channels', report_id, 0, topic, partition, \"offset\","
      " appended_at, '', NULL, now() FROM report WHERE report_id = $1",
      lambda s: s.report, lambda s: s.place),
    T("contents", "its channel record is gone", "intake", "report",
      "UPDATE report SET contents_missing = true WHERE report_id = $1",
      lambda s: s.report, lambda s: str(s.report)),
    T("decisions", "one is unfinished", "dispatch", "unfinished_decision",
      "INSERT INTO unfinished_decision VALUES ($1)", lambda s: s.closed, _case),
    T("acknowledged", "the log is behind the database", "dispatch", "outbox_acknowledged",
      "UPDATE outbox_acknowledged SET next_offset = 1000000 WHERE topic = $1",
      lambda s: CASE_EVENTS, lambda s: f"{CASE_EVENTS}/{s.partition}/999999"),
    T("acknowledged", "another record stands there", "dispatch", "outbox_acknowledged",
      "UPDATE outbox_acknowledged SET appended_at = 1, next_offset = 1 WHERE topic = $1",
      lambda s: CASE_EVENTS, lambda s: f"{CASE_EVENTS}/{s.partition}/0"),
    T("feedback_refused", "its giver was thanked", "dispatch", "answer",
      "UPDATE answer SET refusal = 'action_id_used' WHERE kind = $1",
      lambda s: "feedback", lambda s: str(s.feedback)),
    T("feedback", "an action has its id", "dispatch", "answer",
      "UPDATE answer SET kind = 'accept', refusal = 'not_allowed_in_state' WHERE kind = $1",
      lambda s: "feedback", lambda s: str(s.feedback)),
    T("feedback_refused", "answered on another case", "dispatch", "answer",
      f"UPDATE answer SET case_id = '{STRANGER}' WHERE kind = $1",
      lambda s: "feedback", lambda s: str(s.feedback)),
    T("accepted_told", "another place than was told", "intake", "report",
      "UPDATE report SET latitude = 1 WHERE report_id = $1",
      lambda s: s.report, lambda s: str(s.report)),
    T("accepted_told", "nobody was told", "intake", "report",
      f"UPDATE report SET report_id = '{STRANGER}' WHERE report_id = $1",
      lambda s: s.report, lambda s: str(STRANGER)),
    T("rejected_told", "another reason than was told", "intake", "report",
      "UPDATE report SET reasons = '{reported_in_the_future}' WHERE report_id = $1",
      lambda s: s.rejected, lambda s: str(s.rejected)),
    T("registered", "the case is gone", "dispatch", '"case"',
      'DELETE FROM "case" WHERE report_id = $1',
      lambda s: s.report, lambda s: str(s.report)),
    T("registered", "a case that nobody reported", "dispatch", '"case"',
      f'UPDATE "case" SET report_id = \'{STRANGER}\' WHERE case_id = $1',
      lambda s: s.closed, _case),
    T("ledger_in_dispatch", "a hole", "dispatch", "ledger",
      "UPDATE ledger SET seq = 99 WHERE case_id = $1 AND seq = 3",
      lambda s: s.closed, lambda s: _case(s, ":3")),
    T("ledger_in_dispatch", "the last one is gone", "dispatch", "ledger",
      "DELETE FROM ledger WHERE case_id = $1 AND seq = 8",
      lambda s: s.closed, lambda s: _case(s, ":8")),
    T("ledger_told", "told otherwise", "dispatch", "ledger",
      "UPDATE ledger SET occurred_at = occurred_at + interval '1 second'"
      " WHERE case_id = $1 AND seq = 3",
      lambda s: s.closed, lambda s: _case(s, ":3")),
    T("case_state", "another state", "dispatch", '"case"',
      "UPDATE \"case\" SET state = 'accepted' WHERE case_id = $1", lambda s: s.closed, _case),
    T("case_state", "a report that has not joined", "dispatch", '"case"',
      f"UPDATE \"case\" SET merged = ARRAY['{STRANGER}'::uuid] WHERE case_id = $1",
      lambda s: s.closed, _case),
    T("registered", "a report that intake never accepted has joined", "dispatch", '"case"',
      f"UPDATE \"case\" SET merged = ARRAY['{STRANGER}'::uuid] WHERE case_id = $1",
      lambda s: s.closed, _case),
    T("registered", "a report that was merged is in no case any more", "dispatch", '"case"',
      "UPDATE \"case\" SET merged = '{}' WHERE case_id = $1",
      lambda s: s.into, lambda s: str(s.merged_report)),
    T("merges", "the other case knows nothing of it", "dispatch", "ledger",
      "DELETE FROM ledger WHERE case_id = $1 AND seq = 3",
      lambda s: s.into, lambda s: str(s.merged_report)),
    T("merges", "the case that is said to be merged was not", "dispatch", "ledger",
      "DELETE FROM ledger WHERE case_id = $1 AND seq = 3",
      lambda s: s.merged, lambda s: str(s.merged_report)),
    T("splits", "a case goes on of which the report has not left", "dispatch", "ledger",
      "DELETE FROM ledger WHERE case_id = $1 AND seq = 5",
      lambda s: s.into, lambda s: str(s.apart)),
    T("applied_intake", "a merged case keeps reports", "intake", "merged_report",
      "UPDATE merged_report SET case_id = $1", lambda s: s.merged, lambda s: str(s.merged)),
    T("applied_intake", "a report that has not joined", "intake", "merged_report",
      f"INSERT INTO merged_report VALUES ('{STRANGER}', $1, now())", lambda s: s.closed, _case),
    T("applied_notify", "a report that has not joined", "notify", "subject",
      f"UPDATE subject SET merged = '[[\"{STRANGER}\",\"zh\",\"live\",true]]'"
      " WHERE case_id = $1", lambda s: s.closed, _case),
    T("applied_intake", "one behind", "intake", "case_view",
      "UPDATE case_view SET seq = seq - 1 WHERE case_id = $1",
      lambda s: s.closed, lambda s: _case(s, ":8")),
    T("applied_intake", "a step that residents do not see", "intake", "timeline",
      "DELETE FROM timeline WHERE case_id = $1 AND seq = (SELECT min(seq) FROM timeline"
      " WHERE case_id = $1)", lambda s: s.closed, _case),
    T("applied_notify", "one behind", "notify", "subject",
      "UPDATE subject SET seq = seq - 1 WHERE case_id = $1",
      lambda s: s.closed, lambda s: _case(s, ":8")),
    T("applied_notify", "ahead of its position", "notify", "position",
      "UPDATE position SET next_offset = 0 WHERE flow = $1",
      lambda s: "cases", lambda s: _case(s, ":8")),
    T("applied_metrics", "one ahead", "metrics", "fact",
      "UPDATE fact SET seq = seq + 1 WHERE case_id = $1",
      lambda s: s.closed, lambda s: _case(s, ":9")),
    T("applied_metrics", "the case is gone", "metrics", "fact",
      "DELETE FROM fact WHERE case_id = $1", lambda s: s.closed, lambda s: _case(s, ":1")),
    T("actions", "an answer is gone", "dispatch", "answer",
      "DELETE FROM answer WHERE request_id = $1",
      lambda s: s.resolved, lambda s: str(s.resolved)),
    T("actions", "a parked one is gone", "dispatch", "parked",
      "DELETE FROM parked WHERE flow = $1",
      lambda s: "requests", lambda s: str(s.waiting)),
    T("outcomes", "told otherwise", "dispatch", "answer",
      "UPDATE answer SET refusal = 'unknown_case' WHERE request_id = $1",
      lambda s: s.resolved, lambda s: str(s.resolved)),
    T("outcomes", "nobody was told", "dispatch", "answer",
      f"UPDATE answer SET request_id = '{STRANGER}' WHERE request_id = $1",
      lambda s: s.resolved, lambda s: str(STRANGER)),
    T("feedback_told", "told otherwise", "notify", "rating",
      "UPDATE rating SET score = 1 WHERE case_id = $1", lambda s: s.closed,
      lambda s: str(s.feedback)),
    T("feedback_told", "given by nobody", "notify", "rating",
      "DELETE FROM rating WHERE case_id = $1", lambda s: s.closed, lambda s: str(s.feedback)),
    T("feedback", "an answer is gone", "dispatch", "answer",
      "DELETE FROM answer WHERE kind = $1", lambda s: "feedback", lambda s: str(s.feedback)),
    T("ratings", "recorded, but refused", "dispatch", "answer",
      "UPDATE answer SET refusal = 'already_rated' WHERE kind = $1",
      lambda s: "feedback", lambda s: str(s.feedback)),
    T("messages", "one is gone", "notify", "message_done",
      "DELETE FROM message_done WHERE case_id = $1 AND seq = 3",
      lambda s: s.closed, lambda s: _case(s, ":3:reporter")),
    T("messages", "one that nothing asks for", "notify", "message_done",
      "UPDATE message_done SET seq = 6 WHERE case_id = $1 AND seq = 3",
      lambda s: s.closed, lambda s: _case(s, ":6:reporter")),
    T("messages", "one waits though it has ended", "notify", "message_waiting",
      "INSERT INTO message_waiting (case_id, recipient, seq, shard, kind, asked_at, not_before,"
      " occurred_at, traceparent) SELECT case_id, recipient, seq, 0, kind, occurred_at,"
      " occurred_at, occurred_at, '' FROM message_done WHERE case_id = $1 AND seq = 3",
      lambda s: s.closed, lambda s: _case(s, ":3:reporter")),
    T("messages", "one sent again has no end", "notify", "message_again",
      "UPDATE message_again SET result = NULL WHERE request_id = $1",
      lambda s: s.asked_again, lambda s: _case(s, ":2:lead:L0")),
    T("deliveries", "one sent again was told otherwise", "notify", "message_again",
      "UPDATE message_again SET error = 'expired' WHERE request_id = $1",
      lambda s: s.asked_again, lambda s: _case(s, ":2:lead:L0")),
    T("deliveries", "told otherwise", "notify", "message_done",
      "UPDATE message_done SET result = 'unknown' WHERE case_id = $1 AND seq = 3",
      lambda s: s.closed, lambda s: _case(s, ":3:reporter")),
    T("facts", "another score", "metrics", "fact",
      "UPDATE fact SET score = 1 WHERE case_id = $1", lambda s: s.closed, _case),
    T("facts", "another number of reports", "metrics", "fact",
      "UPDATE fact SET reports = 2 WHERE case_id = $1", lambda s: s.closed, _case),
    T("facts", "resolved a second earlier", "metrics", "fact",
      "UPDATE fact SET resolved_at = resolved_at - interval '1 second' WHERE case_id = $1",
      lambda s: s.closed, _case),
    T("counted_reports", "counted as accepted", "metrics", "report",
      "UPDATE report SET accepted = true WHERE report_id = $1",
      lambda s: s.rejected, lambda s: str(s.rejected)),
    T("counted_reports", "not counted", "metrics", "report",
      f"UPDATE report SET report_id = '{STRANGER}' WHERE report_id = $1",
      lambda s: s.rejected, lambda s: str(s.rejected)),
    T("counted_reports", "counted without being told", "metrics", "report",
      f"UPDATE report SET report_id = '{STRANGER}' WHERE report_id = $1",
      lambda s: s.rejected, lambda s: str(STRANGER)),
    T("counted_messages", "counted otherwise", "metrics", "message",
      "UPDATE message SET result = 'unknown' WHERE message_id = $1",
      lambda s: s.message, lambda s: str(s.message)),
    T("counted_messages", "not counted", "metrics", "message",
      "DELETE FROM message WHERE message_id = $1", lambda s: s.message, lambda s: str(s.message)),
    T("positions", "ahead of its topic", "metrics", "position",
      "UPDATE position SET next_offset = 1000000 WHERE flow = $1",
      lambda s: "network", lambda s: s.area),
    T("receipts", "its report is gone", "intake", "report",
      "DELETE FROM report WHERE report_id = $1", lambda s: s.report,
      lambda s: s.receipts[0].receipt),
]  # fmt: skip
