"""`lastmetre token` and `lastmetre channel-key`: ways in for people and for channels."""

import json
import secrets
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Annotated, Final

import typer

from lastmetre.cli.client import access_token, development_token
from lastmetre.cli.console import STDOUT, UsedWrongly, print_document, say
from lastmetre.cli.profile import Installation, installation
from lastmetre.common.contracts.base import Channel
from lastmetre.common.security.caller_keys import key_digest
from lastmetre.common.security.callers import TOKEN_PARAMETER, Role, StaffMember

LINK_LIFETIME: Final = timedelta(hours=12)
START_PAGES: Final[dict[Role, tuple[str, str]]] = {
    Role.LEAD: ("dispatch", "/work"),
    Role.OPERATOR: ("dispatch", "/centre"),
    Role.SUPERVISOR: ("metrics", "/board"),
    Role.ADMINISTRATOR: ("dispatch", "/centre"),
}
"""The service and the page where each role works."""


@dataclass(frozen=True)
class Credential:
    """A token of a role, and its page: in development with the token in the link."""

    role: str
    subject: str
    token: str
    url: str


def credential_of(
    installation: Installation, role: Role, lead_id: str | None, lifetime: timedelta
) -> Credential:
    """A development token and its link, where those are good; else an access token, which signs
    nobody in on a page. Raises ValueError for a lead without an id."""
    names = ("LASTMETRE_TOKEN_KEY", "INTAKE_ACCESS_KEY")
    key = installation.first(*names)
    if key is None:
        raise installation.missing("The key that signs tokens", *names)
    service, path = START_PAGES[role]
    if key.name == "INTAKE_ACCESS_KEY":
        subject = lead_id or f"command-{role.value}"
        staff = StaffMember(subject, (role,), lead_id)
        page = f"{installation.page_url(service)}{path}"
        return Credential(role.value, subject, access_token(key.value, staff, lifetime), page)
    subject = lead_id or f"demo-{role.value}"
    token = development_token(key.value, role, subject, lead_id, lifetime)
    url = f"{installation.page_url(service)}{path}?{TOKEN_PARAMETER}={token}"
    return Credential(role.value, subject, token, url)


def token(
    role: Annotated[Role, typer.Option(help="What the holder is.")],
    lead_id: Annotated[str | None, typer.Option(help="Which lead; needed for a lead.")] = None,
    hours: Annotated[float, typer.Option(min=0.01, max=12, help="Good for so long.")] = 12,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """A token, signed with the installation's own key, and where it is good.

    On a development stack the page's link signs in with it. In production it is for programs alone
    (`Authorization: Bearer`), and for whoever may read intake's key; people sign in on the page.

    Examples:

        lastmetre token --role supervisor
        lastmetre token --role lead --lead-id L01
    """
    if (role is Role.LEAD) != (lead_id is not None):
        raise UsedWrongly(
            "--lead-id belongs to --role lead, and only there.", "`--role lead --lead-id L01`."
        )
    credential = credential_of(installation(), role, lead_id, timedelta(hours=hours))
    if as_json:
        print_document(asdict(credential))
    else:
        STDOUT.print(credential.token, soft_wrap=True)
        STDOUT.print(credential.url, soft_wrap=True)


def channel_key(
    channel: Annotated[Channel, typer.Option(help="What the key opens.")],
    sender: Annotated[str, typer.Option(help="Whose key: part of each report's identity.")],
    history: Annotated[
        bool,
        typer.Option("--history", help="It may send reports of long ago (`lastmetre import`)."),
    ] = False,
    mapping: Annotated[
        str | None,
        typer.Option(help="Reads the sender's own form: a file of intake's, without `.yaml`."),
    ] = None,
) -> None:
    """A new random key for a channel: shown once, and kept nowhere but by its sender.

    The first line is the key. The second one is what intake has to know of it: add it to the list
    in the file that INTAKE_CHANNEL_KEYS_FILE names, and restart intake.

    Example:

        lastmetre channel-key --channel app --sender city-app
        lastmetre channel-key --channel patrol --sender grid-east --mapping grid-east
    """
    if not sender.strip() or not sender.isprintable():
        raise UsedWrongly("--sender needs a name of printable letters.")
    if history and mapping is not None:
        raise UsedWrongly(
            "A key with a mapping sends no history.", "`lastmetre import` with a key of its own."
        )
    key = secrets.token_urlsafe(32)
    entry = {"channel": channel.value, "sender": sender, "sha256": key_digest(key)}
    more = ({"history": True} if history else {}) | ({"mapping": mapping} if mapping else {})
    STDOUT.print(key, soft_wrap=True)
    STDOUT.print(json.dumps(entry | more, ensure_ascii=False), markup=False, soft_wrap=True)
    say("The key is shown this once. The line with its SHA-256 belongs into intake's file of keys.")
