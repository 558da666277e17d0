#!/usr/bin/python3
"""Stands in for pg_verifybackup, which crashes in PyPI's PostgreSQL 18: every file, by its size."""

import json
import sys
from pathlib import Path

folder = Path(sys.argv[-1])
manifest = json.loads((folder / "backup_manifest").read_text("utf-8"))
wrong = [
    each["Path"]
    for each in manifest["Files"]
    if not (folder / each["Path"]).is_file()
    or (folder / each["Path"]).stat().st_size != each["Size"]
]
sys.exit(f"wrong: {', '.join(wrong)}" if wrong else 0)
