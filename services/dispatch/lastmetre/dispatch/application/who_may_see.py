"""What of a case which member of staff may see."""

from collections.abc import Iterable

from lastmetre.common.contracts.case_model import Case
from lastmetre.common.contracts.cases import Assignment
from lastmetre.common.security.callers import OPERATORS, Person
from lastmetre.dispatch.domain.ledger import Step


def may_see(steps: Iterable[Step], person: Person) -> bool:
    """A lead sees the cases that he has or has had; others see all."""
    return person.lead_id is None or any(
        isinstance(step.event, Assignment) and step.event.lead.lead_id == person.lead_id
        for step in steps
    )


def may_see_contact(case: Case, person: Person) -> bool:
    """Whoever deals with the case: the command centre, and its lead while it is open."""
    if person.role in OPERATORS:
        return True
    return person.lead_id is not None and person.lead_id == case.lead_id and case.is_open


def may_see_notes(case: Case, person: Person) -> bool:
    """Notes may hold what a contact does: a lead reads them while the case is his."""
    return person.lead_id is None or person.lead_id == case.lead_id
