"""Sign-ins of staff (table `staff_session`)."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from lastmetre.common.security.callers import Role, StaffMember
from lastmetre.intake.domain.staff_sessions import AtProvider, SignedInBy, StaffSession

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection

_COLUMNS: Final = """session_id, subject, roles, lead_id, signed_in_by, browser, provider_subject,
    provider_session, begun_at, used_at, idle_ends_at, ends_at, revoked_at, registered_by"""


async def put(connection: "Connection", session: StaffSession, secret_digest: bytes) -> None:
    """Keep a new session, to be found by the digest of its secret."""
    at_provider = session.at_provider
    await connection.execute(
        f"""
        INSERT INTO staff_session ({_COLUMNS}, secret_digest)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
        """,  # noqa: S608 - our own columns
        session.session_id,
        session.staff.subject,
        list(session.staff.roles),
        session.staff.lead_id,
        session.signed_in_by,
        session.browser,
        at_provider.subject if at_provider else None,
        at_provider.session if at_provider else None,
        session.begun_at,
        session.used_at,
        session.idle_ends_at,
        session.ends_at,
        session.revoked_at,
        session.registered_by,
        secret_digest,
    )


async def by_secret(connection: "Connection", secret_digest: bytes) -> StaffSession | None:
    """The session with that secret, whether it goes on or not."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM staff_session WHERE secret_digest = $1",  # noqa: S608
        secret_digest,
    )
    return _session(row) if row else None


async def of_person(connection: "Connection", staff: StaffMember) -> list[StaffSession]:
    """His sessions that nobody has revoked, as a lead those of his devices too; newest first. A
    screen of his name is not his, nor is the device of a lead whose id is his name."""
    rows = await connection.fetch(
        f"""
        SELECT {_COLUMNS} FROM staff_session
        WHERE (subject = $1 AND signed_in_by <> $5 OR lead_id = $2) AND (signed_in_by = $3) = $4
            AND revoked_at IS NULL
        ORDER BY begun_at DESC
        """,  # noqa: S608
        staff.subject,
        staff.lead_id,
        SignedInBy.DISPLAY,
        Role.DISPLAY in staff.roles,
        SignedInBy.LINK,
    )
    return [_session(row) for row in rows]


async def displays(connection: "Connection") -> list[StaffSession]:
    """Those of screens that nobody has revoked, by name."""
    rows = await connection.fetch(
        f"""
        SELECT {_COLUMNS} FROM staff_session
        WHERE signed_in_by = $1 AND revoked_at IS NULL ORDER BY subject, begun_at
        """,  # noqa: S608
        SignedInBy.DISPLAY,
    )
    return [_session(row) for row in rows]


async def open_display(
    connection: "Connection", session: StaffSession, link_digest: bytes, secret_digest: bytes
) -> bool:
    """Keep that its link was opened, and another secret in its place; False if it was before."""
    opened = await connection.fetchval(
        """
        UPDATE staff_session SET secret_digest = $3, browser = $4, used_at = $5, idle_ends_at = $6
        WHERE session_id = $1 AND secret_digest = $2 AND revoked_at IS NULL RETURNING session_id
        """,
        session.session_id,
        link_digest,
        secret_digest,
        session.browser,
        session.used_at,
        session.idle_ends_at,
    )
    return opened is not None


async def at_provider(connection: "Connection", ended: AtProvider) -> list[UUID]:
    """The sessions that began with that sign-in; without its session those of all of his."""
    rows = await connection.fetch(
        """
        SELECT session_id FROM staff_session
        WHERE provider_subject = $1 AND ($2::text IS NULL OR provider_session = $2)
            AND revoked_at IS NULL
        """,
        ended.subject,
        ended.session,
    )
    return [row[0] for row in rows]


async def keep_use(connection: "Connection", session: StaffSession) -> bool:
    """Keep when it was used, its end, and the order of roles. False if it was revoked meanwhile."""
    kept = await connection.fetchval(
        """
        UPDATE staff_session SET used_at = $2, idle_ends_at = $3, roles = $4
        WHERE session_id = $1 AND revoked_at IS NULL RETURNING session_id
        """,
        session.session_id,
        session.used_at,
        session.idle_ends_at,
        list(session.staff.roles),
    )
    return kept is not None


async def revoke(connection: "Connection", session_ids: Sequence[UUID], now: datetime) -> int:
    """End these sessions for good; how many went on until now."""
    rows = await connection.fetch(
        """
        UPDATE staff_session SET revoked_at = $2
        WHERE session_id = ANY($1::uuid[]) AND revoked_at IS NULL RETURNING session_id
        """,
        session_ids,
        now,
    )
    return len(rows)


async def forget_before(connection: "Connection", moment: datetime) -> None:
    """Drop sessions whose last possible end was before then."""
    await connection.execute("DELETE FROM staff_session WHERE ends_at < $1", moment)


def _session(row: Any) -> StaffSession:
    subject = row["provider_subject"]
    return StaffSession(
        session_id=row["session_id"],
        staff=StaffMember(row["subject"], tuple(map(Role, row["roles"])), row["lead_id"]),
        signed_in_by=SignedInBy(row["signed_in_by"]),
        browser=row["browser"],
        at_provider=AtProvider(subject, row["provider_session"]) if subject else None,
        begun_at=row["begun_at"],
        used_at=row["used_at"],
        idle_ends_at=row["idle_ends_at"],
        ends_at=row["ends_at"],
        revoked_at=row["revoked_at"],
        registered_by=row["registered_by"],
    )
