"""The JSON of `/indicators`: every figure with the set it is over; no data is null."""

from collections.abc import Iterator
from datetime import date, datetime
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field

from lastmetre.metrics.application.indicators import (
    Cases,
    Group,
    Indicators,
    Reports,
    ResponseTime,
    Satisfaction,
)
from lastmetre.metrics.domain.indicators import QUANTILE_METHOD, STAGES, Dimension
from lastmetre.metrics.domain.statistics import Estimate

Counts = dict[str, int]


class SetsInWords(BaseModel):
    """What each kind of figure is over."""

    cases: str
    reports: str
    satisfaction: str
    messages: str
    response_times: dict[str, str]


class Methods(BaseModel):
    """How figures are worked out."""

    quantiles: str
    rates: str
    mean_score: str


class ReportFigures(BaseModel):
    """How many reports came."""

    reported: int
    accepted: int
    rejected: int
    rejected_by_reason: Counts
    valid_report_rate: float | None


class CaseFigures(BaseModel):
    """How many cases there are, and how they stand."""

    registered: int
    matched_to_leads: int
    unplaced: int
    unplaced_by_reason: Counts
    ended_unplaced: int
    ended_unplaced_by_reason: Counts
    open: int
    closed: int
    cancelled: int
    cancelled_by_reason: Counts
    by_state: Counts
    returned: int
    returns: int
    reopened: int
    reopenings: int
    fixed_on_spot: int
    merged_reports: int
    closed_before_reported: int


class ResponseTimeFigures(BaseModel):
    """A stage's response times, and which cases are not in them, by reason."""

    n: int
    median: float | None
    p90: float | None
    p99: float | None
    mean: float | None
    unit: str = "s"
    excluded: Counts


class EstimateFigures(BaseModel):
    """A figure with its 95 % interval, which needs more than one answer."""

    value: float
    low: float | None
    high: float | None


class SatisfactionFigures(BaseModel):
    """What reporters said."""

    answers: int
    closed: int
    solved_rate: EstimateFigures | None
    satisfied_rate: EstimateFigures | None
    mean_score: EstimateFigures | None


class GroupFigures(BaseModel):
    """The figures of the cases that share `key`."""

    key: dict[str, str | None]
    names: dict[str, dict[str, str] | None]
    reports: ReportFigures | None
    cases: CaseFigures
    response_times: dict[str, ResponseTimeFigures]
    satisfaction: SatisfactionFigures | None


class MessageFigures(BaseModel):
    """How many messages came to the same end."""

    recipient: str
    provider: str | None
    result: str
    messages: int


class IndicatorsDocument(BaseModel):
    """All figures of a selection."""

    model_config = ConfigDict(populate_by_name=True)

    as_of: datetime
    time_zone: str
    first: date | None = Field(alias="from")
    last: date | None = Field(alias="to")
    origin: str | None
    fixed_on_spot: str
    by: list[str]
    sets: SetsInWords
    methods: Methods
    groups: list[GroupFigures]
    messages: list[MessageFigures]


def json_view(indicators: Indicators, zone: ZoneInfo) -> IndicatorsDocument:
    """Everything, ready for JSON."""
    selection = indicators.selection
    return IndicatorsDocument(
        as_of=indicators.as_of,
        time_zone=zone.key,
        first=selection.first,
        last=selection.last,
        origin=selection.origin and selection.origin.value,
        fixed_on_spot=selection.fixed_on_spot.value,
        by=[each.value for each in indicators.by],
        sets=SetsInWords(
            cases=selection.cases_set(),
            reports=selection.cases_set().replace("cases", "reports"),
            satisfaction=f"{selection.cases_set()}, that the reporter has rated;"
            " the last rating of each case",
            messages="messages whose end came on these local days, to reporters and leads",
            response_times={stage.name: selection.response_set(stage) for stage in STAGES},
        ),
        methods=Methods(
            quantiles=QUANTILE_METHOD,
            rates="Wilson score interval, 95 %",
            mean_score="Student's t interval, 95 %, within 1 to 5",
        ),
        groups=[_group(indicators, group) for group in indicators.groups],
        messages=[
            MessageFigures.model_validate(message, from_attributes=True)
            for message in indicators.messages
        ],
    )


def _group(indicators: Indicators, group: Group) -> GroupFigures:
    return GroupFigures(
        key=dict(_key(indicators, group)),
        names={
            each.value: None if found is None else dict(found)
            for each, value in zip(indicators.by, group.key, strict=True)
            if (names := indicators.names.get(each)) is not None
            for found in [names.get(value)]
        },
        reports=_reports(group.reports),
        cases=_cases(group.cases),
        response_times={each.stage.name: _response_time(each) for each in group.response_times},
        satisfaction=_satisfaction(group.satisfaction),
    )


def _key(indicators: Indicators, group: Group) -> Iterator[tuple[str, str | None]]:
    for each, value in zip(indicators.by, group.key, strict=True):
        yield each.value, value.isoformat() if each is Dimension.DAY else value


def _reports(reports: Reports | None) -> ReportFigures | None:
    if reports is None:
        return None
    accepted, rejected = sum(reports.accepted.values()), sum(reports.rejected.values())
    reported = accepted + rejected
    return ReportFigures(
        reported=reported,
        accepted=accepted,
        rejected=rejected,
        rejected_by_reason=reports.reasons,
        valid_report_rate=accepted / reported if reported else None,
    )


def _cases(cases: Cases) -> CaseFigures:
    return CaseFigures(
        registered=cases.registered,
        matched_to_leads=cases.matched,
        unplaced=sum(cases.waiting.values()),
        unplaced_by_reason=cases.waiting,
        ended_unplaced=sum(cases.ended_unplaced.values()),
        ended_unplaced_by_reason=cases.ended_unplaced,
        open=cases.open,
        closed=cases.states.get("closed", 0),
        cancelled=cases.states.get("cancelled", 0),
        cancelled_by_reason=cases.cancelled,
        by_state=cases.states,
        returned=cases.returned,
        returns=cases.returns,
        reopened=cases.reopened,
        reopenings=cases.reopenings,
        fixed_on_spot=cases.fixed_on_spot,
        merged_reports=cases.merged_reports,
        closed_before_reported=cases.closed_before_reported,
    )


def _response_time(time: ResponseTime) -> ResponseTimeFigures:
    quantiles = time.quantiles or {}
    return ResponseTimeFigures(
        n=time.n,
        median=quantiles.get(0.5),
        p90=quantiles.get(0.9),
        p99=quantiles.get(0.99),
        mean=time.mean,
        excluded={reason.value: n for reason, n in time.excluded.items()},
    )


def _satisfaction(said: Satisfaction | None) -> SatisfactionFigures | None:
    if said is None:
        return None
    return SatisfactionFigures(
        answers=said.answers,
        closed=said.closed,
        solved_rate=_estimate(said.solved),
        satisfied_rate=_estimate(said.satisfied),
        mean_score=_estimate(said.score),
    )


def _estimate(estimate: Estimate | None) -> EstimateFigures | None:
    if estimate is None:
        return None
    return EstimateFigures(value=estimate.value, low=estimate.low, high=estimate.high)
