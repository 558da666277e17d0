"""Marks texts in Python code that a template translates later."""


def N_(message: str) -> str:  # noqa: N802 - the name gettext's tools look for
    """The message itself; the marking puts it into the catalogue."""
    return message
