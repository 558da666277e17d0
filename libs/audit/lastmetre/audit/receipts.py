"""Receipts that a driver was given: each stands for exactly one report in intake."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ValidationError

from lastmetre.audit.balance import Balance
from lastmetre.audit.consistent_cut import ConsistentCut
from lastmetre.common.security.signed_links import LinkPurpose, SignedLinks


class Receipt(BaseModel):
    """A receipt, with the identity of its report where the driver noted that."""

    receipt: str
    sender: str | None = None
    channel: str | None = None
    source_id: str | None = None

    def identity(self, links: SignedLinks) -> bytes | None:
        """What it stands for; None if we never made it, or made it for another report."""
        found = links.open(LinkPurpose.RECEIPT, self.receipt)
        if self.sender is None or self.channel is None or self.source_id is None:
            return found
        wanted = links.receipt_identity(self.sender, self.channel, self.source_id)
        return found if found == wanted else None


def read_receipts(file: Path) -> list[Receipt]:
    """Receipts of a file, one a line: plain, or a JSON object. Raises ValueError."""
    found: list[Receipt] = []
    # Not splitlines(): a source id may hold other letters that Unicode calls line breaks.
    with file.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, start=1):
            text = line.strip()
            try:
                if text.startswith("{"):
                    found.append(Receipt.model_validate_json(text))
                elif text:
                    found.append(Receipt(receipt=text))
            except ValidationError as error:
                raise ValueError(f"line {number} of {file.name} holds no receipt") from error
    return found


async def check_receipts(
    cut: ConsistentCut, balance: Balance, receipts: Sequence[Receipt], links: SignedLinks
) -> None:
    """Whether what was promised is in the books. A receipt given twice is one report."""
    line = balance.line("receipts")
    given = {each.receipt: each for each in receipts}
    line.expected["receipts given"] = len(given)
    identities: dict[bytes, str] = {}
    for receipt, each in given.items():
        identity = each.identity(links)
        if identity is None:
            line.differ(receipt, "is no receipt of ours for this report")
        else:
            identities[identity] = receipt
    counted: Counter[bytes] = Counter()
    async for (identity,) in cut.intake.stream("SELECT identity FROM report"):
        if identity in identities:
            counted[identity] += 1
    for identity, receipt in identities.items():
        if counted[identity] == 1:
            line.actual["reports in intake"] += 1
        else:
            line.differ(receipt, f"stands for {counted[identity]} reports in intake, not one")
