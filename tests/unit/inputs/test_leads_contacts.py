"""Leads' contacts on their way into the vault: findings 6 and 7 of the inputs that went wrong."""

from typing import Any, cast

import pytest

from lastmetre.cli.client import ServiceClient
from lastmetre.cli.console import Trouble
from lastmetre.cli.network.command import Network, publish
from lastmetre.cli.network.leads import Lead
from lastmetre.common.contact import NO_PHONE, NO_TEXT_MESSAGES, SCIENTIFIC, ContactCheck, Reachable
from lastmetre.common.contracts.vault import LeadContactsSent
from lastmetre.common.service.host import ServiceHost
from lastmetre.intake.adapters.vault_cipher import Vault
from lastmetre.intake.application.give_contacts import KeepLeadContacts
from lastmetre.intake.application.read_vault import ReadVault
from lastmetre.intake.domain.vault_entries import VaultEntry


class NoDatabase:
    """Stands in for the host: whoever uses it fails."""


NOTHING = (cast("ServiceHost", NoDatabase()), Vault(b"k" * 32), ContactCheck("CN"))


def lead(lead_id: str, phone: str | None, email: str | None = "l1@city.example") -> Lead:
    name = {"zh": "白云", "en": "Bai Yun"}
    return Lead(lead_id, name, name, ("a",), phone, email, "zh")


async def test_6_the_vault_says_which_leads_contacts_are_of_no_use() -> None:
    phones = {"L1": "无", "L2": "1.39E+10", "L3": "010-62345678", "L4": "13800001111"}
    contacts = [lead(lead_id, phone).contact for lead_id, phone in phones.items()]
    sent = LeadContactsSent.model_validate({"contacts": contacts, "dry_run": True})
    answer = await KeepLeadContacts(*NOTHING)(sent)
    assert answer.kept == 0
    assert [(each.lead_id, each.message) for each in answer.remarks or ()] == [
        ("L1", NO_PHONE),
        ("L2", SCIENTIFIC),
        ("L3", NO_TEXT_MESSAGES),
    ]


@pytest.mark.parametrize(
    ("phone", "takes_texts"), [("+861062345678", False), ("+8613800001111", True), (None, False)]
)
def test_7_a_reporter_with_a_landline_gets_the_email(phone: str | None, takes_texts: bool) -> None:
    kept = VaultEntry(usable_phone=phone, usable_email="a@city.example")
    assert ReadVault(*NOTHING).ways(kept) == Reachable(phone, "a@city.example", takes_texts)


class Services:
    """Stands in for intake and dispatch: keeps what is sent, and remarks on the first lead."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.sent: list[tuple[str, Any]] = []
        self.refuses = refuses

    def send_internal(self, service: str, method: str, path: str, body: Any) -> Any:
        return self.send(service, method, path, body)

    def send(self, service: str, method: str, path: str, body: Any) -> Any:
        self.sent.append((service, body))
        if service == "intake":
            return {
                "kept": 1,
                "remarks": [{"lead_id": "L1", "field": "phone", "message": NO_PHONE}],
            }
        if self.refuses:
            raise Trouble("dispatch: 422, The outline of an area is not good")
        left = {"open_cases_left": {"lead-0101": 12}}
        return {"added": 0, "changed": 0, "removed": 0, "version": 1} | left


@pytest.mark.parametrize("dry_run", [True, False])
def test_6_the_import_warns_of_them_also_when_it_only_checks(dry_run: bool) -> None:
    services, first = Services(), lead("L1", "无")
    network = Network([], {}, [first], ["areas overlap"])
    answer = publish(cast("ServiceClient", services), network, dry_run=dry_run)
    areas, contact, cases = answer["warnings"]
    assert (areas, contact) == ("areas overlap", f"lead L1: phone: {NO_PHONE}")
    assert "12 open cases stay with lead-0101" in cases  # finding 18
    assert ("intake", {"contacts": [first.contact], "dry_run": dry_run}) in services.sent


def test_17_a_network_that_is_refused_changes_no_contact() -> None:
    services = Services(refuses=True)
    network = Network([], {}, [lead("L1", "13800001111")], [])
    with pytest.raises(Trouble):
        publish(cast("ServiceClient", services), network)
    assert [service for service, _ in services.sent] == ["dispatch"]
