"""What came of a played day: the indicators of its cases, and whether the books balance."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from lastmetre.audit.balance import Balance
from lastmetre.audit.command import TIMEOUT_SECONDS, read_targets
from lastmetre.audit.output import Waiting, progress
from lastmetre.audit.run import reasons, take_balance
from lastmetre.audit.waiting import wait_until_quiet
from lastmetre.cli.client import ServiceClient
from lastmetre.cli.console import STDERR, Trouble
from lastmetre.cli.profile import Installation

STAGES: Final = {
    "first_response": "Accepted within",
    "resolution": "Resolved within",
    "whole": "Closed within",
}


@dataclass(frozen=True)
class Figures:
    """The figures of a day, as `/indicators` states them."""

    reports: Mapping[str, int]
    """By channel."""
    cases: Mapping[str, Any]
    response_times: Mapping[str, Mapping[str, Any]]
    """By stage, in seconds."""
    satisfaction: Mapping[str, Any]
    messages: Mapping[str, int]
    """All that were ever sent, to `reporter` and `lead`."""


def settled_balance(stack: Installation) -> Balance:
    """Wait until nothing is in flight, then audit. Raises Trouble if it does not come to rest."""
    targets = read_targets(stack)
    with Waiting(STDERR) as waiting, reasons():
        in_flight = asyncio.run(wait_until_quiet(targets, TIMEOUT_SECONDS, waiting.say))
    if in_flight:
        what = ", ".join(f"{who} ({count:,})" for who, count in in_flight.items())
        raise Trouble(f"Still in flight: {what}.", "look into the services' logs.")
    with progress() as on_progress:
        return asyncio.run(take_balance(targets, on_progress=on_progress)).balance


def figures_of(day: date, services: ServiceClient) -> Figures:
    """The figures of the reports of that local day."""
    days = {"from": day.isoformat(), "to": day.isoformat()}
    whole = services.get("metrics", "/indicators", **days)
    by_channel = services.get("metrics", "/indicators", by="channel", **days)
    ever = services.get("metrics", "/indicators")
    (group,) = whole["groups"]
    messages: dict[str, int] = {}
    for each in ever["messages"]:
        if each["result"] == "sent":
            messages[each["recipient"]] = messages.get(each["recipient"], 0) + each["messages"]
    return Figures(
        {each["key"]["channel"]: each["reports"]["accepted"] for each in by_channel["groups"]},
        group["cases"],
        group["response_times"],
        group["satisfaction"] or {},
        messages,
    )
