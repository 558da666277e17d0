"""What each channel calls the city's categories."""

from collections.abc import Mapping

from lastmetre.common.categories import UNKNOWN, Categories


class CategoryCodes:
    """The city's codes by what channels send. `mapped`: by channel (empty: any) and their name."""

    def __init__(
        self, categories: Categories, mapped: Mapping[tuple[str, str], str] | None = None
    ) -> None:
        self._categories = categories
        self._mapped = dict(mapped or {})

    def code(self, channel: str, sent: str | None) -> str:
        """The city's code for what `channel` sent, or `unknown`."""
        if sent is None:
            return UNKNOWN
        if sent in self._categories:
            return sent
        return self._mapped.get((channel, sent)) or self._mapped.get(("", sent)) or UNKNOWN
