"""The dashboards are those that their generator makes, and whole."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import yaml

from tests.observability.rules import ROOT, checked, program

GRAFANA: Final = ROOT / "deploy/grafana"
WIDTH: Final = 24


def test_the_dashboards_are_up_to_date(tmp_path: Path) -> None:
    for script in GRAFANA.glob("*.py"):
        shutil.copy(script, tmp_path)
    (tmp_path / "dashboards").mkdir()
    subprocess.run([sys.executable, tmp_path / "make_dashboards.py"], check=True)
    made = {file.name: file.read_text("utf-8") for file in (tmp_path / "dashboards").iterdir()}
    kept = {file.name: file.read_text("utf-8") for file in (GRAFANA / "dashboards").iterdir()}
    assert made == kept
    assert len(kept) == 4


def test_panels_have_a_place_of_their_own_and_a_title() -> None:
    for file in (GRAFANA / "dashboards").iterdir():
        panels = json.loads(file.read_text("utf-8"))["panels"]
        taken = [
            (x, panel["gridPos"]["y"])
            for panel in panels
            for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        ]
        assert len(taken) == len(set(taken)), file
        assert max(x for x, _ in taken) < WIDTH
        titles = [panel["title"] for panel in panels]
        assert len(titles) == len(set(titles)) > 5, file
        assert all(panel["targets"] for panel in panels)


def test_prometheus_understands_every_query(tmp_path: Path) -> None:
    """As rules, which promtool checks without a server."""
    queries = [
        target["expr"].replace("$__rate_interval", "5m")
        for file in (GRAFANA / "dashboards").iterdir()
        for panel in json.loads(file.read_text("utf-8"))["panels"]
        for target in panel["targets"]
    ]
    checks = [
        {"record": f"panel:query:{number}", "expr": query} for number, query in enumerate(queries)
    ]
    file = tmp_path / "panels.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": checks}]}), "utf-8")
    checked(program("promtool"), "check", "rules", str(file))
