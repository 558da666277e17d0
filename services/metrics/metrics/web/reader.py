"""One reader's words for a look at the board."""

from babel.support import NullTranslations

from common.web.wording import Wording
from metrics.board import Figures


class Reader:
    """The figures, and how to say them in the reader's language."""

    def __init__(self, figures: Figures, wording: Wording, translations: NullTranslations) -> None:
        self._f = figures
        self._w = wording
        self._t = translations

    def _(self, message: str, **values: object) -> str:
        return str(self._t.ugettext(message)) % values

    def ngettext(self, one: str, many: str, number: int) -> str:
        return str(self._t.ungettext(one, many, number)) % {"num": self._w.number(number)}

    def _length(self, seconds: float) -> str:
        return "\N{NO-BREAK SPACE}".join(self._w.quantity(seconds))
