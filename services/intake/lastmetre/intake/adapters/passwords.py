"""Passwords by Argon2id, codes by TOTP (RFC 6238), both of `cryptography`."""

import os
from typing import Final

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.twofactor import InvalidToken
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from lastmetre.intake.domain.staff_users import CODE_SECONDS

# OWASP, Password Storage Cheat Sheet: 19 MiB, two passes, one lane.
_MEMORY_KIB: Final = 19 * 1024
_PASSES: Final = 2
_LANES: Final = 1
_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 32
_DIGITS: Final = 6
CODE_SECRET_BYTES: Final = 20


def hash_of(password: str) -> str:
    """What is kept of a password, with its salt and costs (PHC string). Takes a tenth of a second
    and 19 MiB."""
    derive = Argon2id(
        salt=os.urandom(_SALT_BYTES),
        length=_HASH_BYTES,
        iterations=_PASSES,
        lanes=_LANES,
        memory_cost=_MEMORY_KIB,
    )
    return derive.derive_phc_encoded(_bytes(password))


def is_password(password: str, password_hash: str) -> bool:
    """Whether that is it; takes as long as `hash_of`."""
    try:
        Argon2id.verify_phc_encoded(_bytes(password), password_hash)
    except InvalidKey:
        return False
    return True


def is_code(code: str, secret: bytes, step: int) -> bool:
    """Whether that is the code of a time step."""
    try:
        _codes(secret).verify(code.encode("utf-8", "replace"), step * CODE_SECONDS)
    except InvalidToken:
        return False
    return True


def code_of(secret: bytes, step: int) -> str:
    """The code of a time step."""
    return _codes(secret).generate(step * CODE_SECONDS).decode()


def code_address(secret: bytes, subject: str, issuer: str) -> str:
    """What an authenticator's app is told (`otpauth://`)."""
    # Not every app reads a plus sign as a space.
    return _codes(secret).get_provisioning_uri(subject, issuer).replace("+", "%20")


def _codes(secret: bytes) -> TOTP:
    # SHA-1 is what every app knows; of an HMAC it is not broken.
    return TOTP(secret, _DIGITS, SHA1(), CODE_SECONDS)  # noqa: S303


def _bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogateescape")
