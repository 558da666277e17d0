"""Figures of /metrics."""

from prometheus_client.parser import text_string_to_metric_families


def figure(exposition: str, name: str, **labels: str) -> float:
    """The sum of the samples of that name that have these labels; 0 without any."""
    return sum(
        sample.value
        for family in text_string_to_metric_families(exposition)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )
