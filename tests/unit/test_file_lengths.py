"""No file of ours is longer than a person reads at once."""

import subprocess
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
MOST_LINES: Final = 400


def test_no_python_file_is_longer_than_400_lines() -> None:
    tracked = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "*.py"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    files = [ROOT / name for name in tracked if name and (ROOT / name).exists()]
    assert len(files) > 100
    lines = {
        str(file.relative_to(ROOT)): len(file.read_text("utf-8").splitlines()) for file in files
    }
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}
