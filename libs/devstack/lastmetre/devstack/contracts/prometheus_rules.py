"""The rules of deploy/prometheus for the Prometheus Operator: the same groups, as its resources."""

from pathlib import Path
from typing import Any

import yaml


def rule_resources(folder: Path) -> list[dict[str, Any]]:
    """A PrometheusRule of each file of rules in the folder."""
    return [
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PrometheusRule",
            "metadata": {"name": f"lastmetre-{file.stem}"},
            "spec": yaml.safe_load(file.read_text("utf-8")),
        }
        for file in sorted(folder.glob("*.yaml"))
    ]
