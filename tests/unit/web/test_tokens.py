from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from lastmetre.common.security.caller_keys import key_digest, read_channel_keys
from lastmetre.common.security.callers import ChannelCaller, Role
from lastmetre.common.security.keys import key_id
from lastmetre.common.security.tokens import issue_token

KEY = b"0123456789abcdef0123456789abcdef"
NOW = datetime(2026, 11, 22, 7, 18, tzinfo=UTC)


def test_a_token_holds_what_the_contract_says_and_nothing_else() -> None:
    token = issue_token(KEY, "li.min", Role.LEAD, "L017", NOW, timedelta(hours=2))
    decoded = jwt.decode(token, OctKey.import_key(KEY), algorithms=["HS256"])
    assert decoded.header == {"alg": "HS256", "typ": "JWT", "kid": key_id(KEY).hex()}
    assert decoded.claims == {
        "sub": "li.min",
        "role": "lead",
        "lead_id": "L017",
        "exp": int((NOW + timedelta(hours=2)).timestamp()),
    }


@pytest.mark.parametrize(("role", "lead_id"), [(Role.LEAD, None), (Role.OPERATOR, "L017")])
def test_lead_ids_belong_to_leads(role: Role, lead_id: str | None) -> None:
    with pytest.raises(ValueError, match="lead_id"):
        issue_token(KEY, "x", role, lead_id, NOW, timedelta(hours=1))


def test_channel_keys_are_read_by_their_digest(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    digest = key_digest("secret").upper()
    path.write_text(f'[{{"channel": "app", "sender": "mini", "sha256": "{digest}"}}]')
    assert read_channel_keys(path) == {key_digest("secret"): ChannelCaller("app", "mini")}
    path.write_text('[{"channel": "app"}]')
    with pytest.raises(ValueError, match="sender"):
        read_channel_keys(path)


@pytest.mark.parametrize("subject", ["", "x" * 121, "a\nb", "a\0"])
def test_a_subject_can_stand_in_the_ledger(subject: str) -> None:
    with pytest.raises(ValueError, match="sub"):
        issue_token(KEY, subject, Role.OPERATOR, None, NOW, timedelta(hours=1))
