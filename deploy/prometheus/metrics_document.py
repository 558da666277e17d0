"""Write docs/metrics.md to stdout, from the registry of metrics and the families of `/indicators`.

.venv/bin/python deploy/prometheus/metrics_document.py > docs/metrics.md
"""

import sys
from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from lastmetre.common.telemetry import metrics
from lastmetre.metrics.entrypoints.prometheus_view import FAMILIES

HEAD = """\
# Metrics

Made by `deploy/prometheus/metrics_document.py`; a test keeps it up to date.

Every service tells its own at `/metrics` of its admin port; requests of both its ports are counted.
Labels never name a person or a case, and `route` is a pattern, never a path. Counters of trouble
begin at 0 with the process.

How the figures of several processes of a service (pods) are put together:

- **Of one process**, all that is not named below: `sum`.
- **Of the service's tables and topics**, the same in every process: `max by (service, consumer)`.
  These are `lastmetre_outbox_rows`, `lastmetre_outbox_oldest_seconds`,
  `lastmetre_dead_letters_waiting`, `lastmetre_parked_records_waiting`,
  `lastmetre_consumer_lag_records`, `lastmetre_consumer_behind_seconds`,
  `lastmetre_messages_waiting` and `lastmetre_messages_oldest_seconds`.
- **Of the city**, at `/indicators` of the service metrics: worked out from its tables when they are
  asked for, so that two targets would give every figure twice. Ask one address (the Service, not
  the pods), or write `max without (instance, pod) (...)` before any `sum`.
"""


def table(title: str, rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A section with a table of metrics."""
    yield f"\n## {title}\n"
    yield "| metric | kind | labels | what it is |"
    yield "|---|---|---|---|"
    for name, kind, labels, text in rows:
        yield f"| `{name}` | {kind} | {labels} | {text} |"


def declared(registry: CollectorRegistry) -> Iterator[tuple[str, str, str, str]]:
    """Our metrics of that registry: name as exposed, kind, labels, help."""
    names = {family.name for family in registry.collect()}
    for metric in vars(metrics).values():
        if not isinstance(metric, MetricWrapperBase):
            continue
        (family,) = metric.describe()
        if family.name not in names:
            continue
        total = "_total" if family.type == "counter" else ""
        labels = ", ".join(f"`{each}`" for each in metric._labelnames)  # noqa: SLF001 - prometheus_client tells them nowhere else
        yield family.name + total, family.type, labels, family.documentation


def document() -> Iterator[str]:
    """The lines of the document."""
    yield HEAD.rstrip()
    for title, registry in {
        "Of the services": REGISTRY,
        "Written by `lastmetre audit --metrics-file`": metrics.AUDIT,
        "Written by `lastmetre ledger export --metrics-file`": metrics.LEDGER_EXPORT,
    }.items():
        yield from table(title, sorted(declared(registry)))
    figures = [
        (name, "gauge", ", ".join(f"`{each}`" for each in labels), text)
        for name, (text, labels) in FAMILIES.items()
    ]
    yield from table("Of the city, at `/indicators` of metrics", sorted(figures))


if __name__ == "__main__":
    sys.stdout.write("\n".join(document()) + "\n")
