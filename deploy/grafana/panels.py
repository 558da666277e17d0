"""What the dashboards show: panels with their queries.

Figures of tables and of the city are the same in every process, so one of them is taken (`max`);
those of processes are added up.
"""

from typing import Final, Literal, NamedTuple

Kind = Literal["graph", "figure", "table"]


class Panel(NamedTuple):
    """A panel; `queries` by what their series are called."""

    title: str
    queries: dict[str, str]
    unit: str = "short"
    kind: Kind = "graph"
    about: str = ""


def quantiles(metric: str, selector: str = "", by: str = "", name: str = "") -> dict[str, str]:
    """Median and 95 % of a histogram."""
    grouped = f"le, {by}" if by else "le"
    label = f"{name or f'{{{{{by}}}}}'} " if by else ""
    return {
        f"{label}{percent} %": f"histogram_quantile({percent / 100},"
        f" sum by ({grouped}) (rate({metric}_bucket{{{selector}}}[$__rate_interval])))"
        for percent in (50, 95)
    }


def city(query: str) -> str:
    """A figure of the city, taken from one of the processes of metrics."""
    return f"max without (instance, pod) ({query})"


_BUDGET: Final = (
    "1 - lastmetre:objective_errors:ratio3d / on (objective) lastmetre:objective_budget:ratio"
)
_NOT_ACCEPTED: Final = 'lastmetre_cases{state="dispatched"}'
_REPORT_TO_MESSAGE: Final = quantiles("lastmetre_report_to_message_seconds")
_POSTS: Final = 'service="intake", method="POST", route=~"/channels/.*|/report"'
_HTTP: Final = "lastmetre_http_request_duration_seconds"
_OF: Final = 'service="$service"'

BOOKS: Final = Panel(
    "Books balance",
    {"1: yes": "lastmetre_audit_balanced"},
    kind="figure",
    about="The verdict of the last `lastmetre audit --metrics-file`.",
)
ALERTS: Final = Panel(
    "Alerts that fire",
    {"alerts": 'count(ALERTS{alertstate="firing"}) or vector(0)'},
    kind="figure",
)

CITY: Final = (
    ALERTS,
    BOOKS,
    Panel(
        "Books counted",
        {"ago": "time() - lastmetre_audit_finished_timestamp_seconds"},
        "s",
        "figure",
    ),
    Panel(
        "Cases in the centre's queue",
        {"cases": f"sum({city('lastmetre_cases_unplaced')}) or vector(0)"},
        kind="figure",
    ),
    Panel(
        "Not accepted yet",
        {"cases": f"sum({city(_NOT_ACCEPTED)}) or vector(0)"},
        kind="figure",
    ),
    Panel(
        "Dead letters",
        {"records": "sum(max by (service) (lastmetre_dead_letters_waiting))"},
        kind="figure",
    ),
    Panel(
        "Reports taken",
        {"{{channel}}": "sum by (channel) (rate(lastmetre_reports_taken_total[$__rate_interval]))"},
        "reqps",
    ),
    Panel(
        "Budget that is left of each objective",
        {"{{objective}}": _BUDGET},
        "percentunit",
        about="Of what may go wrong, as in the last three days; below 0 it would not last.",
    ),
    Panel(
        "From report to the lead's message", quantiles("lastmetre_report_to_message_seconds"), "s"
    ),
    Panel("From report to case", quantiles("lastmetre_report_to_case_seconds"), "s"),
    Panel("Cases by state", {"{{state}}": f"sum by (state) ({city('lastmetre_cases')})"}),
    Panel(
        "Response times",
        {
            "{{stage}} 50 %": city('lastmetre_case_response_seconds{quantile="0.5"}'),
            "{{stage}} 90 %": city('lastmetre_case_response_seconds{quantile="0.9"}'),
        },
        "s",
    ),
    Panel(
        "Satisfied",
        {"{{bound}}": city("lastmetre_ratings_satisfied_ratio")},
        "percentunit",
        about="Ratings of 4 or 5, with their 95 % interval.",
    ),
    Panel(
        "Figures are behind",
        {"s": 'max(lastmetre_consumer_behind_seconds{service="metrics"})'},
        "s",
    ),
    Panel(
        "What runs",
        {
            "{{service}} {{version}} {{revision}}": "count by (service, version, revision)"
            " (lastmetre_build_info)"
        },
        kind="table",
    ),
)

SERVICE: Final = (
    Panel(
        "Checks that fail",
        {"{{check}}": f"sum by (check) (lastmetre_check_failing{{{_OF}}})"},
        about="Processes that say so in /readyz?all.",
    ),
    Panel(
        "Oldest record that waits",
        {"{{consumer}}": f"max by (consumer) (lastmetre_consumer_behind_seconds{{{_OF}}})"},
        "s",
    ),
    Panel(
        "Records that wait",
        {"{{consumer}}": f"max by (consumer) (lastmetre_consumer_lag_records{{{_OF}}})"},
    ),
    Panel(
        "Records handled",
        {
            "{{consumer}}": "sum by (consumer)"
            f" (rate(lastmetre_records_consumed_total{{{_OF}}}[$__rate_interval]))"
        },
        "cps",
    ),
    Panel(
        "A batch takes",
        quantiles("lastmetre_batch_duration_seconds", _OF, "consumer"),
        "s",
    ),
    Panel(
        "Batches begun anew",
        {"{{error}}": f"sum by (error) (increase(lastmetre_batch_retries_total{{{_OF}}}[5m]))"},
    ),
    Panel(
        "Partitions by process",
        {
            "{{instance}} {{consumer}}": "sum by (instance, consumer)"
            f" (lastmetre_assigned_partitions{{{_OF}}})"
        },
    ),
    Panel(
        "Assigned anew",
        {"{{consumer}}": f"sum by (consumer) (increase(lastmetre_rebalances_total{{{_OF}}}[5m]))"},
    ),
    Panel(
        "Stopped",
        {
            "partitions": f"sum(lastmetre_partitions_stopped{{{_OF}}})",
            "senders": f"sum(lastmetre_senders_stopped{{{_OF}}})",
            "records gone": f"sum(increase(lastmetre_records_gone_total{{{_OF}}}[1h]))",
        },
    ),
    Panel(
        "Outbox",
        {"messages": f"max(lastmetre_outbox_rows{{{_OF}}})"},
    ),
    Panel(
        "Oldest in the outbox",
        {"s": f"max(lastmetre_outbox_oldest_seconds{{{_OF}}})"},
        "s",
    ),
    Panel(
        "Relayed",
        {
            "records": f"sum(rate(lastmetre_records_relayed_total{{{_OF}}}[$__rate_interval]))",
            "restarts": f"sum(increase(lastmetre_relay_restarts_total{{{_OF}}}[5m]))",
        },
    ),
    Panel(
        "Dead letters and parked records",
        {
            "dead letters": f"max(lastmetre_dead_letters_waiting{{{_OF}}})",
            "parked": f"max(lastmetre_parked_records_waiting{{{_OF}}})",
        },
    ),
    Panel(
        "Requests by status",
        {"{{status}}": f"sum by (status) (rate({_HTTP}_count{{{_OF}}}[$__rate_interval]))"},
        "reqps",
    ),
    Panel(
        "A request takes (95 %)",
        {
            "{{method}} {{route}}": "histogram_quantile(0.95, sum by (le, method, route)"
            f" (rate({_HTTP}_bucket{{{_OF}}}[$__rate_interval])))"
        },
        "s",
    ),
    Panel(
        "Connections to the database",
        {
            "{{pool}} {{state}}": f"sum by (pool, state) (lastmetre_database_connections{{{_OF}}})",
            "{{pool}} at most": f"sum by (pool) (lastmetre_database_connections_limit{{{_OF}}})",
        },
    ),
    Panel(
        "CPU",
        {
            "{{instance}}": "rate(process_cpu_seconds_total[$__rate_interval])"
            f" and on (instance) lastmetre_build_info{{{_OF}}}"
        },
        "percentunit",
    ),
    Panel(
        "Memory",
        {
            "{{instance}}": "process_resident_memory_bytes"
            f" and on (instance) lastmetre_build_info{{{_OF}}}"
        },
        "bytes",
    ),
)

EDGE: Final = (
    Panel(
        "May be given requests",
        {"processes": 'sum(1 - lastmetre_check_failing{service="intake", check="serving"})'},
        kind="figure",
    ),
    Panel(
        "Refused for a fault of ours",
        {"share": 'lastmetre:objective_errors:ratio1h{objective="reports_accepted"}'},
        "percentunit",
        "figure",
    ),
    Panel(
        "Channels trimmed",
        {"ago": "time() - max(lastmetre_channels_trimmed_timestamp_seconds > 0)"},
        "s",
        "figure",
        "Personal data go from the channels' topics.",
    ),
    Panel(
        "Reports taken",
        {"{{channel}}": "sum by (channel) (rate(lastmetre_reports_taken_total[$__rate_interval]))"},
        "reqps",
    ),
    Panel(
        "Reports refused",
        {
            "{{channel}} {{status}}": "sum by (channel, status)"
            " (rate(lastmetre_reports_refused_total[$__rate_interval]))"
        },
        "reqps",
    ),
    Panel(
        "Answers to reports",
        {
            "{{route}} {{status}}": "sum by (route, status)"
            f" (rate({_HTTP}_count{{{_POSTS}}}[$__rate_interval]))"
        },
        "reqps",
    ),
    Panel("An answer takes", quantiles(_HTTP, _POSTS, "route"), "s"),
    Panel(
        "All of intake's routes (95 %)",
        {
            "{{method}} {{route}}": "histogram_quantile(0.95, sum by (le, method, route)"
            f' (rate({_HTTP}_bucket{{service="intake"}}[$__rate_interval])))'
        },
        "s",
    ),
    Panel(
        "Not let in",
        {"{{why}}": "sum by (why) (rate(lastmetre_access_refused_total[$__rate_interval]))"},
        "reqps",
    ),
    Panel(
        "Reports that wait for intake",
        {
            "s": 'max(lastmetre_consumer_behind_seconds{service="intake", consumer="channels"})',
        },
        "s",
    ),
    Panel("From report to case", quantiles("lastmetre_report_to_case_seconds"), "s"),
    Panel(
        "Opened in the vault",
        {
            "{{service}} {{kind}}": "sum by (service, kind)"
            " (rate(lastmetre_vault_opened_rows_total[$__rate_interval]))",
            "damaged {{kind}}": "sum by (kind) (increase(lastmetre_vault_damaged_rows_total[1h]))",
        },
    ),
)

MESSAGES: Final = (
    Panel("Waiting", {"messages": "max(lastmetre_messages_waiting)"}, kind="figure"),
    Panel("Oldest", {"age": "max(lastmetre_messages_oldest_seconds)"}, "s", "figure"),
    Panel("Shards owned", {"of 12": "sum(lastmetre_message_shards)"}, kind="figure"),
    Panel(
        "Results not recorded",
        {"messages": "sum(lastmetre_message_results_waiting)"},
        kind="figure",
    ),
    Panel(
        "Late",
        {"share": 'lastmetre:objective_errors:ratio1h{objective="messages_in_time"}'},
        "percentunit",
        "figure",
        "Messages that left more than five minutes after they were asked for.",
    ),
    Panel(
        "What became of messages",
        {
            "{{recipient}} {{result}}": "sum by (recipient, result)"
            " (rate(lastmetre_messages_total[$__rate_interval]))"
        },
        "cps",
    ),
    Panel(
        "From asked for to sent",
        quantiles("lastmetre_message_wait_seconds", "", "recipient"),
        "s",
    ),
    Panel(
        "From report to the lead's message", quantiles("lastmetre_report_to_message_seconds"), "s"
    ),
    Panel(
        "Calls to providers",
        {
            "{{provider}} {{result}}": "sum by (provider, result)"
            " (rate(lastmetre_provider_call_duration_seconds_count[$__rate_interval]))"
        },
        "cps",
    ),
    Panel(
        "A provider takes",
        quantiles("lastmetre_provider_call_duration_seconds", "", "provider"),
        "s",
    ),
    Panel(
        "Mail that is refused",
        {"{{code}}": "sum by (code) (increase(lastmetre_mail_refusals_total[15m]))"},
    ),
    Panel(
        "Calls to the vault",
        {
            "{{service}} {{call}} {{result}}": "sum by (service, call, result)"
            " (rate(lastmetre_vault_call_duration_seconds_count[$__rate_interval]))"
        },
        "cps",
    ),
    Panel(
        "Messages by provider and result, as the figures count them",
        {
            "{{recipient}} {{provider}} {{result}}": city("lastmetre_message_results"),
        },
        kind="table",
    ),
)
