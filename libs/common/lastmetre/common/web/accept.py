"""Reads the headers by which a caller says what it would rather have (RFC 9110, 12.4.2)."""

from collections.abc import Iterator


def weighted(header: str) -> Iterator[tuple[str, float]]:
    """The entries of an Accept or Accept-Language header, lower case, with their weights."""
    for part in header.lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        yield name, next(map(_weight, (p for p in parameters if p.startswith("q="))), 1.0)


def _weight(parameter: str) -> float:
    try:
        return float(parameter[2:])
    except ValueError:
        return 0.0
