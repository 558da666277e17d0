"""No client of ours takes a proxy or a .netrc from its environment: they would see our keys."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]


def clients() -> Iterator[tuple[Path, ast.Call]]:
    for folder in ("libs", "services"):
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                    "httpx.Client", "httpx.AsyncClient",
                ):  # fmt: skip
                    yield file, node


def test_every_client_looks_at_no_environment() -> None:
    found = list(clients())
    assert len(found) >= 5
    for file, call in found:
        said = {each.arg: ast.unparse(each.value) for each in call.keywords}
        assert said.get("trust_env") == "False", f"{file.relative_to(ROOT)}:{call.lineno}"
