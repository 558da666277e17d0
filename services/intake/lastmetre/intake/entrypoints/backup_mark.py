"""The tool `backup_mark`: how far the channels' topics may be trimmed, since a backup has it.

`--read` says how far the channels are read, before a backup is begun. `--confirm` notes that of a
backup that was verified; an older one than was confirmed changes nothing.
"""

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import asyncpg
from pydantic import AwareDatetime, BaseModel, ValidationError

from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.common.service.starting import saying_what_is_wrong
from lastmetre.intake.application.confirm_backup import ConfirmBackup
from lastmetre.intake.domain.read_position import ReadPosition
from lastmetre.intake.settings import DatabaseSettings


class Mark(BaseModel):
    """A verified backup."""

    name: str
    begun_at: AwareDatetime
    read_positions: list[ReadPosition]


async def _run(mark: Mark | None) -> dict[str, Any]:
    settings = DatabaseSettings()
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    try:
        use = ConfirmBackup(connection)
        if mark is None:
            return {"read_positions": [each._asdict() for each in await use.read_positions()]}
        return {"confirmed": await use(mark.name, mark.begun_at, mark.read_positions)}
    finally:
        await connection.close()


def main() -> int:
    """Exit code: 0 done, 1 it cannot be done, 2 usage."""
    parser = argparse.ArgumentParser(
        prog="python -m lastmetre.intake.entrypoints.backup_mark",
        description=(__doc__ or "").split("\n", 1)[0],
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--read", action="store_true", help="how far the channels are read")
    which.add_argument("--confirm", type=Path, metavar="FILE", help="of a verified backup, JSON")
    parser.add_argument("--json", action="store_true", help="one document on stdout, as always")
    arguments = parser.parse_args()
    try:
        mark = None
        if arguments.confirm is not None:
            mark = Mark.model_validate_json(arguments.confirm.read_bytes())
        document = asyncio.run(_run(mark))
    except (OSError, ValidationError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except DATABASE_ERRORS as error:
        sys.stderr.write(f"intake's database: {type(error).__name__}\n")
        return 1
    sys.stdout.write(json.dumps(document, default=str) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(saying_what_is_wrong("backup_mark", main))
