"""The tool `users`: staff who sign in with passwords, where there is no identity provider."""

import argparse
import asyncio
import json
import os
import sys
from typing import Any, Final

import asyncpg
from pydantic import TypeAdapter, ValidationError

from lastmetre.common.contracts.base import Code
from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.common.security.callers import STAFF, Role, StaffMember
from lastmetre.common.service.clock import RealClock
from lastmetre.common.service.starting import saying_what_is_wrong
from lastmetre.intake.application.staff_users import Given, NoSuchUser, StaffUsers, UserExists
from lastmetre.intake.domain.staff_users import StaffUser
from lastmetre.intake.settings import UsersSettings

_CODE: TypeAdapter[str] = TypeAdapter(Code)
_WITH_ROLES: Final = frozenset({"add", "set-roles"})


async def _run(arguments: argparse.Namespace) -> dict[str, Any]:
    settings = UsersSettings()
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    try:
        users = StaffUsers(
            connection,
            settings.vault(),
            RealClock(),
            os.urandom,
            f"Lastmetre {settings.city_name_en}",
            dry_run=arguments.dry_run,
        )
        if arguments.action == "list":
            return {"users": [_document(each) for each in await users.everybody()]}
        given = await _change(users, arguments)
        return {"subject": arguments.subject, "dry_run": arguments.dry_run, **given._asdict()}
    finally:
        await connection.close()


async def _change(users: StaffUsers, arguments: argparse.Namespace) -> Given:
    subject: str = arguments.subject
    if arguments.action in _WITH_ROLES:
        roles = tuple(dict.fromkeys(map(Role, arguments.role)))
        staff = StaffMember(subject, roles, arguments.lead_id)
        return await (users.add if arguments.action == "add" else users.set_roles)(staff)
    changes = {
        "disable": users.disable,
        "enable": users.enable,
        "set-password": users.set_password,
        "reset-codes": users.reset_codes,
    }
    return await changes[arguments.action](subject)


def _document(user: StaffUser) -> dict[str, Any]:
    ends, disabled = user.first_password_ends, user.disabled_at
    return {
        "subject": user.staff.subject,
        "roles": [role.value for role in user.staff.roles],
        "lead_id": user.staff.lead_id,
        "added_at": user.added_at.isoformat(timespec="seconds"),
        "first_password_ends": ends.isoformat(timespec="seconds") if ends else None,
        "disabled_at": disabled.isoformat(timespec="seconds") if disabled else None,
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m lastmetre.intake.entrypoints.users",
        description=(__doc__ or "").split("\n", 1)[0],
    )
    parser.add_argument("--json", action="store_true", help="one document on stdout, always")
    parser.add_argument(
        "action",
        choices=[
            "add", "list", "set-roles", "disable", "enable", "set-password", "reset-codes",
        ],
    )  # fmt: skip
    parser.add_argument("subject", nargs="?", help="his name in the ledger, for ever")
    parser.add_argument(
        "--role", action="append", choices=[role.value for role in STAFF], default=[]
    )
    parser.add_argument("--lead-id")
    parser.add_argument("--dry-run", action="store_true", help="change nothing")
    arguments = parser.parse_args()
    if (arguments.action == "list") != (arguments.subject is None):
        parser.error("every action but list is about one name")
    if (arguments.action in _WITH_ROLES) != bool(arguments.role):
        parser.error("--role belongs to add and set-roles, one at least")
    if (arguments.lead_id is not None) != (Role.LEAD.value in arguments.role):
        parser.error("--lead-id belongs to --role lead, and only there")
    for name in filter(None, (arguments.subject, arguments.lead_id)):
        try:
            _CODE.validate_python(name)
        except ValidationError:
            parser.error("a name has up to 120 printable characters")
    return arguments


def main() -> int:
    """Exit code: 0 done, 1 refused (`refused` says as what) or the database is away, 2 usage."""
    arguments = _arguments()
    try:
        document = asyncio.run(_run(arguments))
    except NoSuchUser:
        document = {"subject": arguments.subject, "refused": "unknown"}
    except UserExists:
        document = {"subject": arguments.subject, "refused": "exists"}
    except DATABASE_ERRORS as error:
        sys.stderr.write(f"intake's database: {type(error).__name__} {error}\n")
        return 1
    sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
    return 1 if "refused" in document else 0


if __name__ == "__main__":
    sys.exit(saying_what_is_wrong("users", main))
