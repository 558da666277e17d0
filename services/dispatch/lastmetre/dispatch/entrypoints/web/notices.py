"""Why an action was refused, in words."""

from collections.abc import Mapping
from typing import Any, Final

from lastmetre.common.web.words import N_
from lastmetre.dispatch.application.execute_commands import Outcome

REFUSALS: Final = {
    "case_has_moved_on": N_("The case has moved on. Please look at it as it is now."),
    "not_allowed_in_state": N_("The case is no longer at that step."),
    "not_your_case": N_("The case is with somebody else now."),
    "already_rated": N_("That was rated already."),
    "area_without_lead": N_("Nobody answers for that area. Please choose another."),
    "area_missing": N_("Please choose an area."),
    "area_unknown": N_("That area is not there any more. Please choose another."),
    "category_missing": N_("Please choose a kind."),
    "position_missing": N_("Please give both coordinates, or point at the place on the map."),
    "accuracy_missing": N_("Please say how exact the place is."),
    "nothing_changes": N_("It is so already."),
    "into_case_missing": N_("Please type the number of the other case."),
    "into_case_unknown": N_("There is no case of that number."),
    "into_case_is_the_same": N_("That is this very case. Please type the number of another."),
    "into_case_not_open": N_("The other case has ended meanwhile, so nothing was joined to it."),
    "into_case_has_moved_on": N_("The other case was corrected. Please look at it as it is now."),
    "report_not_joined": N_("That report is not one that has joined this case."),
    "report_not_kept": N_("Too little is kept of that report for it."),
    "reason_missing": N_("Please say why."),
    "happens_before_the_last_step": N_("Something happened with the case after that time."),
    "happened_too_long_ago": N_("That is too long ago to be reported now."),
}


def notice_of(outcome: Outcome | None) -> Mapping[str, Any] | None:
    """Why an action was refused, for the page that its button was on."""
    if outcome is None or outcome.result.refusal is None:
        return None
    return {
        "text": REFUSALS.get(outcome.result.refusal, N_("This was not done.")),
        "number": outcome.case.number if outcome.case and outcome.may_see else "",
        "case_id": outcome.result.case_id,
        "meanwhile": outcome.events_since if outcome.may_see else (),
    }
