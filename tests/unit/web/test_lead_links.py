"""The link in a lead's text message (B10)."""

from datetime import UTC, datetime, timedelta

import pytest

from lastmetre.common.security.lead_links import LINK_LIFETIME, LeadLinks

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
LINKS = LeadLinks(b"k" * 32)


@pytest.mark.parametrize("lead_id", ["L1", "lead-0101", "片长一", "x" * 120])
def test_a_link_names_its_lead_until_its_time_is_over(lead_id: str) -> None:
    secret = LINKS.seal(lead_id, NOW)
    assert secret.isalnum()
    assert LINKS.open(secret, NOW) == lead_id
    assert LINKS.open(secret, NOW + LINK_LIFETIME) == lead_id
    assert LINKS.open(secret, NOW + LINK_LIFETIME + timedelta(days=1)) is None


def test_a_link_fits_into_a_text_message() -> None:
    assert len(LINKS.seal("lead-0101", NOW)) < 40


def test_another_keys_link_opens_nothing_unless_that_key_was_replaced() -> None:
    secret = LINKS.seal("L1", NOW)
    assert LeadLinks(b"o" * 32).open(secret, NOW) is None
    assert LeadLinks(b"o" * 32, [b"k" * 32]).open(secret, NOW) == "L1"


@pytest.mark.parametrize("secret", ["", "a", "é", "a" * 300, "0" * 40, "not base 32!", "aaaaaaaa"])
def test_rubbish_opens_nothing(secret: str) -> None:
    assert LINKS.open(secret, NOW) is None


def test_a_letter_more_or_less_opens_nothing() -> None:
    secret = LINKS.seal("lead-0101", NOW)
    changed = [secret[:-2], secret + "aa", ("b" if secret[0] == "a" else "a") + secret[1:]]
    assert [LINKS.open(each, NOW) for each in changed] == [None] * 3
