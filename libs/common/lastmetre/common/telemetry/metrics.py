"""The one registry of metric names. A test holds services to it, docs/metrics.md is made of it.

Base units, `_total` for counters, and no label that could name a person or a case. Each label has
few values, and the counters of trouble are there from the start (`from_the_start`): a first error
that makes a series begin at 1 is invisible to `rate`.
"""

from collections.abc import Iterable
from itertools import product
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)

from lastmetre.common.contracts.deliveries import DeliveryResult, Recipient

# When a counter began is nothing that anybody asks for, and it is a third of the text.
disable_created_metrics()  # type: ignore[no-untyped-call]

BATCH_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
CALL_SECONDS: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
WAY_SECONDS: Final = (0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600)
"""How long somebody waits for what has to go through several services."""

HTTP: Final = Histogram(
    "lastmetre_http_request_duration_seconds",
    "From a request's arrival to the beginning of its answer, by the route's pattern.",
    ["service", "method", "route", "status"],
    buckets=CALL_SECONDS[:-1],
)

CONSUMED: Final = Counter(
    "lastmetre_records_consumed", "Records whose effect is committed.", ["service", "consumer"]
)
BATCHES: Final = Histogram(
    "lastmetre_batch_duration_seconds",
    "From a batch's first statement to its commit.",
    ["service", "consumer"],
    buckets=BATCH_SECONDS,
)
BATCH_RETRIES: Final = Counter(
    "lastmetre_batch_retries", "Batches begun anew, by error.", ["service", "consumer", "error"]
)
DEAD_LETTERS: Final = Counter(
    "lastmetre_records_dead_lettered", "Records given up.", ["service", "consumer"]
)
DEAD_LETTERS_WAITING: Final = Gauge(
    "lastmetre_dead_letters_waiting", "Dead letters that wait for a person.", ["service"]
)
DEAD_LETTERS_CLOSED: Final = Gauge(
    "lastmetre_dead_letters_closed",
    "Dead letters that are to have no effect, as a person has decided.",
    ["service"],
)
PARKED_WAITING: Final = Gauge(
    "lastmetre_parked_records_waiting",
    "Records that wait for an earlier one, or for the release of their sender.",
    ["service"],
)
RECORDS_GONE: Final = Counter(
    "lastmetre_records_gone",
    "Records that the broker had deleted before they were read.",
    ["service", "consumer"],
)
RESETS: Final = Counter(
    "lastmetre_position_resets",
    "Partitions begun from the earliest record.",
    ["service", "consumer"],
)
PARTITIONS_STOPPED: Final = Gauge(
    "lastmetre_partitions_stopped",
    "Partitions of this process that are not read on until a person has done something.",
    ["service", "consumer"],
)
SENDERS_STOPPED: Final = Gauge(
    "lastmetre_senders_stopped",
    "Senders in this process's partitions whose records are held back for their dead letters.",
    ["service", "consumer"],
)
BUILD_INFO: Final = Gauge(
    "lastmetre_build_info",
    "1, for the build that runs. `revision` is empty where nobody has said it.",
    ["service", "version", "revision"],
)
CHECK_FAILING: Final = Gauge(
    "lastmetre_check_failing",
    "1 while a check of /readyz?all says something is missing.",
    ["service", "check"],
)
ASSIGNED: Final = Gauge(
    "lastmetre_assigned_partitions",
    "Partitions that this process consumes.",
    ["service", "consumer"],
)
REBALANCES: Final = Counter(
    "lastmetre_rebalances",
    "Times that this process was assigned partitions anew.",
    ["service", "consumer"],
)
BEHIND: Final = Gauge(
    "lastmetre_consumer_behind_seconds",
    "How long the oldest record that a consumer has not handled has been seen waiting.",
    ["service", "consumer"],
)
CONNECTIONS: Final = Gauge(
    "lastmetre_database_connections",
    "Connections to the database that are in use or idle, by pool.",
    ["service", "pool", "state"],
)
CONNECTIONS_LIMIT: Final = Gauge(
    "lastmetre_database_connections_limit",
    "Connections that a pool has at most.",
    ["service", "pool"],
)
LAG: Final = Gauge(
    "lastmetre_consumer_lag_records",
    "Records of its topics that a consumer has not handled: the same in every process.",
    ["service", "consumer"],
)
OUTBOX_ROWS: Final = Gauge("lastmetre_outbox_rows", "Records that wait to be relayed.", ["service"])
OUTBOX_OLDEST: Final = Gauge(
    "lastmetre_outbox_oldest_seconds",
    "Age of the oldest record that waits to be relayed.",
    ["service"],
)
RELAYED: Final = Counter(
    "lastmetre_records_relayed", "Outbox records that Kafka has acknowledged.", ["service"]
)
KAFKA_CLOCK: Final = Gauge(
    "lastmetre_kafka_clock_ahead_seconds",
    "Kafka's clock minus this machine's, by the append time of the last acknowledgement, which is"
    " up to an answer's way older.",
    ["service"],
)
RELAY_RESTARTS: Final = Counter(
    "lastmetre_relay_restarts", "Times the relay began anew at the head.", ["service"]
)
REPORTS_TAKEN: Final = Counter(
    "lastmetre_reports_taken",
    "Reports that Kafka has, by the edge's answer.",
    ["channel"],
)
REPORTS_REFUSED: Final = Counter(
    "lastmetre_reports_refused",
    "Reports that the edge refused, by HTTP status.",
    ["channel", "status"],
)
CHANNELS_TRIMMED: Final = Gauge(
    "lastmetre_channels_trimmed_timestamp_seconds",
    "When this process last looked what the channels' topics no longer need, and deleted it; at"
    " first, when it began.",
)
BACKUP_CONFIRMED: Final = Gauge(
    "lastmetre_backup_confirmed_timestamp_seconds",
    "When the youngest backup that was verified was begun; 0 without one.",
)
BACKUP_AWAITED: Final = Gauge(
    "lastmetre_backup_awaited",
    "1 if the channels' records are kept until a backup is confirmed, 0 if only for a stated time.",
)
REPORT_TO_CASE: Final = Histogram(
    "lastmetre_report_to_case_seconds",
    "From a live report's record in its channel to its case, in city time.",
    buckets=WAY_SECONDS,
)
STEPS_TOLD_LATE: Final = Counter(
    "lastmetre_steps_told_late",
    "Steps that were told more than a quarter of an hour after they are said to have happened.",
    ["action"],
)
ACCESS_REFUSED: Final = Counter(
    "lastmetre_access_refused", "Requests that were not let in.", ["status", "why"]
)
VAULT_OPENED: Final = Counter(
    "lastmetre_vault_opened_rows", "Contacts and texts opened for services.", ["service", "kind"]
)
VAULT_DAMAGED: Final = Counter(
    "lastmetre_vault_damaged_rows",
    "Times that a row of the vault could not be opened, though its key is here.",
    ["kind"],
)
VAULT_CALLS: Final = Histogram(
    "lastmetre_vault_call_duration_seconds",
    "Calls to intake's vault, by who calls, what is asked, and whether there was an answer.",
    ["service", "call", "result"],
    buckets=CALL_SECONDS,
)
PROVIDER_CALLS: Final = Histogram(
    "lastmetre_provider_call_duration_seconds",
    "Calls to providers, by result: all their messages have come to an end, some are put off, or"
    " the call has failed.",
    ["provider", "result"],
    buckets=CALL_SECONDS,
)
REPORT_TO_MESSAGE: Final = Histogram(
    "lastmetre_report_to_message_seconds",
    "From a report's record in its channel to the message to the lead whom its position gave.",
    buckets=WAY_SECONDS,
)
MESSAGE_WAIT: Final = Histogram(
    "lastmetre_message_wait_seconds",
    "From when a message is asked for to when its provider has taken it.",
    ["recipient"],
    buckets=WAY_SECONDS,
)
MESSAGES: Final = Counter(
    "lastmetre_messages", "Messages by what became of them.", ["recipient", "provider", "result"]
)
MAIL_REFUSALS: Final = Counter(
    "lastmetre_mail_refusals",
    "Messages put off because the mail server refuses to send for us, by its code.",
    ["code"],
)
MESSAGES_WAITING: Final = Gauge(
    "lastmetre_messages_waiting",
    "Messages that are not at their end, up to 100,000: the same in every process.",
)
MESSAGES_OLDEST: Final = Gauge(
    "lastmetre_messages_oldest_seconds",
    "Age of the oldest message that is not at its end; 0 if none waits.",
)
MESSAGE_RESULTS_WAITING: Final = Gauge(
    "lastmetre_message_results_waiting",
    "Results of this process's messages that are not recorded yet.",
)
MESSAGE_SHARDS: Final = Gauge(
    "lastmetre_message_shards", "Shards of cases whose messages this process sends."
)

PROVIDER_RESULTS: Final = ("ended", "put_off", "failed")
MAIL_CODES: Final = ("530", "535", "550", "551", "553", "554")
LIKELY_ERRORS: Final = ("ConnectionDoesNotExistError", "FencedError", "TimeoutError")
REFUSALS: Final = (("401", "not_signed_in"), ("403", "not_allowed"), ("403", "cross_site"))

AUDIT: Final = CollectorRegistry()
"""What `lastmetre audit --metrics-file` writes: no service has these."""

AUDIT_BALANCED: Final = Gauge(
    "lastmetre_audit_balanced",
    "1 if the books balanced at the last audit, 0 if not.",
    registry=AUDIT,
)
AUDIT_UNBALANCED_LINES: Final = Gauge(
    "lastmetre_audit_unbalanced_lines",
    "Lines of the books that did not balance at the last audit.",
    registry=AUDIT,
)
AUDIT_FINISHED: Final = Gauge(
    "lastmetre_audit_finished_timestamp_seconds",
    "When the last audit that counted ended.",
    registry=AUDIT,
)
AUDIT_FULL: Final = Gauge(
    "lastmetre_audit_full_timestamp_seconds",
    "When everything was counted last, not only what came since a checkpoint.",
    registry=AUDIT,
)

LEDGER_EXPORT: Final = CollectorRegistry()
"""What `lastmetre ledger export --metrics-file` writes: no service has these."""

LEDGER_EXPORTED: Final = Gauge(
    "lastmetre_ledger_exported_timestamp_seconds",
    "When the last export of case.events that was complete was begun.",
    registry=LEDGER_EXPORT,
)


def calls_from_the_start(service: str, *calls: str) -> None:
    """Let the failures of that service's calls to the vault begin at 0."""
    for call in calls:
        VAULT_CALLS.labels(service, call, "failed")


def messages_from_the_start(providers: Iterable[str]) -> None:
    """Let the counters of messages begin at 0, for these providers."""
    for recipient in Recipient:
        MESSAGE_WAIT.labels(recipient)
        for result in (DeliveryResult.FAILED, DeliveryResult.SUPPRESSED):
            MESSAGES.labels(recipient, "", result)
    for provider in providers:
        for recipient, result in product(Recipient, DeliveryResult):
            if result is not DeliveryResult.SUPPRESSED:
                MESSAGES.labels(recipient, provider, result)
        for said in PROVIDER_RESULTS:
            PROVIDER_CALLS.labels(provider, said)
    for code in MAIL_CODES:
        MAIL_REFUSALS.labels(code)


def from_the_start(service: str, consumers: Iterable[str]) -> None:
    """Let the counters of `service` and its consumers begin at 0."""
    for counter in (RELAYED, RELAY_RESTARTS):
        counter.labels(service)
    for consumer in consumers:
        for counter in (CONSUMED, DEAD_LETTERS, RECORDS_GONE, RESETS, REBALANCES):
            counter.labels(service, consumer)
        for error in LIKELY_ERRORS:
            BATCH_RETRIES.labels(service, consumer, error)
        for gauge in (PARTITIONS_STOPPED, SENDERS_STOPPED):
            gauge.labels(service, consumer)
    for status, why in REFUSALS:
        ACCESS_REFUSED.labels(status, why)
