"""The services against their own OpenAPI: drawn requests by everybody, and a generated client."""

import asyncio
import itertools
import os
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import FailedHealthCheck, Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from lastmetre.common.contracts.topics import SERVICES
from lastmetre.common.security.signed_links import LinkPurpose
from lastmetre.devstack import Stack
from lastmetre.devstack.contracts.command import DOCS
from tests.support.callers import callers
from tests.support.city import City
from tests.support.logs import nothing_unexpected

EXAMPLES: Final = 6
"""Of each operation, kind of data and kind of address, each by the next of the callers."""
CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@dataclass(frozen=True)
class Ground:
    """A city with a closed case, and who asks it for what."""

    endpoints: Mapping[str, Any]
    credentials: list[dict[str, str]]
    known: Mapping[str, str]
    """What stands for a path's parameter where it is to be found."""


@asynccontextmanager
async def city_of(town: Stack) -> AsyncIterator[City]:
    async with City(town.endpoints.model_dump(mode="json", by_alias=True)) as city:
        yield city


async def made_ready(town: Stack) -> Ground:
    async with city_of(town) as city:
        await city.import_network()
        receipt = await city.report(f"drawn-{uuid.uuid4()}")
        case_id = await city.case_of(receipt)
        assert (await city.act(case_id, "resolve")).status_code == 200
        identity = city.links.open(LinkPurpose.RECEIPT, receipt)
        assert identity is not None
        known = {
            "receipt": receipt,
            "secret": city.links.seal(LinkPurpose.PROGRESS, identity),
            "token": city.credentials.rating_token(case_id, 5),
            "case_id": str(case_id),
            "known_as": str(case_id),
            "channel": "app",
        }
        return Ground(city.endpoints, [dict(each.headers) for each in callers(city)], known)


@pytest.fixture(scope="module")
def ground(town: Stack) -> Ground:
    return asyncio.run(made_ready(town))


@pytest.mark.parametrize("port", ["public", "admin"])
@pytest.mark.parametrize("service", SERVICES)
def test_no_answer_breaks_its_schema(town: Stack, ground: Ground, service: str, port: str) -> None:
    endpoints, prefix = ground.endpoints, f"/api/{service}/v1" if port == "public" else ""
    base = endpoints["services"][service] if prefix else endpoints["admin"][service][0]
    schema = schemathesis.openapi.from_url(f"{base}{prefix}/openapi.json")
    wrong: list[str] = []
    turns = itertools.cycle(ground.credentials)
    with requests.Session() as session, nothing_unexpected(town):
        for found in schema.get_all_operations():
            assert isinstance(found, Ok), found
            operation = found.ok()
            for kind in GenerationMode:
                for known in (None, ground.known):
                    wrong += ask(operation, kind, known, base, session, turns)
    assert not wrong, "\n\n".join(wrong)


def ask(
    operation: schemathesis.APIOperation[Any, Any, Any, Any],
    kind: GenerationMode,
    known: Mapping[str, str] | None,
    base: str,
    session: requests.Session,
    turns: Iterator[dict[str, str]],
) -> list[str]:
    """What was wrong with the answers to drawn requests, each by the next of the callers."""
    wanted = {each.name for each in operation.path_parameters}
    if known is not None and not (wanted and wanted <= known.keys()):
        return []
    given_path = {name: known[name] for name in wanted} if known else None
    wrong: list[str] = []

    @given(operation.as_strategy(generation_mode=kind, path_parameters=given_path))
    @settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        # Where nothing can be wrong, as with a form of texts, it is not tried 458 times to draw it.
        suppress_health_check=[e for e in HealthCheck if e is not HealthCheck.filter_too_much],
    )
    def each_is_answered_as_declared(case: schemathesis.Case[Any]) -> None:
        caller = next(turns)
        answer = case.call(base, session=session, headers=caller, allow_redirects=False)
        try:
            case.validate_response(answer, checks=CHECKS)
        except Exception as error:
            wrong.append(f"{operation.label} with {list(caller)}: {answer.status_code} {error}")

    try:
        each_is_answered_as_declared()
    except (Unsatisfiable, FailedHealthCheck):
        assert kind is GenerationMode.NEGATIVE, "there is nothing that could be wrong with it"
    return wrong[:2]


@pytest.fixture
def client_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A client made from intake's document, importable by this name."""
    name = "generated_intake_client"
    configuration = tmp_path / "configuration.yaml"
    configuration.write_text("post_hooks: []\n")
    subprocess.run(
        [
            str(Path(sys.executable).with_name("openapi-python-client")), "generate",
            "--path", str(DOCS / "openapi" / "intake.yaml"), "--meta", "none",
            "--output-path", str(tmp_path / name), "--config", str(configuration),
        ],
        check=True,
        env=os.environ,
    )  # fmt: skip
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    for module in [each for each in sys.modules if each.split(".")[0] == name]:
        del sys.modules[module]


async def test_a_generated_client_reports_and_follows(town: Stack, client_package: str) -> None:
    package = import_module(client_package)
    models = import_module(f"{client_package}.models")
    report = import_module(f"{client_package}.api.reports.report_something")
    follow = import_module(f"{client_package}.api.reports.follow_case")
    async with city_of(town) as city:
        await city.import_network()
        base, key = city.url("intake", ""), city.endpoints["channel_keys"]["app"]
        partner = package.AuthenticatedClient(
            base_url=base, token=key, prefix="", auth_header_name="X-API-Key"
        )
        taken = await report.asyncio(
            models.Channel.APP,
            client=partner,
            body=models.ReportSubmitted(
                source_id=f"client-{uuid.uuid4()}",
                text="路灯不亮",
                position=models.SubmittedPosition(latitude=0.5, longitude=0.5),
            ),
        )
        assert isinstance(taken, models.ReportTaken)
        anyone = package.Client(base_url=base)

        async def assigned() -> Any:
            found = await follow.asyncio(taken.receipt, client=anyone)
            return found if found.state == "dispatched" else None

        found = await city.until(assigned, "case with a lead")
        assert found.lead.lead_id == "L0"
        assert [each.type_ for each in found.timeline] == ["registered", "dispatched"]
        unknown = await follow.asyncio("nothing", client=anyone)
        assert unknown.title == "There is nothing here"
