"""FastStream's AsyncAPI of each service: the channels it reads, with our models."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import pytest

from tests.integration.test_who_may_call import APPLICATIONS

CHANNELS: Final = {"channels.hotline", "channels.app", "channels.patrol"}
READ: Final[Mapping[str, set[str]]] = {
    "intake": {*CHANNELS, "case.events", "network.areas"},
    "dispatch": {"reports", "field.actions", "feedback"},
    "notify": {"case.events"},
    "metrics": {"case.events", "reports", "notify.deliveries", "network.areas"},
}
WRITTEN: Final[Mapping[str, set[str]]] = {
    "intake": {"reports"},
    "dispatch": {"case.events", "field.outcomes", "network.areas"},
    "notify": {"notify.deliveries", "feedback"},
    "metrics": set(),
}
MODELS: Final[Mapping[str, set[str]]] = {
    "intake": {"ReportSubmitted", "ReportAccepted", "CaseRegistered", "AreaPublished"},
    "dispatch": {"ReportAccepted", "ActionRequested", "FeedbackGiven", "CaseClosed"},
    "notify": {"CaseRegistered", "CaseClosed", "MessageDelivered", "FeedbackGiven"},
    "metrics": {"CaseRegistered", "ReportRejected", "MessageDelivered", "AreaPublished"},
}


@pytest.mark.parametrize("service", READ)
def test_it_shows_every_channel_with_our_models(
    service: str, as_started: Callable[[str], None]
) -> None:
    as_started(service)
    host = APPLICATIONS[service]().state.host
    document: dict[str, Any] = json.loads(
        host.subscribers.asyncapi("1").to_specification().to_json()
    )
    addresses: dict[str, set[str]] = {"receive": set(), "send": set()}
    for operation in document["operations"].values():
        channel = document["channels"][operation["channel"]["$ref"].rsplit("/", 1)[1]]
        addresses[operation["action"]].add(channel["address"])
    assert addresses == {"receive": READ[service], "send": WRITTEN[service]}
    assert set(document["components"]["schemas"]) >= MODELS[service]
