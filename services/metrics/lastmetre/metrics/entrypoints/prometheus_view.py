"""The indicators as Prometheus reads them. Every family that there is, named once, here."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from lastmetre.metrics.application.indicators import Group, Indicators
from lastmetre.metrics.domain.statistics import Estimate

# Gauges all: they are counts of a selection, and a case may be cancelled or reopened.
FAMILIES: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "lastmetre_reports": (
        "Reports by what intake made of them.", ("channel", "result")),
    "lastmetre_reports_rejected": (
        "Rejected reports by reason; one may have several.", ("reason",)),
    "lastmetre_cases": (
        "Cases by the state they are in.", ("channel", "state")),
    "lastmetre_cases_matched": (
        "Cases that a lead has, or had when they ended.", ()),
    "lastmetre_cases_unplaced": (
        "Cases in the command centre's queue.", ("reason",)),
    "lastmetre_cases_ended_unplaced": (
        "Cases closed or cancelled from the command centre's queue.", ("reason",)),
    "lastmetre_cases_cancelled": (
        "Cancelled cases.", ("reason",)),
    "lastmetre_cases_returned": (
        "Cases that a lead has given back at least once.", ()),
    "lastmetre_cases_reopened": (
        "Cases that were taken up again at least once.", ()),
    "lastmetre_cases_fixed_on_spot": (
        "Patrol findings dealt with at the moment they were found.", ()),
    "lastmetre_cases_merged_reports": (
        "Reports that have joined a case, besides the one that it was registered for.", ()),
    "lastmetre_cases_closed_before_reported": (
        "Cases whose source says they were closed before they were reported.", ()),
    "lastmetre_case_response_seconds": (
        "Response times: exact quantiles by stage.", ("stage", "quantile")),
    "lastmetre_case_response_mean_seconds": (
        "Response times: mean by stage.", ("stage",)),
    "lastmetre_case_response_cases": (
        "Cases that a stage's response times are over.", ("stage",)),
    "lastmetre_case_response_excluded_cases": (
        "Cases left out of a stage's response times.", ("stage", "reason")),
    "lastmetre_ratings": (
        "Cases that their reporter has rated.", ()),
    "lastmetre_ratings_solved_ratio": (
        "Share of ratings that say solved, with its 95 % interval.", ("bound",)),
    "lastmetre_ratings_satisfied_ratio": (
        "Share of ratings of 4 or 5, with its 95 % interval.", ("bound",)),
    "lastmetre_ratings_mean_score": (
        "Mean of the scores 1 to 5, with its 95 % interval.", ("bound",)),
    "lastmetre_message_results": (
        "Messages by what became of them.", ("recipient", "provider", "result")),
}  # fmt: skip

Sample = tuple[str, tuple[str, ...], float]


class _Figures:
    """Hands prometheus_client one set of figures."""

    def __init__(self, indicators: Indicators) -> None:
        self._indicators = indicators

    def collect(self) -> Iterable[Metric]:
        """Every family that has a figure. No data is no sample."""
        by = [each.value for each in self._indicators.by]
        families = {
            name: GaugeMetricFamily(name, text, labels=_labels(name, by, own))
            for name, (text, own) in FAMILIES.items()
        }
        for group in self._indicators.groups:
            key = ["" if value is None else str(value) for value in group.key]
            for name, own, value in _samples(group):
                _add(families[name], name, by, key, own, value)
        for message in self._indicators.messages:
            labels = (message.recipient, message.provider, message.result)
            families["lastmetre_message_results"].add_metric(labels, message.messages)
        return [family for family in families.values() if family.samples]


def _grouped(name: str, by: Sequence[str]) -> list[str]:
    """The dimensions that a family does not have as labels of its own."""
    if name == "lastmetre_message_results":
        return []
    return [each for each in by if each not in FAMILIES[name][1]]


def _labels(name: str, by: Sequence[str], own: Sequence[str]) -> list[str]:
    return [*_grouped(name, by), *own]


def _add(
    family: GaugeMetricFamily,
    name: str,
    by: Sequence[str],
    key: Sequence[str],
    own: Sequence[str],
    value: float,
) -> None:
    grouped = _grouped(name, by)
    values = [text for each, text in zip(by, key, strict=True) if each in grouped]
    family.add_metric([*values, *own], value)


def _samples(group: Group) -> Iterator[Sample]:
    yield from _report_samples(group)
    yield from _case_samples(group)
    yield from _response_samples(group)
    yield from _rating_samples(group)


def _report_samples(group: Group) -> Iterator[Sample]:
    if group.reports is None:
        return
    for channel, reports in group.reports.accepted.items():
        yield "lastmetre_reports", (channel, "accepted"), reports
    for channel, reports in group.reports.rejected.items():
        yield "lastmetre_reports", (channel, "rejected"), reports
    for reason, reports in group.reports.reasons.items():
        yield "lastmetre_reports_rejected", (reason,), reports


def _case_samples(group: Group) -> Iterator[Sample]:
    cases = group.cases
    for (channel, state), number in cases.by_channel.items():
        yield "lastmetre_cases", (channel, state), number
    for reason, number in cases.waiting.items():
        yield "lastmetre_cases_unplaced", (reason,), number
    for reason, number in cases.ended_unplaced.items():
        yield "lastmetre_cases_ended_unplaced", (reason,), number
    for reason, number in cases.cancelled.items():
        yield "lastmetre_cases_cancelled", (reason,), number
    yield "lastmetre_cases_matched", (), cases.matched
    yield "lastmetre_cases_returned", (), cases.returned
    yield "lastmetre_cases_reopened", (), cases.reopened
    yield "lastmetre_cases_merged_reports", (), cases.merged_reports
    yield "lastmetre_cases_fixed_on_spot", (), cases.fixed_on_spot
    yield "lastmetre_cases_closed_before_reported", (), cases.closed_before_reported


def _response_samples(group: Group) -> Iterator[Sample]:
    for time in group.response_times:
        stage = time.stage.name
        yield "lastmetre_case_response_cases", (stage,), time.n
        for reason, number in time.excluded.items():
            yield "lastmetre_case_response_excluded_cases", (stage, reason.value), number
        if time.mean is not None:
            yield "lastmetre_case_response_mean_seconds", (stage,), time.mean
        for quantile, seconds in (time.quantiles or {}).items():
            yield "lastmetre_case_response_seconds", (stage, str(quantile)), seconds


def _rating_samples(group: Group) -> Iterator[Sample]:
    said = group.satisfaction
    if said is None:
        return
    yield "lastmetre_ratings", (), said.answers
    yield from _bounds("lastmetre_ratings_solved_ratio", said.solved)
    yield from _bounds("lastmetre_ratings_satisfied_ratio", said.satisfied)
    yield from _bounds("lastmetre_ratings_mean_score", said.score)


def _bounds(name: str, estimate: Estimate | None) -> Iterator[Sample]:
    if estimate is None:
        return
    bounds = {"low": estimate.low, "value": estimate.value, "high": estimate.high}
    for bound, value in bounds.items():
        if value is not None:
            yield name, (bound,), value


def prometheus_view(indicators: Indicators) -> bytes:
    """The figures in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(indicators))
    return generate_latest(registry)
