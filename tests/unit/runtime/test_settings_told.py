"""Whoever runs the services finds every setting in docs/configuration.md."""

import re
from pathlib import Path

from lastmetre.dispatch.settings import DispatchSettings
from lastmetre.intake.settings import IntakeSettings
from lastmetre.metrics.settings import MetricsSettings
from lastmetre.notify.settings import NotifySettings

CONFIGURATION = Path(__file__).parents[3] / "docs" / "configuration.md"


def test_every_setting_is_told_and_nothing_else() -> None:
    table = CONFIGURATION.read_text("utf-8").partition("\n## ")[0]
    told = set(re.findall(r"`([A-Z]+_[A-Z_]+)`", table.partition("|---|")[2]))
    there = {
        field.validation_alias
        for settings in (IntakeSettings, DispatchSettings, NotifySettings, MetricsSettings)
        for field in settings.model_fields.values()
    }
    assert told == there
