"""Write the dashboards to deploy/grafana/dashboards, one JSON file each; a test keeps them so.

.venv/bin/python deploy/grafana/make_dashboards.py
"""

import json
from pathlib import Path
from typing import Any, Final, NamedTuple

from panels import CITY, EDGE, MESSAGES, SERVICE, Panel

FOLDER: Final = Path(__file__).parent / "dashboards"
COLUMNS: Final = 24
HEIGHT: Final = 7
DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
KINDS: Final = {"graph": "timeseries", "figure": "stat", "table": "table"}
WIDTHS: Final = {"graph": 8, "figure": 4, "table": 8}


class Dashboard(NamedTuple):
    """A page of panels; with `by_service` one chooses the service."""

    name: str
    title: str
    panels: tuple[Panel, ...]
    by_service: bool = False


DASHBOARDS: Final = (
    Dashboard("city", "Lastmetre: the city at a glance", CITY),
    Dashboard("service", "Lastmetre: one service", SERVICE, by_service=True),
    Dashboard("edge", "Lastmetre: the edge", EDGE),
    Dashboard("messages", "Lastmetre: messages", MESSAGES),
)


def panel(number: int, given: Panel, x: int, y: int) -> dict[str, Any]:
    """A panel as Grafana has it, with its place in the grid."""
    return {
        "id": number,
        "type": KINDS[given.kind],
        "title": given.title,
        "description": given.about,
        "datasource": DATASOURCE,
        "gridPos": {"x": x, "y": y, "w": WIDTHS[given.kind], "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": given.unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}}
        if given.kind == "graph"
        else {"reduceOptions": {"calcs": ["lastNotNull"]}},
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": DATASOURCE,
                "expr": query,
                "legendFormat": legend,
                "instant": given.kind != "graph",
                "range": given.kind == "graph",
            }
            for index, (legend, query) in enumerate(given.queries.items())
        ],
    }


def placed(panels: tuple[Panel, ...]) -> list[dict[str, Any]]:
    """The panels, row by row."""
    x = y = 0
    found = []
    for number, given in enumerate(panels, start=1):
        if x + WIDTHS[given.kind] > COLUMNS:
            x, y = 0, y + HEIGHT
        found.append(panel(number, given, x, y))
        x += WIDTHS[given.kind]
    return found


def variables(dashboard: Dashboard) -> list[dict[str, Any]]:
    """What is chosen at the top."""
    found: list[dict[str, Any]] = [
        {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}
    ]
    if dashboard.by_service:
        found.append(
            {
                "name": "service",
                "type": "query",
                "label": "Service",
                "datasource": DATASOURCE,
                "query": "label_values(lastmetre_build_info, service)",
                "refresh": 2,
            }
        )
    return found


def document(dashboard: Dashboard) -> dict[str, Any]:
    """The whole dashboard; links lead to ours, to Strimzi's and to CloudNativePG's own."""
    return {
        "uid": f"lastmetre-{dashboard.name}",
        "title": dashboard.title,
        "tags": ["lastmetre"],
        "schemaVersion": 39,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "links": [
            {"type": "dashboards", "title": tag, "tags": [tag], "asDropdown": True}
            for tag in ("lastmetre", "strimzi", "cloudnativepg")
        ],
        "templating": {"list": variables(dashboard)},
        "panels": placed(dashboard.panels),
    }


def main() -> None:
    """Write every dashboard."""
    for each in DASHBOARDS:
        text = json.dumps(document(each), ensure_ascii=False, indent=1)
        (FOLDER / f"{each.name}.json").write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
