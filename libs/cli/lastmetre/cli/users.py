"""`lastmetre users`: staff with passwords, for a city without an identity provider."""

from typing import Annotated, Any, Final

import typer
from pydantic import TypeAdapter, ValidationError

from lastmetre.cli.console import STDOUT, Trouble, UsedWrongly, print_document, say
from lastmetre.cli.service_tool import run_tool
from lastmetre.common.contracts.base import Code
from lastmetre.common.security.callers import STAFF, Role

app = typer.Typer(help="Staff who sign in with a password and a code.", no_args_is_help=True)

_NAME: Final[TypeAdapter[str]] = TypeAdapter(Code)


def _name(given: str | None) -> str | None:
    """One that can stand in the ledger."""
    try:
        return None if given is None else _NAME.validate_python(given)
    except ValidationError:
        raise typer.BadParameter("1 to 120 characters, none of them a control character.") from None


def _role(given: str) -> Role:
    """One that a person can have."""
    if given not in STAFF:
        raise typer.BadParameter(f"{given!r} is not one of {', '.join(STAFF)}.")
    return Role(given)


Subject = Annotated[
    str,
    typer.Argument(callback=_name, help="The user's name: as he stands in the ledger, for ever."),
]
Roles = Annotated[
    list[Role],
    typer.Option(
        "--role",
        parser=_role,
        metavar="|".join(STAFF),
        help="What he is; several are possible, the first one preferred.",
    ),
]
LeadId = Annotated[str | None, typer.Option(callback=_name, help="Which lead, with --role lead.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, do nothing.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


_REFUSED: Final = {
    "exists": (
        "There is a user {} already.",
        "`lastmetre users list` shows him; `set-roles` changes what he is, `set-password` and"
        " `reset-codes` let him in again. Another person needs another name.",
    ),
    "unknown": ("There is no user {}.", "`lastmetre users list` shows all."),
}


def _of_roles(roles: list[Role], lead_id: str | None) -> list[str]:
    if (lead_id is not None) != (Role.LEAD in roles):
        raise UsedWrongly(
            "--lead-id belongs to --role lead, and only there.", "`--role lead --lead-id L017`."
        )
    lead = [f"--lead-id={lead_id}"] if lead_id else []
    return [*(f"--role={each.value}" for each in roles), *lead]


def _run(arguments: list[str], *, dry_run: bool, as_json: bool) -> dict[str, Any] | None:
    """What the tool says; None if it was printed already."""
    wanted = [*(["--dry-run"] if dry_run else []), *arguments]
    document = run_tool("intake", "users", "users", wanted)
    if (refused := document.get("refused")) is not None:
        problem, way_out = _REFUSED[refused]
        raise Trouble(problem.format(document["subject"]), way_out)
    if as_json:
        print_document(document)
        return None
    return document


def _tell(document: dict[str, Any]) -> None:
    """What the user is given: shown this once."""
    if document["dry_run"]:
        return
    if document["password"]:
        STDOUT.print(f"password: {document['password']}", markup=False, soft_wrap=True)
        say("It is good for three days: he changes it at /sign-in.")
    if document["code_secret"]:
        STDOUT.print(f"codes: {document['code_secret']}", markup=False, soft_wrap=True)
        STDOUT.print(document["code_address"], markup=False, soft_wrap=True)
        say("His authenticator takes the one or the other. Both are shown this once.")


def _changed(document: dict[str, Any] | None, done: str) -> None:
    if document is None:
        return
    would = "would be " if document["dry_run"] else ""
    say(f"{document['subject']} {would}{done}; sessions that {would}ended: {document['sessions']}")
    _tell(document)


@app.command()
def add(
    subject: Subject,
    role: Roles,
    lead_id: LeadId = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Add a user. Prints his first password and the secret of his codes, once.

    Of several roles he acts in the first one where several may; he can change that. Which areas a
    lead has, the network says: `lastmetre network`.

    Examples:

        lastmetre users add zhou.lin --role operator --role supervisor
        lastmetre users add li.min --role lead --lead-id L017
    """
    asked = [*_of_roles(role, lead_id), "--", "add", subject]
    document = _run(asked, dry_run=dry_run, as_json=as_json)
    if document is not None:
        say(f"{subject} {'could be' if dry_run else 'is'} added")
        _tell(document)


@app.command()
def set_roles(
    subject: Subject,
    role: Roles,
    lead_id: LeadId = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Give him these roles in the place of those he has, and sign him out everywhere.

    Pages that are open know him in his old ones for ten minutes more at most.

    Examples:

        lastmetre users set-roles zhou.lin --role supervisor
        lastmetre users set-roles li.min --role lead --lead-id L018
    """
    asked = [*_of_roles(role, lead_id), "--", "set-roles", subject]
    _changed(_run(asked, dry_run=dry_run, as_json=as_json), "given these roles")


@app.command("list")
def list_users(as_json: AsJson = False) -> None:
    """Every user with his roles."""
    document = _run(["list"], dry_run=False, as_json=as_json)
    for user in document["users"] if document else []:
        roles = ", ".join(user["roles"]) + (f" ({user['lead_id']})" if user["lead_id"] else "")
        state = f", disabled {user['disabled_at']}" if user["disabled_at"] else ""
        first = user["first_password_ends"]
        state += f", first password until {first}" if first else ""
        STDOUT.print(f"{user['subject']}: {roles}{state}", markup=False, soft_wrap=True)


@app.command()
def disable(subject: Subject, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """He signs in no more, and is signed out everywhere. `enable` takes it back."""
    _changed(_run(["--", "disable", subject], dry_run=dry_run, as_json=as_json), "disabled")


@app.command()
def enable(subject: Subject, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """He may sign in again, with the password and codes that he had."""
    _changed(_run(["--", "enable", subject], dry_run=dry_run, as_json=as_json), "enabled")


@app.command()
def set_password(subject: Subject, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Give him a new first password, and sign him out everywhere. The one of before is gone."""
    document = _run(["--", "set-password", subject], dry_run=dry_run, as_json=as_json)
    _changed(document, "given a new password")


@app.command()
def reset_codes(subject: Subject, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Give him a new secret of codes (TOTP), as for a lost telephone. The old one is gone."""
    document = _run(["--", "reset-codes", subject], dry_run=dry_run, as_json=as_json)
    _changed(document, "given a new secret of codes")
