"""Who is known to a small application of a test."""

from collections.abc import Mapping, Sequence

from lastmetre.common.security.access_tokens import AccessTokenReader
from lastmetre.common.security.authenticator import CredentialAuthenticator, TokenReader
from lastmetre.common.security.callers import ChannelCaller
from lastmetre.common.security.tokens import DevelopmentTokens
from lastmetre.common.service.clock import Clock


def authenticator(
    token_key: bytes,
    *,
    service_keys: Mapping[str, Sequence[str]],
    channel_keys: Mapping[str, ChannelCaller],
    clock: Clock,
    old_token_keys: Sequence[bytes] = (),
    access_keys: Sequence[bytes] = (),
) -> CredentialAuthenticator:
    """Knows development tokens, and access tokens by their public keys."""
    readers: list[TokenReader] = [
        AccessTokenReader(access_keys, clock),
        DevelopmentTokens([token_key, *old_token_keys], clock),
    ]
    return CredentialAuthenticator(
        readers, service_keys=service_keys, channel_keys=channel_keys, by_link=True
    )
