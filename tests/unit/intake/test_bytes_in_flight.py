"""One sender cannot take the edge's memory from the others, nor from the public form."""

from pathlib import Path

import pytest

from lastmetre.intake.adapters.settings_files import channel_keys
from lastmetre.intake.domain.bytes_in_flight import BytesInFlight

MIB = 1024 * 1024


def full_of(sender: str, held: BytesInFlight, piece: int = MIB) -> int:
    """How many bytes that sender gets."""
    taken = 0
    while held.reserve(sender, piece):
        taken += piece
    return taken


def test_a_sender_who_holds_all_that_he_may_starves_nobody() -> None:
    held = BytesInFlight(64 * MIB, "web-form")
    assert full_of("patrol-desk", held) == 16 * MIB
    assert held.reserve("hotline-desk", 8 * MIB)
    assert held.reserve("web-form", 64 * 1024)
    assert not held.reserve("patrol-desk", 1)
    held.release("patrol-desk", 8 * MIB)
    assert held.reserve("patrol-desk", 8 * MIB)


def test_all_senders_together_have_the_limit_and_the_form_is_beside_it() -> None:
    held = BytesInFlight(64 * MIB, "web-form")
    taken = [full_of(f"desk {number}", held) for number in range(6)]
    assert taken == [16 * MIB] * 4 + [0, 0]
    assert full_of("web-form", held) == 8 * MIB


def test_a_flood_of_forms_leaves_the_partners_theirs() -> None:
    held = BytesInFlight(64 * MIB, "web-form")
    full_of("web-form", held)
    assert sum(full_of(f"desk {number}", held) for number in range(4)) == 64 * MIB


def test_nobody_has_a_key_for_the_form(tmp_path: Path) -> None:
    path = tmp_path / "channel_keys.json"
    path.write_text('[{"channel": "app", "sender": "web-form", "sha256": "00"}]')
    with pytest.raises(ValueError, match="web-form is our own form"):
        channel_keys(path)
