"""Check `services`: each process, what it says is missing, and whether all are one build."""

import asyncio
import json
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, NamedTuple

from lastmetre.cli.doctor.asking import NoAnswer, ask
from lastmetre.cli.doctor.findings import Findings
from lastmetre.cli.profile import Installation
from lastmetre.common.contracts.topics import SERVICES


class _Process(NamedTuple):
    name: str
    status: int
    said: Mapping[str, Any]

    @property
    def build(self) -> str:
        return f"{self.said.get('version', '?')} {self.said.get('revision', '')}".strip()


async def look_at_services(installation: Installation, said: Findings) -> None:
    """Ask the admin port of every process that is known."""
    asked = [
        (f"{service}-{number}", url)
        for service in SERVICES
        for number, url in enumerate(installation.known_admin_urls(service))
    ]
    for service in SERVICES:
        if not installation.known_admin_urls(service):
            name = f"{service.upper()}_ADMIN_URL"
            said.unknown(
                "service-not-known",
                service,
                "its admin address is not known",
                f"set {name} in the environment or in a profile",
            )
    answers = await asyncio.gather(*(_process(name, url, said) for name, url in asked))
    _builds([each for each in answers if each], said)


async def _process(name: str, url: str, said: Findings) -> _Process | None:
    try:
        answer = await ask(f"{url}/readyz?all")
        told = json.loads(answer.body)
        missing = [str(each) for each in told["missing"]]
    except NoAnswer as error:
        said.wrong(
            "service-no-answer",
            name,
            f"no answer at {url}: {error}",
            "its work waits; if no other process of it runs, for as long as this lasts",
            "is it running; is that its admin port, reachable from here? Its log says why it ended",
        )
        return None
    except (ValueError, KeyError, TypeError):
        said.wrong(
            "service-stranger",
            name,
            f"{url} answers {answer.status}, and not as Lastmetre does",
            "that is no admin port of ours",
            "correct the address",
        )
        return None
    process = _Process(name, answer.status, told)
    for each in missing:
        said.wrong(
            "service-not-ready",
            name,
            each,
            "it waits for that, and loses nothing meanwhile",
            "the other checks tell of Kafka, databases and rights; deploy/runbooks/NotServing.md",
        )
    if not missing:
        said.fine(name, f"ready, build {process.build}")
    return process


def _builds(processes: list[_Process], said: Findings) -> None:
    builds = {each.build for each in processes}
    if len(builds) > 1:
        listed = ", ".join(f"{each.name} {each.build}" for each in processes)
        said.warn(
            "builds-differ",
            "builds",
            listed,
            "as it is during an upgrade; else one was forgotten",
            "bring all to one build",
        )
    here = version("lastmetre-cli")
    others = {str(each.said.get("version")) for each in processes} - {here}
    if others:
        said.warn(
            "command-differs",
            "this command",
            f"version {here}, services {', '.join(sorted(others))}",
            "it may read tables and topics in another way than they are",
            "use the services' image",
        )
