"""`lastmetre migrate`: the databases' tables as this build needs them."""

import asyncio
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Annotated, Any, Final

import asyncpg
import structlog
import typer

from lastmetre.cli.console import STDOUT, Trouble, UsedWrongly, print_document, working
from lastmetre.cli.profile import installation
from lastmetre.common.contracts.topics import SERVICES
from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.common.postgres.migrate import (
    Migration,
    MigrationRefused,
    pending,
)
from lastmetre.common.postgres.migrate import (
    migrate as apply_migrations,
)

CORE: Final = "common.runtime"


def migrate(
    service: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only this service's database; may be repeated."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show only, change nothing.")] = False,
    contract: Annotated[
        bool, typer.Option("--contract", help="Remove what only older builds need, too.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Bring the databases of the services to what this build needs.

    Services do the same at their start. They only add: builds of before go on beside this one.
    What those alone need is removed by `--contract`; say it once no older build runs and none will
    be gone back to, for it would refuse to start.

    The databases are named by INTAKE_DATABASE_URL and so on; the packages of the services have to
    be installed here. Exits with 1 if a dry run finds something to be done, or if a database and
    this build do not go together.

    Examples:

        lastmetre migrate --dry-run
        lastmetre migrate --service intake
        lastmetre migrate --contract
    """
    # What is applied is logged, and a document may stand alone on stdout.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    chosen = _checked(service or list(SERVICES))
    databases = {each: installation().database(each) for each in chosen}
    found: list[dict[str, Any]] = []
    for name, url in databases.items():
        with working(f"migrating {name}"):
            found.append(_one(name, url, dry_run=dry_run, contract=contract))
    if as_json:
        print_document({"dry_run": dry_run, "contract": contract, "services": found})
    else:
        _say(found)
    if dry_run and any(each["to_apply"] for each in found):
        raise Trouble("Migrations have not been applied.", "`lastmetre migrate` applies them.")


def _checked(services: Sequence[str]) -> list[str]:
    for each in services:
        if each not in SERVICES:
            raise UsedWrongly(f"There is no service {each!r}.", f"one of {', '.join(SERVICES)}.")
        if find_spec(f"lastmetre.{each}") is None:
            raise Trouble(
                f"The package of {each} is not installed here, so its tables are not known.",
                f"install lastmetre-{each}, or name the services that are installed by --service.",
            )
    return list(dict.fromkeys(services))


def _one(service: str, url: str, *, dry_run: bool, contract: bool) -> dict[str, Any]:
    packages = (CORE, service)
    try:
        waiting = asyncio.run(pending(url, packages))
        applied = 0 if dry_run else asyncio.run(apply_migrations(url, packages, contract=contract))
        left = waiting if dry_run else asyncio.run(pending(url, packages))
    except MigrationRefused as error:
        raise Trouble(f"{service}: {error}.") from error
    except DATABASE_ERRORS as error:
        raise Trouble(
            f"{service}: {_reason(error)}.",
            "`lastmetre status` shows what answers; a table that is in use can be tried again.",
        ) from error
    return {
        "service": service,
        "applied": applied,
        "to_apply": [_name(each) for each in left if contract or not each.contracts],
        "contracting": [_name(each) for each in left if each.contracts],
    }


def _reason(error: BaseException) -> str:
    # Without the message: it may hold a value of a row.
    state = f", SQLSTATE {error.sqlstate}" if isinstance(error, asyncpg.PostgresError) else ""
    return f"the database cannot be migrated ({type(error).__name__}{state})"


def _name(migration: Migration) -> str:
    return f"{migration.package}/{migration.file}"


def _say(found: Sequence[dict[str, Any]]) -> None:
    for each in found:
        STDOUT.print(f"{each['service']}: {each['applied']} applied", markup=False)
        for name in each["to_apply"]:
            STDOUT.print(f"  to be applied: {name}", markup=False, soft_wrap=True)
        for name in each["contracting"]:
            if name not in each["to_apply"]:
                STDOUT.print(f"  only by --contract: {name}", markup=False, soft_wrap=True)
