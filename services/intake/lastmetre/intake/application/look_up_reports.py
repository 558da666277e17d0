"""What became of a sender's own ids: for imports and replays, which know no others."""

from lastmetre.common.contracts.lookup import LookedUp, Lookup, LookupAsked
from lastmetre.common.security.signed_links import LinkPurpose
from lastmetre.common.service.host import ServiceHost
from lastmetre.intake.adapters.postgres import reports
from lastmetre.intake.adapters.postgres.pool import connected
from lastmetre.intake.domain.case_view import state_after


class LookUpReports:
    """Finds reports by who sent them, and under which ids."""

    def __init__(self, host: ServiceHost) -> None:
        self._host = host

    async def __call__(self, asked: LookupAsked) -> Lookup:
        """An entry per source id, in order; `outcome` is `unseen` until its record was read."""
        links = self._host.links
        identities = [
            links.receipt_identity(asked.sender, asked.channel.value, source_id)
            for source_id in asked.source_ids
        ]
        async with connected(self._host.pool) as connection:
            found = {each.identity: each for each in await reports.look_up(connection, identities)}
        return Lookup(
            reports=[
                _looked_up(
                    source_id, links.seal(LinkPurpose.RECEIPT, identity), found.get(identity)
                )
                for source_id, identity in zip(asked.source_ids, identities, strict=True)
            ]
        )


def _looked_up(source_id: str, receipt: str, found: reports.Found | None) -> LookedUp:
    known = {"source_id": source_id, "receipt": receipt, "outcome": "unseen"}
    if found is None:
        return LookedUp.model_validate(known)
    return LookedUp.model_validate(
        known
        | {
            "report_id": found.report_id,
            "outcome": found.outcome,
            "reasons": found.reasons,
            "case_id": found.case_id,
            "number": found.number,
            "state": state_after(found.types) if found.types else None,
            "seq": found.seq,
            "lead_id": found.lead_id,
        }
    )
