"""Reports through intake's edge in arrays, and what intake made of each of them."""

import json
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, TextIO

from lastmetre.cli.client import Refused, ServiceClient
from lastmetre.cli.console import Trouble
from lastmetre.cli.importing.findings import Findings
from lastmetre.cli.importing.reports import Prepared
from lastmetre.common.contracts.base import Channel

AHEAD: Final = 4
"""So many chunks may be sent that intake has not read yet."""
LOOK_EVERY_SECONDS: Final = 0.1
STALLED_SECONDS: Final = 120.0
TAKEN: Final = 202
TOO_LARGE: Final = 413


class Sending:
    """Sends chunks of reports and follows each until intake has accepted or rejected it.

    What is there already is sent all the same: the edge gives its receipt again, and if its body
    is another one now, intake keeps that for a person to look at.
    """

    def __init__(
        self, services: ServiceClient, findings: Findings, receipts: TextIO | None = None
    ) -> None:
        self._services = services
        self._findings = findings
        self._receipts = receipts
        self._under_way: deque[list[Prepared]] = deque()
        self._unread: set[tuple[Channel, str]] = set()
        self.accepted = 0
        self.already_there = 0

    def only_count(self, chunk: Iterable[Prepared]) -> None:
        """What sending them would come to, as far as that can be known before."""
        for channel, group in _by_channel(chunk).items():
            there = self._there(channel, group)
            for each in group:
                known = each.report.source_id in there or each.identity in self._unread
                self.already_there += known
                self.accepted += not known
                self._unread.add(each.identity)

    def send(self, chunk: Iterable[Prepared]) -> None:
        """Send these; returns once Kafka has them, and not much is unread."""
        new: list[Prepared] = []
        for channel, group in _by_channel(chunk).items():
            there = self._there(channel, group)
            for each, answer in self._submit(channel, group):
                if answer["status"] != TAKEN:
                    self._refuse(each, _in_words(answer["errors"]))
                    continue
                if remarks := answer.get("remarks"):
                    self._findings.note(each.line, each.report.source_id, _in_words(remarks))
                if self._receipts:
                    sender = self._services.sender(each.channel)
                    self._receipts.write(_receipt_line(each, sender, answer["receipt"]))
                if each.report.source_id in there or each.identity in self._unread:
                    self.already_there += 1
                else:
                    self._unread.add(each.identity)
                    new.append(each)
            if self._receipts:
                self._receipts.flush()
        self._under_way.append(new)
        while len(self._under_way) > AHEAD:
            self._settle(self._under_way.popleft())

    def finish(self) -> None:
        """Returns once intake has read everything that was sent."""
        while self._under_way:
            self._settle(self._under_way.popleft())

    def _there(self, channel: Channel, group: Sequence[Prepared]) -> set[str]:
        found = self._services.look_up(channel, [each.report.source_id for each in group])
        return {each["source_id"] for each in found if each["outcome"] != "unseen"}

    def _submit(
        self, channel: Channel, group: Sequence[Prepared]
    ) -> Iterator[tuple[Prepared, dict[str, Any]]]:
        """Each report with the edge's answer; in halves where the whole is too large."""
        bodies = [each.report.model_dump(mode="json", exclude_defaults=True) for each in group]
        try:
            yield from zip(group, self._services.submit(channel, bodies), strict=True)
        except Refused as refused:
            if refused.status != TOO_LARGE or len(group) == 1:
                raise
            middle = len(group) // 2
            yield from self._submit(channel, group[:middle])
            yield from self._submit(channel, group[middle:])

    def _settle(self, sent: Sequence[Prepared]) -> None:
        """Wait until intake has read these, and count what it made of them."""
        unread, moved_at = sent, time.monotonic()
        while unread:
            still = [each for channel, group in _by_channel(unread).items()
                     for each in self._not_read_of(channel, group)]  # fmt: skip
            if len(still) < len(unread):
                moved_at = time.monotonic()
            elif time.monotonic() - moved_at > STALLED_SECONDS:
                raise Trouble(
                    f"Intake has read nothing for {STALLED_SECONDS:.0f} s;"
                    f" Kafka holds {len(still)} reports for it, none is lost.",
                    "`lastmetre status` shows what is wrong; then import again.",
                )
            unread = still
            if unread:
                time.sleep(LOOK_EVERY_SECONDS)

    def _not_read_of(self, channel: Channel, group: Sequence[Prepared]) -> Iterator[Prepared]:
        found = self._services.look_up(channel, [each.report.source_id for each in group])
        for each, answer in zip(group, found, strict=True):
            if answer["outcome"] == "unseen":
                yield each
                continue
            self._unread.discard(each.identity)
            if answer["outcome"] == "accepted":
                self.accepted += 1
            else:
                self._refuse(each, ", ".join(answer["reasons"]))

    def _refuse(self, each: Prepared, reason: str) -> None:
        self._findings.refuse(each.line, each.report.source_id, reason)


def _by_channel(reports: Iterable[Prepared]) -> dict[Channel, list[Prepared]]:
    found: dict[Channel, list[Prepared]] = defaultdict(list)
    for each in reports:
        found[each.channel].append(each)
    return found


def _in_words(errors: Iterable[dict[str, str]]) -> str:
    return "; ".join(f"{each['pointer']}: {each['message']}" for each in errors)


def _receipt_line(each: Prepared, sender: str, receipt: str) -> str:
    """As `lastmetre audit --receipts` reads it."""
    line = {
        "receipt": receipt,
        "sender": sender,
        "channel": each.channel.value,
        "source_id": each.report.source_id,
    }
    return json.dumps(line, ensure_ascii=False) + "\n"
