"""The tool `reseal`: every sealed value under the present vault key."""

import argparse
import asyncio
import json
import sys

import asyncpg

from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.common.service.starting import saying_what_is_wrong
from lastmetre.intake.application.reseal_vault import Outcome, ResealVault
from lastmetre.intake.settings import ResealSettings


async def _run(settings: ResealSettings, *, dry_run: bool) -> Outcome:
    dsn = settings.database_url.get_secret_value()
    reading = await asyncpg.connect(dsn)
    try:
        writing = await asyncpg.connect(dsn)
        try:
            return await ResealVault(reading, writing, settings.vault(), dry_run=dry_run)()
        finally:
            await writing.close()
    finally:
        await reading.close()


def main() -> int:
    """Exit code: 0 nothing needs an old key any more, 1 something does, 2 usage."""
    parser = argparse.ArgumentParser(
        prog="python -m lastmetre.intake.entrypoints.reseal",
        description=(__doc__ or "").split("\n", 1)[0],
    )
    parser.add_argument("--dry-run", action="store_true", help="count only, change nothing")
    parser.add_argument("--json", action="store_true", help="one document on stdout")
    arguments = parser.parse_args()
    try:
        outcome = asyncio.run(_run(ResealSettings(), dry_run=arguments.dry_run))
    except DATABASE_ERRORS as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    if arguments.json:
        sys.stdout.write(json.dumps(outcome.document()) + "\n")
    else:
        for name, each in outcome.columns.items():
            sys.stdout.write(
                f"{name}: {each.values} values, {each.sealed_anew} sealed anew,"
                f" {each.changed_meanwhile} changed meanwhile, {each.damaged} damaged\n"
            )
    return 0 if outcome.ok else 1


if __name__ == "__main__":
    sys.exit(saying_what_is_wrong("reseal", main))
