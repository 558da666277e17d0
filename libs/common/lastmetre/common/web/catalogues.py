"""Keeps a package's Chinese catalogue complete.

`python -m lastmetre.common.web.catalogues lastmetre.dispatch`.

Texts are English messages in templates (`_`, `ngettext`) and in Python code (marked with `N_`).
The command adds those that the catalogue lacks, drops those nothing uses any more, and lists what
is still to be translated, in the .po file itself.
"""

import sys
from collections.abc import Iterator
from io import BytesIO

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from lastmetre.common.web.languages import catalogue_path, package_directory

_METHODS = [("**/templates/**.html", "jinja2"), ("**.py", "python")]
_OPTIONS = {"**/templates/**.html": {"trimmed": "true", "silent": "false"}}
_KIT = "lastmetre.common.web"


def messages_in(package: str) -> Catalog:
    """The messages that a package's templates and code hold; the kit's, those of all `common`."""
    catalogue = Catalog(locale="zh", fuzzy=False)
    sources = "lastmetre.common" if package == _KIT else package
    found = extract_from_dir(package_directory(sources), _METHODS, _OPTIONS)
    for _, _, message, _, context in found:
        catalogue.add(message, context=context)
    return catalogue


def read_chinese(package: str) -> Catalog:
    """The package's Chinese catalogue, empty if it has none."""
    path = catalogue_path(package, "zh")
    if not path.exists():
        return Catalog(locale="zh", fuzzy=False)
    with path.open("rb") as source:
        return read_po(source, locale="zh")


def problems_of(package: str) -> Iterator[str]:
    """What is wrong with the package's Chinese: missing, not used, or with other placeholders."""
    wanted, have = messages_in(package), read_chinese(package)
    borrowed = read_chinese(_KIT) if package != _KIT else Catalog()
    for message in wanted:
        translation = have.get(message.id) or borrowed.get(message.id)
        if message.id and not (translation and _complete(translation)):
            yield f"not translated: {message.id!r}"
    for message in have:
        if message.id and message.id not in wanted:
            yield f"not used any more: {message.id!r}"
        yield from (f"{message.id!r}: {error}" for error in message.check(have))


def _complete(translation: Message) -> bool:
    texts = translation.string
    return all([texts] if isinstance(texts, str) else texts or [""])


def update(package: str) -> list[str]:
    """Bring the Chinese catalogue in line with the sources; gives what is still wrong."""
    wanted, have = messages_in(package), read_chinese(package)
    borrowed = read_chinese(_KIT) if package != _KIT else Catalog()
    updated = Catalog(locale="zh", fuzzy=False)
    for message in sorted(wanted, key=lambda message: str(message.id)):
        known = have.get(message.id)
        if known and known.pluralizable != message.pluralizable:
            known = None
        if message.id and (known or not borrowed.get(message.id)):
            updated.add(message.id, known.string if known else "")
    path = catalogue_path(package, "zh")
    path.parent.mkdir(parents=True, exist_ok=True)
    target = BytesIO()
    write_po(target, updated, width=100, omit_header=True)
    path.write_bytes(_HEADER + target.getvalue())
    return list(problems_of(package))


_HEADER = b"""msgid ""
msgstr ""
"Language: zh\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: nplurals=1; plural=0;\\n"

"""


if __name__ == "__main__":
    for package_name in sys.argv[1:]:
        for problem in update(package_name):
            sys.stdout.write(f"{package_name}: {problem}\n")
