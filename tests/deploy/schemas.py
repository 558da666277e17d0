"""The operators' own schemas, made as strict as an API server is: unknown fields are refused."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from tests.deploy.rendering import SCHEMAS, Resource

Schema = dict[str, Any]
RESOURCE = {"apiVersion", "kind", "metadata"}


def strict(schema: Schema, *, top: bool = False) -> Schema:
    """The schema of a CustomResourceDefinition as JSON Schema that refuses unknown fields."""
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    made = {key: value for key, value in schema.items() if not key.startswith("x-kubernetes-")}
    made.pop("format", None)
    if "properties" in schema:
        made["properties"] = {name: strict(each) for name, each in schema["properties"].items()}
        if top:
            made["properties"].update({name: {} for name in RESOURCE})
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            made["additionalProperties"] = False
    if isinstance(schema.get("items"), dict):
        made["items"] = strict(schema["items"])
    if isinstance(schema.get("additionalProperties"), dict):
        made["additionalProperties"] = strict(schema["additionalProperties"])
    if made.pop("nullable", False) and "type" in made:
        made["type"] = [made["type"], "null"]
    return made


@cache
def operators() -> dict[tuple[str, str], Draft202012Validator]:
    """By apiVersion and kind; empty where the schemas are not here."""
    return dict(_validators())


def _validators() -> Iterator[tuple[tuple[str, str], Draft202012Validator]]:
    for file in sorted(SCHEMAS.glob("*.yaml")):
        definition = yaml.load(file.read_text("utf-8"), yaml.CSafeLoader)["spec"]
        for version in definition["versions"]:
            key = (f"{definition['group']}/{version['name']}", definition["names"]["kind"])
            schema = strict(version["schema"]["openAPIV3Schema"], top=True)
            yield key, Draft202012Validator(schema)


def faults(resource: Resource) -> list[str]:
    """What the operator's schema says against the resource. KeyError if there is none."""
    validator = operators()[resource["apiVersion"], resource["kind"]]
    return [f"{each.json_path}: {each.message}" for each in validator.iter_errors(resource)]
