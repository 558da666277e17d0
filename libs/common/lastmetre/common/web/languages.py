"""Which language a reader gets, and the gettext catalogues, read from .po files at start."""

from collections.abc import Mapping
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import Literal, get_args

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

from lastmetre.common.web.accept import weighted

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
DEFAULT_LANGUAGE: Language = "zh"
LANGUAGE_COOKIE = "lastmetre_lang"
LANGUAGE_PARAMETER = "lang"


def known_language(name: str | None) -> Language | None:
    """`name` as one of our languages, or None. Regions count as their language (`zh-HK`)."""
    primary = (name or "").strip().lower().replace("_", "-").partition("-")[0]
    return next((language for language in LANGUAGES if language == primary), None)


def choose_language(parameter: str | None, cookie: str | None, accepted: str | None) -> Language:
    """The reader's language: ?lang=, else the cookie, else Accept-Language, else Chinese."""
    return (
        known_language(parameter)
        or known_language(cookie)
        or _accepted_language(accepted or "")
        or DEFAULT_LANGUAGE
    )


def _accepted_language(header: str) -> Language | None:
    ranked = sorted(weighted(header), key=lambda entry: -entry[1])
    known = (known_language(name) for name, weight in ranked if weight > 0)
    return next(filter(None, known), None)


def package_directory(package: str) -> Path:
    """The folder an installed package lies in."""
    return Path(str(files(package)))


def catalogue_path(package: str, language: Language) -> Path:
    """Where a package keeps its catalogue for a language, whether or not there is one."""
    return package_directory(package) / "locale" / language / "LC_MESSAGES" / "messages.po"


def load_translations(package: str) -> Mapping[Language, NullTranslations]:
    """The translations of a package for each language, the kit's own behind them.

    Messages are English in the sources, so English needs no catalogue.
    """
    return {language: _load(package, language) for language in LANGUAGES}


def _load(package: str, language: Language) -> NullTranslations:
    translations = _read(package, language)
    if package != "lastmetre.common.web":
        translations.add_fallback(_read("lastmetre.common.web", language))
    return translations


def _read(package: str, language: Language) -> NullTranslations:
    path = catalogue_path(package, language)
    if not path.exists():
        return NullTranslations()
    with path.open("rb") as source:
        catalogue = read_po(source, locale=language)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Translations(compiled)
