"""Staff with passwords (table `staff_user`)."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from lastmetre.common.security.callers import Role, StaffMember
from lastmetre.intake.domain.staff_users import StaffUser

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection

_COLUMNS: Final = """subject, roles, lead_id, password_hash, codes_sealed, last_step, added_at,
    first_password_ends, disabled_at"""


async def put(connection: "Connection", user: StaffUser) -> bool:
    """Keep a new one; False if there is one of that name already."""
    kept = await connection.fetchval(
        f"""
        INSERT INTO staff_user ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        ON CONFLICT (subject) DO NOTHING RETURNING subject
        """,  # noqa: S608 - our own columns
        user.staff.subject,
        list(user.staff.roles),
        user.staff.lead_id,
        user.password_hash,
        user.codes_sealed,
        user.last_step,
        user.added_at,
        user.first_password_ends,
        user.disabled_at,
    )
    return kept is not None


async def find(connection: "Connection", subject: str) -> StaffUser | None:
    """The one of that name."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM staff_user WHERE subject = $1",  # noqa: S608
        subject,
    )
    return _user(row) if row else None


async def everybody(connection: "Connection") -> Sequence[StaffUser]:
    """All of them by name."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM staff_user ORDER BY subject"  # noqa: S608
    )
    return [_user(row) for row in rows]


async def set_password(
    connection: "Connection", subject: str, password_hash: str, first_ends: datetime | None
) -> None:
    """Another password; `first_ends` if he has not chosen it himself."""
    await connection.execute(
        "UPDATE staff_user SET password_hash = $2, first_password_ends = $3 WHERE subject = $1",
        subject,
        password_hash,
        first_ends,
    )


async def set_roles(connection: "Connection", staff: StaffMember) -> None:
    """Other roles, and as a lead another id or none."""
    await connection.execute(
        "UPDATE staff_user SET roles = $2, lead_id = $3 WHERE subject = $1",
        staff.subject,
        list(staff.roles),
        staff.lead_id,
    )


async def set_codes(connection: "Connection", subject: str, sealed: bytes) -> None:
    """Another secret of codes."""
    await connection.execute(
        "UPDATE staff_user SET codes_sealed = $2, last_step = 0 WHERE subject = $1",
        subject,
        sealed,
    )


async def set_disabled(connection: "Connection", subject: str, since: datetime | None) -> None:
    """Disabled since then, or enabled again."""
    await connection.execute(
        "UPDATE staff_user SET disabled_at = $2 WHERE subject = $1", subject, since
    )


async def spend_step(connection: "Connection", subject: str, step: int) -> bool:
    """Use up the code of a time step, and of those before; False if it is used up already."""
    spent = await connection.fetchval(
        """
        UPDATE staff_user SET last_step = $2 WHERE subject = $1 AND last_step < $2
        RETURNING last_step
        """,
        subject,
        step,
    )
    return spent is not None


def _user(row: Any) -> StaffUser:
    return StaffUser(
        staff=StaffMember(row["subject"], tuple(map(Role, row["roles"])), row["lead_id"]),
        password_hash=row["password_hash"],
        codes_sealed=row["codes_sealed"],
        last_step=row["last_step"],
        added_at=row["added_at"],
        first_password_ends=row["first_password_ends"],
        disabled_at=row["disabled_at"],
    )
