"""Every metric is declared once, with words, and docs/metrics.md lists them."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from prometheus_client.metrics import MetricWrapperBase

from lastmetre.common.telemetry import metrics

ROOT: Final = Path(__file__).parents[2]
SCRIPT: Final = "deploy/prometheus/metrics_document.py"
MOST_LABELS: Final = 4
# What a label may be called: none of these can hold a person, an address, a case or a path.
LABELS: Final = {
    "action", "call", "channel", "check", "code", "consumer", "error", "kind", "method", "pool",
    "provider", "recipient", "result", "revision", "route", "service", "state", "status",
    "version", "why",
}  # fmt: skip


def declared() -> list[MetricWrapperBase]:
    return [each for each in vars(metrics).values() if isinstance(each, MetricWrapperBase)]


def test_the_document_lists_what_is_declared() -> None:
    made = subprocess.run([sys.executable, SCRIPT], cwd=ROOT, capture_output=True, check=True)
    assert (ROOT / "docs/metrics.md").read_bytes() == made.stdout


def test_every_metric_has_words_and_labels_of_few_values() -> None:
    assert len(declared()) > 40
    for metric in declared():
        (family,) = metric.describe()
        assert re.fullmatch(r"lastmetre(_[a-z]+)+", family.name)
        assert family.documentation.endswith(".")
        names = set(metric._labelnames)  # noqa: SLF001
        assert names <= LABELS, family.name
        assert len(names) <= MOST_LABELS
