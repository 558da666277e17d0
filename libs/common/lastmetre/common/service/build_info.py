"""Which build runs: the package's version, and the revision that it was made from."""

import os
from importlib.metadata import version
from typing import Final, NamedTuple

REVISION_VARIABLE: Final = "LASTMETRE_REVISION"
"""Set by whoever builds an image, and by a development stack."""


class BuildInfo(NamedTuple):
    """`revision` is empty where nobody has said it."""

    version: str
    revision: str


def build_info(service: str) -> BuildInfo:
    """Of that service in this process."""
    return BuildInfo(version(f"lastmetre-{service}"), os.environ.get(REVISION_VARIABLE, ""))
