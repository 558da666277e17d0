"""For whom a system that writes to `field.actions` may speak."""

from pathlib import Path
from uuid import UUID

import pytest
from tests.unit.dispatch.test_decide import IN_EAST, NETWORK, NOW, registered

from lastmetre.common.contracts.base import Actor, ActorRole
from lastmetre.common.contracts.requests import Action, ActionRequested
from lastmetre.dispatch.adapters.field_systems_file import read_field_systems
from lastmetre.dispatch.domain.commands import Command
from lastmetre.dispatch.domain.decide import decide
from lastmetre.dispatch.domain.decision import Decision, Refusal
from lastmetre.dispatch.domain.field_systems import FieldSystem, FieldSystems, source_named

LEAD, OPERATOR, ADMINISTRATOR = ActorRole.LEAD, ActorRole.OPERATOR, ActorRole.ADMINISTRATOR
NAMED = FieldSystems(
    {
        "/terminals/east": FieldSystem(frozenset({LEAD}), frozenset({"li"})),
        "/centre": FieldSystem(frozenset({OPERATOR})),
    }
)


@pytest.mark.parametrize(
    ("source", "role", "who", "objection"),
    [
        (None, LEAD, "li", None),
        ("/nobody/knows", LEAD, "li", None),
        ("/nobody/knows", OPERATOR, "zhou", "not_allowed_for_role"),
        ("/nobody/knows", ADMINISTRATOR, "forged", "not_allowed_for_role"),
        ("/nobody/knows", ActorRole.SYSTEM, None, "not_allowed_for_role"),
        ("/nobody/knows", ActorRole.RESIDENT, None, "not_allowed_for_role"),
        ("/terminals/east", LEAD, "li", None),
        ("/terminals/east", LEAD, "wang", "not_your_case"),
        ("/terminals/east", LEAD, None, "not_your_case"),
        ("/terminals/east", OPERATOR, "zhou", "not_allowed_for_role"),
        ("/centre", OPERATOR, "zhou", None),
        ("/centre", LEAD, "li", "not_allowed_for_role"),
    ],
)
def test_who_speaks_for_whom(
    source: str | None, role: ActorRole, who: str | None, objection: str | None
) -> None:
    assert NAMED.objection(source, Actor(role=role, id=who)) == objection


def test_the_ledger_says_which_system_asked() -> None:
    request = ActionRequested(
        case_id=UUID(int=1), action_id=UUID(int=2), action=Action.ACCEPT,
        actor=Actor(role=LEAD, id="li"), occurred_at=NOW,
    )  # fmt: skip
    command = Command(request, "", "/terminals/east")
    asked = decide(registered(IN_EAST).case, command, network=NETWORK, now=NOW)
    assert isinstance(asked, Decision)
    (accepted,) = asked.events
    assert accepted.model_dump()["action_source"] == "/terminals/east"


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (None, None),
        (b"", None),
        (b"/terminals/east", "/terminals/east"),
        (b"/a\x1b[2J\nb", "/a\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}b"),
        (b"\xff", "\N{REPLACEMENT CHARACTER}"),
        (b"x" * 1000, "x" * 120),
    ],
)
def test_a_source_can_be_printed(header: bytes | None, name: str | None) -> None:
    assert source_named(header) == name


def test_an_objection_is_the_answer() -> None:
    case = registered(IN_EAST).case
    request = ActionRequested(
        case_id=case.case_id, action_id=UUID(int=2), action=Action.PLACE,
        actor=Actor(role=OPERATOR, id="forged"), occurred_at=NOW, expected_seq=2, area_id="west",
    )  # fmt: skip

    command = Command(request, "", "/nobody/knows", "not_allowed_for_role")
    assert decide(case, command, network=NETWORK, now=NOW) == Refusal("not_allowed_for_role")


def test_the_file(tmp_path: Path) -> None:
    path = tmp_path / "field-systems.json"
    path.write_text('[{"source": "/terminals/east", "roles": ["lead"], "leads": ["li"]}]')
    read = read_field_systems(path)
    assert read.objection("/terminals/east", Actor(role=LEAD, id="wang")) == "not_your_case"
    assert read_field_systems(None).objection("/x", Actor(role=LEAD, id="wang")) is None


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '[{"source": "/a", "roles": ["mayor"]}]',
        '[{"source": "/a", "roles": ["system"]}]',
        '[{"source": "/a", "roles": ["resident"]}]',
        '[{"source": "/a", "roles": ["lead"], "lead": "li"}]',
        '[{"source": "/a", "roles": ["lead"]}, {"source": "/a", "roles": ["operator"]}]',
    ],
)
def test_a_file_that_is_wrong_stops_the_start(tmp_path: Path, text: str) -> None:
    path = tmp_path / "field-systems.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r".+"):
        read_field_systems(path)
