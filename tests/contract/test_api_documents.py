"""OpenAPI and AsyncAPI in `docs`: what the services say now, and valid.

`asyncapi-3.0.0.json` is the schema that @asyncapi/specs 6.11.1 publishes (Apache License 2.0).
"""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from lastmetre.common.contracts.readers import READERS
from lastmetre.common.contracts.rights import PUBLISHES
from lastmetre.common.contracts.topics import SERVICES
from lastmetre.devstack.contracts.command import (
    COMPONENTS,
    DOCS,
    api_documents,
    as_yaml,
    operator_files,
)
from lastmetre.devstack.contracts.described import descriptions
from lastmetre.devstack.contracts.picture import picture

ASYNCAPI_SCHEMA = Path(__file__).parent / "asyncapi-3.0.0.json"
METHODS = {"get", "post", "put", "delete", "patch"}


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    return descriptions()


@pytest.fixture(scope="module")
def made(services: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return api_documents(services)


def test_the_files_are_what_the_services_say_now(made: dict[str, dict[str, Any]]) -> None:
    stale = [
        name
        for name, document in made.items()
        if not (DOCS / name).exists() or (DOCS / name).read_text("utf-8") != as_yaml(document)
    ]
    assert stale == [], "run `lastmetre contracts generate`"


def test_readers_and_writers_of_the_contracts_are_what_the_services_declare(
    services: dict[str, dict[str, Any]],
) -> None:
    read = {
        name: {
            topic: consumer.removeprefix(f"{name}.")
            for consumer, topics in said["subscribers"].items()
            for topic in topics
        }
        for name, said in services.items()
    }
    assert read == READERS
    assert {name: set(said["publishes"]) for name, said in services.items()} == PUBLISHES


def test_topics_users_and_rules_for_the_operators_follow_the_contracts() -> None:
    made = operator_files()
    stale = [name for name, text in made.items() if (COMPONENTS / name).read_text("utf-8") != text]
    assert stale == [], "run `lastmetre contracts generate`"


def test_the_picture_of_services_and_topics_is_drawn_from_them(
    made: dict[str, dict[str, Any]],
) -> None:
    drawn = picture(made["asyncapi.yaml"])
    assert (DOCS / "topics.md").read_text("utf-8") == drawn, "run `lastmetre contracts generate`"
    for arrow in ("reports --> dispatch", "dispatch --> case_events", "case_events --> notify"):
        assert f"  {arrow}\n" in drawn


def operations_of(service: str) -> list[dict[str, Any]]:
    document = yaml.safe_load((DOCS / "openapi" / f"{service}.yaml").read_text("utf-8"))
    return [
        operation
        for path in document["paths"].values()
        for method, operation in path.items()
        if method in METHODS
    ]


@pytest.mark.parametrize("service", SERVICES)
def test_openapi_is_valid_3_1(service: str) -> None:
    document = yaml.safe_load((DOCS / "openapi" / f"{service}.yaml").read_text("utf-8"))
    assert document["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(document).validate()


@pytest.mark.parametrize("service", SERVICES)
def test_every_operation_says_how_it_refuses_and_has_a_name_of_its_own(service: str) -> None:
    operations = operations_of(service)
    for operation in operations:
        for status in ("4XX", "5XX"):
            problem = operation["responses"][status]["content"]["application/problem+json"]
            assert problem["schema"] == {"$ref": "#/components/schemas/Problem"}
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("service", SERVICES)
def test_every_page_can_be_asked_for_in_either_language(service: str) -> None:
    pages = [each for each in operations_of(service) if "pages" in each["tags"]]
    declared = [{each["name"] for each in page.get("parameters", ())} for page in pages]
    assert len(declared) > 1
    assert all("lang" in each for each in declared)


def test_a_report_needs_a_channels_key_and_may_be_one_or_many() -> None:
    document = yaml.safe_load((DOCS / "openapi" / "intake.yaml").read_text("utf-8"))
    operation = document["paths"]["/channels/{channel}/reports"]["post"]
    assert operation["security"] == [{"channelKey": []}]
    scheme = document["components"]["securitySchemes"]["channelKey"]
    assert (scheme["type"], scheme["in"], scheme["name"]) == ("apiKey", "header", "X-API-Key")
    one, many = operation["requestBody"]["content"]["application/json"]["schema"]["anyOf"]
    assert one == many["items"] == {"$ref": "#/components/schemas/ReportSubmitted"}


def test_asyncapi_is_valid() -> None:
    document = yaml.safe_load((DOCS / "asyncapi.yaml").read_text("utf-8"))
    schema = json.loads(ASYNCAPI_SCHEMA.read_text("utf-8"))
    errors = Draft7Validator(schema).iter_errors(document)
    assert [f"{each.json_path}: {each.message[:200]}" for each in errors] == []
