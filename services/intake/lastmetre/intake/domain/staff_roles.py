"""What a member of staff may be, worked out from what the identity provider says of him."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from lastmetre.common.contracts.base import Code
from lastmetre.common.security.callers import STAFF, Role, StaffMember

Claim = str | Annotated[tuple[str, ...], Field(min_length=1)]
"""The name of a claim, or the names that lead to one inside of others."""

_CODE: TypeAdapter[str] = TypeAdapter(Code)


class NoRole(Exception):
    """He is known to the provider, and nobody here: `why` is for the security log."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _of_a_person(role: Role) -> Role:
    if role not in STAFF:
        raise ValueError(f"{role} is nobody who signs in there")
    return role


class RoleRule(_Strict):
    """Whoever's `claim` is `value`, or a list that holds it, has `role`."""

    role: Annotated[Role, AfterValidator(_of_a_person)]
    claim: Claim
    value: str


class RoleMapping(_Strict):
    """The city's file. `subject` is the claim by which people are named in the ledger, for ever;
    `lead_id` the one that says which lead somebody is, unless `leads` says it by his name.
    Which areas a lead has, the published network says."""

    subject: Claim
    roles: tuple[RoleRule, ...]
    lead_id: Claim | None = None
    leads: Mapping[str, Code] = {}

    def staff_member(self, claims: Mapping[str, Any]) -> StaffMember:
        """Whom these claims are about; his roles in the order of the file. Raises NoRole."""
        subject = _text(claims, self.subject)
        if subject is None:
            raise NoRole("no_subject")
        roles = tuple(dict.fromkeys(rule.role for rule in self.roles if _fits(claims, rule)))
        lead_id = self.leads.get(subject) or (self.lead_id and _text(claims, self.lead_id))
        if Role.LEAD not in roles:
            lead_id = None
        elif not lead_id:
            # Nobody says which lead: then he is none.
            roles = tuple(each for each in roles if each is not Role.LEAD)
        if not roles:
            raise NoRole("no_role")
        return StaffMember(subject, roles, lead_id or None)


def _fits(claims: Mapping[str, Any], rule: RoleRule) -> bool:
    said = _said(claims, rule.claim)
    return rule.value in said if isinstance(said, list) else said == rule.value


def _text(claims: Mapping[str, Any], claim: Claim) -> str | None:
    try:
        return _CODE.validate_python(_said(claims, claim), strict=True)
    except ValidationError:
        return None


def _said(claims: Mapping[str, Any], claim: Claim) -> Any:
    names: Sequence[str] = (claim,) if isinstance(claim, str) else claim
    found: Any = claims
    for name in names:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found
