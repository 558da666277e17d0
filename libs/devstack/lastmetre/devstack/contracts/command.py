"""`lastmetre contracts`: the schemas in the repository follow the code."""

import json
from pathlib import Path
from typing import Any, Final

import typer

from lastmetre.cli.console import Trouble, UsedWrongly, say
from lastmetre.common.contracts.messages import MESSAGE_TYPES
from lastmetre.devstack.contracts.compatibility import Meaning, changes
from lastmetre.devstack.contracts.samples import sample_of
from lastmetre.devstack.contracts.schemas import documents, message_schema
from lastmetre.devstack.home import CHECKOUT

_ROOT: Final = CHECKOUT or Path()
SCHEMAS: Final = _ROOT / "libs" / "common" / "lastmetre" / "common" / "contracts" / "schemas"
SAMPLES: Final = _ROOT / "tests" / "contract" / "samples"

app = typer.Typer(name="contracts", help="JSON Schemas of all messages.", no_args_is_help=True)


def as_text(document: Any) -> str:
    """A document as its file holds it."""
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


@app.callback()
def contracts() -> None:
    """JSON Schemas of all messages."""


@app.command()
def generate() -> None:
    """Write the schemas of all messages, headers and topics, and samples of new versions.

    A schema is not replaced by one that readers of that version could not live with: such a
    change needs a new version of the message. Samples stay as they are for ever.
    """
    if CHECKOUT is None:
        raise UsedWrongly(
            "This works in a checkout only: the schemas are files of the repository.",
            "clone the repository, then `make demo` or `make up` installs the command there.",
        )
    generated = documents()
    topics = generated.pop("topics.json")
    before = {path.name: json.loads(path.read_text("utf-8")) for path in SCHEMAS.glob("*.json")}
    before.pop("topics.json", None)
    found = changes(before, generated)
    for each in found:
        say(f"{each.message.removesuffix('.json')}: {each.what}: {each.meaning}")
    refused = {each.message for each in found if each.meaning is Meaning.CANNOT_READ}
    written = _write(SCHEMAS / "topics.json", as_text(topics))
    for name, document in generated.items():
        if name not in refused:
            written += _write(SCHEMAS / name, as_text(document))
    for name, kind in MESSAGE_TYPES.items():
        path = SAMPLES / f"{name}.json"
        if not path.exists():
            written += _write(path, as_text(sample_of(message_schema(kind))))
    say(f"{written} files written, the others were as they should be")
    if refused:
        raise Trouble(
            "these have changes that readers could not live with: " + ", ".join(sorted(refused)),
            "give the message a new version (a class with a TYPE that ends in the next number).",
        )


def _write(path: Path, text: str) -> int:
    """Write the file if it differs; returns 1 if so."""
    if path.exists() and path.read_text("utf-8") == text:
        return 0
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return 1
