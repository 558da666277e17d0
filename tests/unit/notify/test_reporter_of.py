"""Whose report a message is about, as the rows of notify's tables tell it."""

from uuid import UUID

from lastmetre.notify.adapters.postgres.asking import ReporterColumns, reporter_of
from lastmetre.notify.domain.messages import REPORTER, lead_recipient, merged_recipient

OWN = ReporterColumns(UUID(int=1), "zh")
JOINED, LEFT = UUID(int=2), UUID(int=3)
MERGED = f'[["{JOINED}","en","live",true]]'


def test_the_reporter_of_the_first_report_and_leads_keep_the_cases_own() -> None:
    assert reporter_of(REPORTER, OWN, MERGED) == OWN
    assert reporter_of(lead_recipient("L1"), OWN, MERGED) == OWN


def test_who_joined_is_written_to_about_his_own_report_in_his_language() -> None:
    assert reporter_of(merged_recipient(JOINED), OWN, MERGED) == (JOINED, "en")


def test_one_whose_report_has_left_since_is_still_the_one_who_was_written_to() -> None:
    assert reporter_of(merged_recipient(LEFT), OWN, MERGED) == (LEFT, "zh")
    assert reporter_of(merged_recipient(LEFT), OWN, None) == (LEFT, "zh")
