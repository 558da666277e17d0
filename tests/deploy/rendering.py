"""The manifests as `kubectl kustomize` renders them, once for all tests."""

import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).resolve().parents[2]
KUBERNETES: Final = ROOT / "deploy" / "kubernetes"
SCHEMAS: Final = ROOT.parent / "shared" / "crds"
OVERLAYS: Final = ("cluster", "one-node", "external")
Resource = dict[str, Any]
_KUBECTL: Final = Path(sys.executable).with_name("kubectl")


@cache
def rendered(overlay: str) -> tuple[Resource, ...]:
    """Every resource of an overlay; raises CalledProcessError with what kustomize says."""
    return render(KUBERNETES / "overlays" / overlay)


def render(folder: Path) -> tuple[Resource, ...]:
    """Every resource of a kustomization."""
    said = subprocess.run(
        [_KUBECTL, "kustomize", folder], capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stderr
    return tuple(yaml.safe_load_all(said.stdout))


def named(resources: tuple[Resource, ...], kind: str, name: str) -> Resource:
    """The one resource of that kind and name."""
    (found,) = [
        each for each in resources if (each["kind"], each["metadata"]["name"]) == (kind, name)
    ]
    return found


def pods(resources: tuple[Resource, ...]) -> Iterator[tuple[str, Resource]]:
    """What each workload is called, and its pods: `metadata` and `spec`."""
    for each in resources:
        name = f"{each['kind']} {each['metadata']['name']}"
        if each["kind"] == "Deployment":
            yield name, each["spec"]["template"]
        elif each["kind"] == "CronJob":
            yield name, each["spec"]["jobTemplate"]["spec"]["template"]
