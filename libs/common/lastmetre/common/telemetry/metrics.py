"""The one registry of metric names. A test holds every service to it.

Base units, `_total` for counters, and no label that could name a person or a case.
"""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

# When a counter began is nothing that anybody asks for, and it is a third of the text.
disable_created_metrics()  # type: ignore[no-untyped-call]

BATCH_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

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
PARKED_WAITING: Final = Gauge(
    "lastmetre_parked_records_waiting",
    "Records that wait for an earlier one, or for the release of their sender.",
    ["service"],
)
RESETS: Final = Counter(
    "lastmetre_position_resets",
    "Partitions begun from the earliest record.",
    ["service", "consumer"],
)
CONSUMER_STOPPED: Final = Gauge(
    "lastmetre_consumer_stopped",
    "1 while a partition or a sender is not read on and needs a person.",
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
