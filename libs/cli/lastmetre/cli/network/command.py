"""`lastmetre network`: areas and the leads who answer for them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from lastmetre.cli.client import ServiceClient
from lastmetre.cli.console import STDOUT, Trouble, UsedWrongly, print_document, warn, working
from lastmetre.cli.network.areas import Area, Properties, read_areas
from lastmetre.cli.network.findings import Findings
from lastmetre.cli.network.leads import Lead, lead_by_area, read_leads
from lastmetre.cli.profile import installation
from lastmetre.common.contracts.reports import Datum

app = typer.Typer(
    name="network", help="Areas and the leads who answer for them.", no_args_is_help=True
)


@app.callback()
def network() -> None:
    """Areas and the leads who answer for them."""


@app.command("import")
def import_network(
    areas: Annotated[
        Path,
        typer.Option(
            help="GeoJSON FeatureCollection of polygons.",
            exists=True, dir_okay=False, readable=True,
        ),
    ],
    id_property: Annotated[str, typer.Option(help="Property that holds an area's id.")],
    leads: Annotated[
        Path | None,
        typer.Option(
            help="CSV in UTF-8 or XLSX with lead_id, area_ids (several: a;b), name_zh, name_en,"
            " post_zh, post_en, phone, email, language (zh or en).",
            exists=True, dir_okay=False, readable=True,
        ),
    ] = None,
    name_property_zh: Annotated[str, typer.Option(help="Its Chinese name.")] = "name_zh",
    name_property_en: Annotated[str, typer.Option(help="Its English name.")] = "name_en",
    town_property_zh: Annotated[str, typer.Option(help="Its town in Chinese.")] = "town_zh",
    town_property_en: Annotated[str, typer.Option(help="Its town in English.")] = "town_en",
    datum: Annotated[
        Datum,
        typer.Option(help="What the areas are drawn on. Chinese web maps use gcj02, Baidu's bd09."),
    ] = Datum.WGS84,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check, and say what would change.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:  # fmt: skip
    """Make the areas and leads of these files the city's network, in place of the present one.

    The leads' phones and e-mail addresses go to intake's vault, all else to dispatch. Cases stay
    with the lead who has them. The same files again change nothing.

    Example:

        lastmetre network import --areas areas.geojson --id-property area_id --leads leads.csv
    """
    properties = Properties(
        id_property, name_property_zh, name_property_en, town_property_zh, town_property_en
    )
    network = read_network(areas, properties, leads, datum)
    with ServiceClient(installation()) as services, working("sending the network"):
        answer = publish(services, network, dry_run=dry_run)
    for each in answer["warnings"]:
        warn(each)
    if as_json:
        print_document(answer)
    else:
        STDOUT.print(_words(answer))


def _document(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8-sig"))
    except ValueError as error:
        raise UsedWrongly(f"{path} is not JSON in UTF-8: {error}") from error


@dataclass(frozen=True)
class Network:
    """Areas, who answers for each, and everybody who does."""

    areas: list[Area]
    placed: dict[str, Lead]
    people: list[Lead]
    warnings: list[str]


def read_network(
    areas: Path, properties: Properties, leads: Path | None, datum: Datum = Datum.WGS84
) -> Network:
    """The network in these files. Raises Trouble that names every error in them."""
    findings = Findings()
    with working("checking areas and leads"):
        read = read_areas(_document(areas), properties, findings, datum)
        people = read_leads(leads, findings) if leads else []
        placed = lead_by_area(people, {area.area_id for area in read}, findings)
    if findings.errors:
        raise Trouble(
            f"{len(findings.errors)} errors in the files, nothing was imported:\n  "
            + "\n  ".join(findings.errors[:50])
        )
    return Network(read, placed, people, findings.warnings)


def publish(services: ServiceClient, network: Network, *, dry_run: bool = False) -> dict[str, Any]:
    """Contacts first: whoever gets a case must be reachable. And before them the areas are looked
    at, for contacts that belong to no network would be wrong."""
    placed = network.placed
    body = {
        "areas": [
            {
                "area_id": area.area_id,
                "name": area.name,
                "town": area.town,
                "outline": area.outline,
                "lead": placed[area.area_id].published if area.area_id in placed else None,
            }
            for area in network.areas
        ],
        "dry_run": dry_run,
    }
    if not dry_run:
        services.send("dispatch", "PUT", "/network", body | {"dry_run": True})
    contacts = [lead.contact for lead in network.people]
    remarks: list[dict[str, str]] = []
    if contacts:
        sent = {"contacts": contacts, "dry_run": dry_run}
        kept = services.send_internal("intake", "PUT", "/api/intake/v1/lead-contacts", sent)
        remarks = kept.get("remarks", [])
    answer: dict[str, Any] = services.send("dispatch", "PUT", "/network", body)
    counts = {"areas": len(network.areas), "leads": len(network.people)}
    warnings = _warnings(network, remarks) + [
        f"{cases} open cases stay with {lead_id}, who has no area any more: place them anew"
        for lead_id, cases in answer.get("open_cases_left", {}).items()
    ]
    return {**counts, **answer, "dry_run": dry_run, "warnings": warnings}


def _warnings(network: Network, remarks: list[dict[str, str]]) -> list[str]:
    """What was found in the files, and which contacts intake cannot use."""
    return network.warnings + [
        f"lead {each['lead_id']}: {each['field']}: {each['message']}" for each in remarks
    ]


def _words(answer: dict[str, Any]) -> str:
    counts = ", ".join(f"{answer[each]} {each}" for each in ("added", "changed", "removed"))
    would = "would be " if answer["dry_run"] else ""
    return (
        f"{answer['areas']} areas, {answer['leads']} leads: {would}{counts};"
        f" the network is version {answer['version']}"
    )
