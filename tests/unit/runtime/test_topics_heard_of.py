"""A topic that was made just now is asked for again while a broker has not heard of it."""

from types import SimpleNamespace
from typing import Any

from lastmetre.common.kafka.topics import _find_changed

UNKNOWN = 3


class Admin:
    """Its brokers know the topic's configuration from the third question on."""

    def __init__(self) -> None:
        self.asked = 0

    async def describe_topics(self) -> list[dict[str, Any]]:
        return [{"topic": "reports", "partitions": [{"replicas": [1, 2, 3]}]}]

    async def describe_configs(self, _: Any) -> list[Any]:
        self.asked += 1
        code = UNKNOWN if self.asked < 3 else 0
        entries = [] if code else [("retention.ms", "-1", False, 1)]
        return [SimpleNamespace(resources=[(code, None, 2, "reports", entries)])]


async def test_a_topic_is_asked_for_until_it_is_known() -> None:
    admin = Admin()
    found = await _find_changed(admin, ["reports"])  # type: ignore[arg-type]
    assert admin.asked == 3
    assert found["reports"].settings == {"retention.ms": "-1"}
