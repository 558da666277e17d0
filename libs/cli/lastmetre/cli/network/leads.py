"""Leads from CSV: who answers for which areas, and how to reach them."""

import csv
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final

from lastmetre.cli.network.findings import Findings

COLUMNS: Final = "lead_id, area_ids (or area_id), name_zh, name_en, post_zh, post_en, phone, email"


@dataclass(frozen=True)
class Lead:
    """Name and post are published; phone and e-mail go to the vault and nowhere else."""

    lead_id: str
    name: dict[str, str]
    post: dict[str, str]
    area_ids: tuple[str, ...]
    phone: str | None
    email: str | None
    language: str

    @property
    def published(self) -> dict[str, Any]:
        """What dispatch keeps."""
        return {"lead_id": self.lead_id, "name": self.name, "post": self.post}

    @property
    def contact(self) -> dict[str, Any]:
        """What intake's vault keeps."""
        return {
            "lead_id": self.lead_id,
            "phone": self.phone,
            "email": self.email,
            "language": self.language,
        }


def read_leads(lines: Iterable[str], findings: Findings) -> list[Lead]:
    """The leads of a CSV file with a header; several areas are separated by `;`."""
    leads: dict[str, Lead] = {}
    reader = csv.DictReader(lines)
    for row in reader:
        where = f"leads, line {reader.line_num}"
        try:
            lead = _read({name: (text or "").strip() for name, text in row.items() if name})
        except ValueError as error:
            findings.errors.append(f"{where}: {error}")
            continue
        if lead.lead_id in leads:
            findings.errors.append(f"{where}: the lead {lead.lead_id!r} is there twice")
            continue
        if not (lead.phone or lead.email):
            findings.warnings.append(f"lead {lead.lead_id} cannot be reached: no phone, no e-mail")
        leads[lead.lead_id] = lead
    if not leads and not findings.errors:
        findings.errors.append(f"the file of leads holds none; its columns are {COLUMNS}")
    return list(leads.values())


def _read(row: dict[str, str]) -> Lead:
    """Raises ValueError with what is missing."""
    areas = row.get("area_ids") or row.get("area_id") or ""
    area_ids = tuple(part.strip() for part in areas.split(";") if part.strip())
    language = row.get("language") or "zh"
    if not row.get("lead_id") or not area_ids:
        raise ValueError(f"no lead_id or no area_ids; the columns are {COLUMNS}")
    if language not in ("zh", "en"):
        raise ValueError(f"the language is zh or en, not {language!r}")
    return Lead(
        lead_id=row["lead_id"],
        name=_local(row, "name"),
        post=_local(row, "post"),
        area_ids=area_ids,
        phone=row.get("phone") or None,
        email=row.get("email") or None,
        language=language,
    )


def _local(row: dict[str, str], column: str) -> dict[str, str]:
    zh, en = row.get(f"{column}_zh"), row.get(f"{column}_en")
    if not zh and not en:
        raise ValueError(f"neither {column}_zh nor {column}_en")
    return {"zh": zh or en or "", "en": en or zh or ""}


def lead_by_area(
    leads: Iterable[Lead], area_ids: Collection[str], findings: Findings
) -> dict[str, Lead]:
    """Who answers for each area: one lead, for areas that exist."""
    found: dict[str, Lead] = {}
    for lead in leads:
        for area_id in lead.area_ids:
            if area_id not in area_ids:
                findings.errors.append(
                    f"lead {lead.lead_id} answers for {area_id!r}, which is no area of the file"
                )
            elif area_id in found:
                findings.errors.append(
                    f"area {area_id} has two leads, {found[area_id].lead_id} and {lead.lead_id}"
                )
            else:
                found[area_id] = lead
    without = sorted(set(area_ids) - found.keys())
    if without:
        findings.warnings.append(
            f"{len(without)} areas have no lead, what happens there waits in the centre's queue:"
            f" {', '.join(without[:20])}{' …' if len(without) > 20 else ''}"
        )
    return found
