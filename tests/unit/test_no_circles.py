"""No file needs another one that needs it: the imports of all our packages form no circle."""

from collections.abc import Mapping, Set
from graphlib import CycleError, TopologicalSorter
from typing import Final

import grimp
import pytest

PACKAGES: Final = tuple(
    f"lastmetre.{name}"
    for name in (
        "common", "cli", "audit", "devstack", "intake", "dispatch", "notify", "metrics",
    )
)  # fmt: skip


def circle_in(imports: Mapping[str, Set[str]]) -> list[str]:
    """The modules of one circle, the first one again at the end; empty if there is none."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found
    return []


def test_imports_form_no_circle() -> None:
    # Imports under TYPE_CHECKING count: whoever reads a file has to know what it names.
    graph = grimp.build_graph(*PACKAGES, exclude_type_checking_imports=False, cache_dir=None)
    imports = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    assert len(imports) > 100
    circle = circle_in(imports)
    assert not circle, " needs ".join(reversed(circle))


@pytest.mark.parametrize(
    ("imports", "circle"),
    [
        ({"a": {"b", "c"}, "b": {"c"}}, set()),
        ({"a": {"b"}, "b": {"c"}, "c": {"b"}}, {"b", "c"}),
    ],
)
def test_a_circle_is_found(imports: Mapping[str, Set[str]], circle: set[str]) -> None:
    assert set(circle_in(imports)) == circle
