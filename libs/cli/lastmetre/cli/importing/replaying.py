"""Recorded steps asked of dispatch, each once, and what it answered."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from lastmetre.cli.client import ServiceClient
from lastmetre.cli.console import Trouble
from lastmetre.cli.importing.field import Answered, Field
from lastmetre.cli.importing.findings import Findings
from lastmetre.cli.importing.steps import Step
from lastmetre.common.contracts.base import Channel
from lastmetre.common.contracts.cases import CaseState
from lastmetre.common.contracts.requests import Action

LOOK_EVERY_SECONDS: Final = 0.1
STALLED_SECONDS: Final = 120.0
OVERTAKEN: Final = frozenset({"case_has_moved_on", "not_your_case", "unknown_case"})
"""Refusals because the case is not as it was looked up: worth another look and another try."""
ATTEMPTS: Final = 5
ENDED: Final = frozenset({CaseState.CLOSED, CaseState.CANCELLED})
COUNTED: Final = {Action.RESOLVE: "resolved", Action.CANCEL: "cancelled"}

Case = Mapping[str, Any]
"""A report and its case, as intake's lookup tells of them."""


class Replaying:
    """Replays chunks of steps. `field` is None where it is only counted what would be done."""

    def __init__(self, services: ServiceClient, field: Field | None, findings: Findings) -> None:
        self._services = services
        self._field = field
        self._findings = findings
        self.counts = Counter[str](
            dict.fromkeys(("resolved", "cancelled", "already_there", "closed_before_reported",
                           "without_a_lead"), 0)
        )  # fmt: skip

    async def replay(self, steps: Sequence[Step]) -> None:
        """Ask for these; returns once each is answered."""
        for attempt in range(ATTEMPTS):
            cases = await self._cases(steps)
            if self._field is None:
                for step, case in cases:
                    self._count(step, case, before=case["state"] in ENDED)
                return
            requests = {
                step: step.request(self._services.sender(step.channel), case, attempt)
                for step, case in cases
            }
            answers = await self._field.ask(list(requests.values()))
            steps = []
            for step, case in cases:
                answer = answers[requests[step].action_id]
                if answer.refusal in OVERTAKEN and attempt + 1 < ATTEMPTS:
                    steps.append(step)
                else:
                    self._note(step, case, answer)
            if not steps:
                return

    def _note(self, step: Step, case: Case, answer: Answered) -> None:
        # Asked before, of a lead who no longer has the case: what has ended needs nothing more.
        others = answer.refusal == "action_id_used" and case["state"] in ENDED
        if answer.refusal is None or others:
            self._count(step, case, before=answer.before or others)
        else:
            self._refuse(step, f"dispatch: {answer.refusal}, the case is {case['state']}")

    def _count(self, step: Step, case: Case, *, before: bool) -> None:
        self.counts["already_there" if before else COUNTED[step.action]] += 1
        self.counts["closed_before_reported"] += step.closed_before_reported
        self.counts["without_a_lead"] += case["lead_id"] is None
        if step.doubt:
            self._findings.note(step.line, step.source_id, step.doubt)

    async def _cases(self, steps: Sequence[Step]) -> list[tuple[Step, Case]]:
        """Each step with its case, once intake has seen where that went; others are refused."""
        found: list[tuple[Step, Case]] = []
        rest, moved_at = list(steps), time.monotonic()
        while rest:
            wait: list[Step] = []
            for step, case in await asyncio.to_thread(self._look_up, rest):
                if case["outcome"] == "unseen":
                    self._refuse(step, "there is no such report: import the file first")
                elif case["outcome"] != "accepted":
                    self._refuse(step, f"was not accepted: {', '.join(case['reasons'])}")
                elif case["state"] in (None, CaseState.REGISTERED):
                    wait.append(step)
                else:
                    found.append((step, case))
            if len(wait) < len(rest):
                moved_at = time.monotonic()
            elif time.monotonic() - moved_at > STALLED_SECONDS:
                raise Trouble(
                    f"{len(wait)} reports have not become cases for {STALLED_SECONDS:.0f} s.",
                    "`lastmetre status` shows what is wrong; then replay again.",
                )
            rest = wait
            if rest:
                await asyncio.sleep(LOOK_EVERY_SECONDS)
        return found

    def _look_up(self, steps: Iterable[Step]) -> list[tuple[Step, Case]]:
        by_channel: dict[Channel, list[Step]] = defaultdict(list)
        for step in steps:
            by_channel[step.channel].append(step)
        return [
            each
            for channel, group in by_channel.items()
            for each in zip(
                group,
                self._services.look_up(channel, [step.source_id for step in group]),
                strict=True,
            )
        ]

    def _refuse(self, step: Step, reason: str) -> None:
        self._findings.refuse(step.line, step.source_id, reason)
