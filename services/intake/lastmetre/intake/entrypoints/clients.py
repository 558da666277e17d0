"""Who asks, as limits count him."""

from fastapi import Request

from lastmetre.intake.domain.attempts import client_of


def client_in(request: Request) -> str:
    """By the address that the connection, or a proxy that is believed, names."""
    return client_of(request.client.host if request.client else None)
