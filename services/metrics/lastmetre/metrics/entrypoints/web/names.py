"""What channels, reasons, steps, curves and periods are called on the board."""

from typing import Final

from lastmetre.common.contracts.base import Channel
from lastmetre.common.web.words import N_
from lastmetre.metrics.domain.indicators import FIRST_RESPONSE, RESOLUTION, WHOLE
from lastmetre.metrics.domain.periods import PeriodName

CHANNELS: Final = tuple(Channel)
CHANNEL_NAMES: Final = {
    "hotline": N_("Hotline"),
    "app": N_("App"),
    "patrol": N_("Patrol"),
}
REASON_NAMES: Final = {
    "no_position": N_("No position"),
    "outside_every_area": N_("Outside every area"),
    "area_without_lead": N_("Area without a lead"),
    "several_leads": N_("Place too rough for one lead"),
    "returned": N_("Given back by the lead"),
    "reopened": N_("Taken up again"),
}
STEP_NAMES: Final = {
    "registered": N_("Registered"),
    "dispatched": N_("Sent to the lead"),
    "reassigned": N_("Sent to another lead"),
    "unplaced": N_("Waiting for the command centre"),
    "accepted": N_("Accepted"),
    "arrived": N_("On site"),
    "resolved": N_("Resolved"),
    "returned": N_("Given back"),
    "verified": N_("Checked"),
    "closed": N_("Closed"),
    "cancelled": N_("Cancelled"),
    "category_changed": N_("Kind corrected"),
    "location_changed": N_("Place corrected"),
    "noted": N_("Note by staff"),
    "rated": N_("Rated"),
    "reopened": N_("Taken up again"),
    "merged": N_("Joined to another case"),
    "split": N_("A case of its own again"),
    "report_merged": N_("Another report joined"),
    "report_split": N_("A report became a case of its own"),
}
STEP_LOOKS: Final = {
    "reassigned": "dispatched",
    "arrived": "on_site",
    "returned": "unplaced",
    "category_changed": "registered",
    "location_changed": "registered",
    "noted": "registered",
    "rated": "closed",
    "reopened": "registered",
    "merged": "cancelled",
    "split": "registered",
    "report_merged": "registered",
    "report_split": "cancelled",
}
"""Which state's mark a step has, where it is not its own."""
CURVE_TITLES: Final = {
    FIRST_RESPONSE.name: N_("From report to first response (%(unit)s)"),
    RESOLUTION.name: N_("From report to resolved (%(unit)s)"),
    WHOLE.name: N_("From report to closed (%(unit)s)"),
}
PERIOD_NAMES: Final = {
    PeriodName.TODAY: N_("Today"),
    PeriodName.YESTERDAY: N_("Yesterday"),
    PeriodName.WEEK: N_("Last 7 days"),
    PeriodName.ALL: N_("All days"),
}
CURVE_NAMES: Final = {
    FIRST_RESPONSE.name: N_("First response"),
    RESOLUTION.name: N_("Resolved"),
    WHOLE.name: N_("Closed"),
}
