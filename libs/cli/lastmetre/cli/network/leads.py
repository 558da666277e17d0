"""Leads from a table: who answers for which areas, and how to reach them."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lastmetre.cli.network.findings import Findings
from lastmetre.common.tables.header import Columns
from lastmetre.common.tables.problems import TableError
from lastmetre.common.tables.reading import Cells, read_table

COLUMNS: Final = Columns(
    ("lead_id", ("area_ids", "area_id"), ("name_zh", "name_en"), ("post_zh", "post_en")),
    ("phone", "email", "language"),
)


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


def read_leads(path: Path, findings: Findings) -> list[Lead]:
    """The leads of a file with a header; several areas are separated by `;`."""
    try:
        table = read_table(path, COLUMNS)
    except TableError as error:
        told = filter(None, (*error.problems, error.way_out))
        findings.errors.extend(f"leads: {each}" for each in told)
        return []
    leads: dict[str, Lead] = {}
    for row in table.rows:
        try:
            lead = _read(row.cells)
            if lead.lead_id in leads:
                raise ValueError(f"the lead {lead.lead_id!r} is there twice")
        except ValueError as error:
            table.refuse(row, str(error))
            continue
        if not (lead.phone or lead.email):
            findings.warnings.append(f"lead {lead.lead_id} cannot be reached: no phone, no e-mail")
        leads[lead.lead_id] = lead
    if not leads and not table.problems:
        findings.errors.append("leads: the file holds none")
    findings.errors.extend(f"leads: {problem}" for problem in table.problems)
    return list(leads.values())


def _read(row: Cells) -> Lead:
    """Raises ValueError with what is missing."""
    areas = row.get("area_ids") or row.get("area_id") or ""
    area_ids = tuple(part.strip() for part in areas.split(";") if part.strip())
    language = row.get("language") or "zh"
    for column, value in (("lead_id", row["lead_id"]), ("area_ids", area_ids)):
        if not value:
            raise ValueError(f"{column} is empty")
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


def _local(row: Cells, column: str) -> dict[str, str]:
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
