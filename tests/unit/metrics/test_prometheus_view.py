"""The indicators as Prometheus text, read back by Prometheus' own parser."""

from datetime import UTC, datetime
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from lastmetre.metrics.application.indicators import (
    Cases,
    Group,
    Indicators,
    Message,
    Reports,
    ResponseTime,
    Satisfaction,
)
from lastmetre.metrics.domain import statistics
from lastmetre.metrics.domain.indicators import STAGES, Dimension, Excluded, Selection
from lastmetre.metrics.entrypoints.prometheus_view import FAMILIES, prometheus_view


def indicators(*by: Dimension, key: tuple[Any, ...] = ()) -> Indicators:
    cases = Cases(registered=4, matched=3, open=1, fixed_on_spot=1)
    cases.by_channel.update({("app", "closed"): 3, ("app", "unplaced"): 1})
    cases.waiting["no_position"] = 1
    cases.ended_unplaced["no_position"] = 2
    cases.cancelled['Referred "Out"\\\n'] = 1
    reports = Reports()
    reports.accepted["app"] = 4
    reports.rejected["app"] = 1
    reports.reasons["says_nothing"] = 1
    quantiles = {0.5: 60.0, 0.9: 90.5, 0.99: 99.25}
    times = [
        ResponseTime(STAGES[-1], 3, quantiles, 70.0, {Excluded.NOT_RECORDED: 1}),
        ResponseTime(STAGES[0], 0, None, None, {Excluded.NOT_RECORDED: 4}),
    ]
    said = Satisfaction(1, 3, statistics.rate(1, 1), None, statistics.mean(1, 5, 25, (1, 5)))
    return Indicators(
        Selection(),
        by,
        [Group(key, cases, reports, times, said)],
        [Message("lead", "folder", "sent", 7)],
        {},
        datetime(2026, 11, 22, tzinfo=UTC),
    )


def samples(found: Indicators) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = list(text_string_to_metric_families(prometheus_view(found).decode()))
    assert {family.name for family in families} <= FAMILIES.keys()
    assert all(family.type == "gauge" and family.documentation for family in families)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def labels(**values: str) -> frozenset[tuple[str, str]]:
    return frozenset(values.items())


def test_read_back() -> None:
    found = samples(indicators())
    expected = {
        ("lastmetre_cases", labels(channel="app", state="closed")): 3,
        ("lastmetre_reports", labels(channel="app", result="rejected")): 1,
        ("lastmetre_cases_cancelled", labels(reason='Referred "Out"\\\n')): 1,
        ("lastmetre_cases_ended_unplaced", labels(reason="no_position")): 2,
        ("lastmetre_case_response_seconds", labels(stage="whole", quantile="0.99")): 99.25,
        ("lastmetre_case_response_cases", labels(stage="reported_to_registered")): 0,
        ("lastmetre_ratings_mean_score", labels(bound="value")): 5,
        ("lastmetre_message_results",
         labels(recipient="lead", provider="folder", result="sent")): 7,
    }  # fmt: skip
    assert {key: found.get(key) for key in expected} == expected


def test_no_data_is_no_sample() -> None:
    found = samples(indicators())
    stage = labels(stage="reported_to_registered")
    assert ("lastmetre_case_response_mean_seconds", stage) not in found
    assert ("lastmetre_ratings_mean_score", labels(bound="low")) not in found
    assert not any(name == "lastmetre_ratings_satisfied_ratio" for name, _ in found)


def test_groups_are_labels() -> None:
    found = samples(indicators(Dimension.CHANNEL, Dimension.AREA, key=("app", None)))
    assert found["lastmetre_cases", labels(area="", channel="app", state="closed")] == 3
    assert found["lastmetre_cases_matched", labels(area="", channel="app")] == 3


def test_names_have_base_units_and_a_prefix() -> None:
    for name, (text, own) in FAMILIES.items():
        assert name.startswith("lastmetre_")
        assert text.endswith(".")
        assert not name.endswith(("_total", "_count", "_sum", "_bucket", "_minutes", "_ms"))
        assert not {"case_id", "report_id", "number"} & set(own)
