"""Reports of partners' own topics, into the channels' topics: from there on they are as all."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from lastmetre.common.contracts.reports import ReportSubmitted
from lastmetre.intake.application.submit_reports import SubmitReports
from lastmetre.intake.domain.partner_topics import PartnerTopic, in_portions

PARTNERS_FLOW: Final = "partners"
"""The consumer of partners' own topics, and so the name of its positions."""


class PassOnReports:
    """Sends by the edge's producer, within the batch's transaction: the position is stored once the
    channel's topic has them. What a crash repeats is known by its identity, as any repetition."""

    def __init__(self, submit: SubmitReports, topics: Iterable[PartnerTopic]) -> None:
        self._submit = submit
        self.topics: Mapping[str, PartnerTopic] = {each.topic: each for each in topics}

    async def __call__(
        self, read: Sequence[tuple[str, ReportSubmitted]], traceparent: str | None
    ) -> None:
        """Reports by the topic that held them. Raises NotAcknowledged: then the batch waits."""
        by_topic: dict[str, list[ReportSubmitted]] = defaultdict(list)
        for topic, report in read:
            by_topic[topic].append(report)
        trace = traceparent.encode() if traceparent else None
        for topic, reports in by_topic.items():
            whose = self.topics[topic]
            for portion in in_portions(reports):
                await self._submit(whose.channel, whose.sender, portion, trace)
