"""Each topic: its key, for how many days it is kept, and whether it is compacted."""

from lastmetre.common.contracts.topics import PARTITIONS, TOPICS

FOR_EVER = None
EXPECTED = {
    "channels.hotline": ("source id", FOR_EVER, False),  # trimmed behind intake's position
    "channels.app": ("source id", FOR_EVER, False),
    "channels.patrol": ("source id", FOR_EVER, False),
    "reports": ("report id", 30, False),
    "field.actions": ("case id", 30, False),
    "field.outcomes": ("case id", 30, False),
    "case.events": ("case id", FOR_EVER, False),
    "feedback": ("case id", FOR_EVER, False),
    "notify.deliveries": ("case id", FOR_EVER, False),
    "network.areas": ("area id", FOR_EVER, True),
    "intake.dlq": ("as its origin", 7, False),  # holds personal data
    "dispatch.dlq": ("as its origin", FOR_EVER, False),
    "notify.dlq": ("as its origin", FOR_EVER, False),
    "metrics.dlq": ("as its origin", FOR_EVER, False),
}
SHORT_LIVED = {"channels.hotline", "channels.app", "channels.patrol", "intake.dlq"}
DAY = 86_400_000


def test_topics_are_kept_as_their_readers_need_them() -> None:
    declared = {
        each.name: (each.key, each.settings["retention.ms"], each.settings["cleanup.policy"])
        for each in TOPICS
    }
    assert declared == {
        name: (key, str(-1 if days is None else days * DAY), "compact" if compacted else "delete")
        for name, (key, days, compacted) in EXPECTED.items()
    }
    assert {each.name for each in TOPICS if each.short_lived} == SHORT_LIVED
    assert {each.settings["message.timestamp.type"] for each in TOPICS} == {"LogAppendTime"}
    assert PARTITIONS == 12


def test_files_with_personal_data_are_short() -> None:
    """A broker deletes whole files only: what is trimmed stays readable in the one it writes to."""
    for each in TOPICS:
        if each.name in SHORT_LIVED:
            assert int(each.settings["segment.ms"]) <= 3_600_000
            assert int(each.settings["segment.bytes"]) <= 64 * 1024 * 1024
        else:
            assert "segment.ms" not in each.settings, "the operator's"
