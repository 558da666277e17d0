"""Numbers of cases as people type them."""

from typing import Final

_DAY_DIGITS: Final = 6
_DIGITS: Final = range(10, 19)


def read_case_number(typed: str) -> str | None:
    """`261122-0001` from any spelling: full-width digits, any dash or none, spaces, a # in front.

    None if there are not the digits of a number.
    """
    digits = "".join(str(int(each)) for each in typed[:60] if each.isdecimal())
    if len(digits) not in _DIGITS:
        return None
    return f"{digits[:_DAY_DIGITS]}-{digits[_DAY_DIGITS:]}"
