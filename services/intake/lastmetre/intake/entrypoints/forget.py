"""The tool `forget`: contacts and texts of reports are erased from the vault.

Of one reporter, as he may ask (PIPL article 47), or of all reports that are at their end and older
than the city may keep them. Of a case that was made of several people's reports it has to be said
whose: by the end of his phone, or by the report's id. May be repeated and interrupted, and intake
may run. What backups and the broker's last files hold ends with them.
"""

import argparse
import asyncio
import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from lastmetre.common.case_numbers import read_case_number
from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.common.service.starting import saying_what_is_wrong
from lastmetre.intake.application.forget_reports import (
    ForgetOldReports,
    ForgetReport,
    Forgotten,
    SeveralReporters,
)
from lastmetre.intake.settings import DatabaseSettings, VaultSettings


async def _run(arguments: argparse.Namespace) -> Forgotten | None:
    settings = DatabaseSettings()
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    try:
        if arguments.older_than_days is not None:
            before = datetime.now(UTC) - timedelta(days=arguments.older_than_days)
            return await ForgetOldReports(connection, dry_run=arguments.dry_run)(before)
        forget = ForgetReport(connection, dry_run=arguments.dry_run)
        if arguments.report is not None:
            return await forget([arguments.report])
        number = read_case_number(arguments.number) or ""
        if arguments.phone_ends is None:
            return await forget.of_case(number)
        return await forget.of_phone(number, arguments.phone_ends, VaultSettings().vault())
    finally:
        await connection.close()


def _whose(error: SeveralReporters) -> dict[str, Any]:
    """The reports among which somebody has to choose."""
    return {
        "reports": 0,
        "whose": [
            {
                "report_id": str(each.report_id),
                "channel": each.channel,
                "reported_at": each.reported_at.isoformat(timespec="seconds"),
            }
            for each in error.reports
        ],
    }


def main() -> int:
    """Exit code: 0 done, 1 there is no such report, several, or it cannot be done, 2 usage."""
    parser = argparse.ArgumentParser(
        prog="python -m lastmetre.intake.entrypoints.forget",
        description=(__doc__ or "").split("\n", 1)[0],
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--report", type=UUID, metavar="ID")
    which.add_argument("--number", help="the case's number")
    parser.add_argument(
        "--phone-ends",
        metavar="DIGITS",
        help="with --number: of its reports those from the phone that ends in these four digits",
    )
    which.add_argument("--older-than-days", type=int, metavar="DAYS")
    parser.add_argument("--dry-run", action="store_true", help="count only, erase nothing")
    parser.add_argument("--json", action="store_true", help="one document on stdout")
    arguments = parser.parse_args()
    if arguments.phone_ends is not None and arguments.number is None:
        parser.error("--phone-ends goes with --number")
    code = 0
    try:
        done = asyncio.run(_run(arguments))
        if done is None:
            sys.stderr.write("there is no such report\n")
            return 1
        document = asdict(done)
    except SeveralReporters as error:
        document, code = _whose(error), 1
    except DATABASE_ERRORS as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    said = "".join(f"{name}: {value}\n" for name, value in document.items())
    sys.stdout.write(json.dumps(document) + "\n" if arguments.json else said)
    return code


if __name__ == "__main__":
    sys.exit(saying_what_is_wrong("forget", main))
