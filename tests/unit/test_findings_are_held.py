"""Each finding in docs/security.md names tests that are there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`((?:unit|integration|contract|e2e)/)?([\w/]*?)(test_\w+\.py)(?:::(\w+))?`")


def test_the_tests_that_hold_the_findings_are_there() -> None:
    rows = (ROOT / "docs" / "security.md").read_text("utf-8").splitlines()
    findings = [row for row in rows if re.match(r"\| [HML]\d+ \|", row)]
    assert len(findings) == 4 + 9 + 14
    for row in findings:
        folder = ""
        for kind, inside, file, test in NAMED.findall(row):
            folder = f"{kind}{inside}" if kind else folder
            path = ROOT / "tests" / folder / file
            assert path.is_file(), f"{row.split('|')[1].strip()}: {path}"
            assert not test or f"def {test}(" in path.read_text("utf-8"), test
        open_ = "open:" in row or "below" in row or "pyproject" in row
        assert folder or open_ or "unit/importing" in row, row
