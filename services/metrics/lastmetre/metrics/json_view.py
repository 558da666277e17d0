"""The JSON of `/indicators`: every figure with the set it is over; no data is null."""

from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

from lastmetre.common.kafka.codec import instant
from lastmetre.metrics.domain.indicators import QUANTILE_METHOD, STAGES, Dimension
from lastmetre.metrics.domain.statistics import Estimate
from lastmetre.metrics.indicators import (
    Cases,
    Group,
    Indicators,
    Reports,
    ResponseTime,
    Satisfaction,
)


def json_view(indicators: Indicators, zone: ZoneInfo) -> dict[str, Any]:
    """Everything, ready for JSON."""
    selection = indicators.selection
    return {
        "as_of": instant(indicators.as_of),
        "time_zone": zone.key,
        "from": selection.first and selection.first.isoformat(),
        "to": selection.last and selection.last.isoformat(),
        "origin": selection.origin and selection.origin.value,
        "fixed_on_spot": selection.fixed_on_spot.value,
        "by": [each.value for each in indicators.by],
        "sets": {
            "cases": selection.cases_set(),
            "reports": selection.cases_set().replace("cases", "reports"),
            "satisfaction": f"{selection.cases_set()}, that the reporter has rated;"
            " the last rating of each case",
            "messages": "messages whose end came on these local days, to reporters and leads",
            "response_times": {stage.name: selection.response_set(stage) for stage in STAGES},
        },
        "methods": {
            "quantiles": QUANTILE_METHOD,
            "rates": "Wilson score interval, 95 %",
            "mean_score": "Student's t interval, 95 %, within 1 to 5",
        },
        "groups": [_group(indicators, group) for group in indicators.groups],
        "messages": [
            {
                "recipient": message.recipient,
                "provider": message.provider,
                "result": message.result,
                "messages": message.messages,
            }
            for message in indicators.messages
        ],
    }


def _group(indicators: Indicators, group: Group) -> dict[str, Any]:
    return {
        "key": dict(_key(indicators, group)),
        "names": {
            each.value: names.get(value)
            for each, value in zip(indicators.by, group.key, strict=True)
            if (names := indicators.names.get(each)) is not None
        },
        "reports": _reports(group.reports, group.cases),
        "cases": _cases(group.cases),
        "response_times": {each.stage.name: _response_time(each) for each in group.response_times},
        "satisfaction": _satisfaction(group.satisfaction),
    }


def _key(indicators: Indicators, group: Group) -> Iterator[tuple[str, str | None]]:
    for each, value in zip(indicators.by, group.key, strict=True):
        yield each.value, value.isoformat() if each is Dimension.DAY else value


def _reports(reports: Reports | None, cases: Cases) -> dict[str, Any] | None:
    if reports is None:
        return None
    accepted, rejected = sum(reports.accepted.values()), sum(reports.rejected.values())
    reported = accepted + rejected
    return {
        "reported": reported,
        "accepted": accepted,
        "rejected": rejected,
        "rejected_by_reason": reports.reasons,
        "valid_report_rate": (
            (cases.registered + cases.merged_reports) / reported if reported else None
        ),
    }


def _cases(cases: Cases) -> dict[str, Any]:
    return {
        "registered": cases.registered,
        "matched_to_leads": cases.matched,
        "unplaced": sum(cases.waiting.values()),
        "unplaced_by_reason": cases.waiting,
        "ended_unplaced": sum(cases.ended_unplaced.values()),
        "ended_unplaced_by_reason": cases.ended_unplaced,
        "open": cases.open,
        "closed": cases.states.get("closed", 0),
        "cancelled": cases.states.get("cancelled", 0),
        "cancelled_by_reason": cases.cancelled,
        "by_state": cases.states,
        "returned": cases.returned,
        "returns": cases.returns,
        "reopened": cases.reopened,
        "reopenings": cases.reopenings,
        "fixed_on_spot": cases.fixed_on_spot,
        "merged_reports": cases.merged_reports,
        "closed_before_reported": cases.closed_before_reported,
    }


def _response_time(time: ResponseTime) -> dict[str, Any]:
    quantiles = time.quantiles or {}
    return {
        "n": time.n,
        "median": quantiles.get(0.5),
        "p90": quantiles.get(0.9),
        "p99": quantiles.get(0.99),
        "mean": time.mean,
        "unit": "s",
        "excluded": {reason.value: n for reason, n in time.excluded.items()},
    }


def _satisfaction(said: Satisfaction | None) -> dict[str, Any] | None:
    if said is None:
        return None
    return {
        "answers": said.answers,
        "closed": said.closed,
        "solved_rate": _estimate(said.solved),
        "satisfied_rate": _estimate(said.satisfied),
        "mean_score": _estimate(said.score),
    }


def _estimate(estimate: Estimate | None) -> dict[str, float | None] | None:
    if estimate is None:
        return None
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}
