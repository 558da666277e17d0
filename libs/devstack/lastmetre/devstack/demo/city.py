"""The sample city as its folder describes it: areas, leads, categories, texts, people, a day."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

import shapely
import yaml
from pydantic import BeforeValidator, Field, InstanceOf, ValidationError, model_validator

from lastmetre.common.contracts.base import Channel, Code, LongText, ShortText
from lastmetre.common.contracts.cases import LocalName
from lastmetre.common.gazetteer.file import GazetteerError, read_gazetteer
from lastmetre.common.gazetteer.model import Gazetteer
from lastmetre.common.tables.header import Columns
from lastmetre.common.tables.problems import TableError
from lastmetre.common.tables.reading import read_table
from lastmetre.devstack.demo.profile import DayProfile, Strict, Weight

AREAS = "areas.geojson"
LEADS = "leads.csv"
CATEGORIES = "categories.csv"
TEXTS = "texts.csv"
PLACES = "places.yaml"
GAZETTEER = "gazetteer.geojson"
PEOPLE = "people.yaml"
DAY = "day.yaml"

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The one in C takes a tenth of the time."""


class SampleCityError(ValueError):
    """A file of the sample city is not good; the message says which, where and why."""


def _split(value: object) -> object:
    return [part.strip() for part in value.split(";")] if isinstance(value, str) else value


Name = Annotated[str, Field(min_length=1, max_length=200)]
NotEmpty = Field(min_length=1)


class Area(Strict):
    """An area that somebody answers for, in its community and town. `outline`: GeoJSON, WGS-84."""

    area_id: Code
    name_zh: Name
    name_en: Name
    town_id: Code
    town_zh: Name
    town_en: Name
    community_id: Code
    community_zh: Name
    community_en: Name
    outline: dict[str, Any]


class Lead(Strict):
    """An area lead. In the files several areas stand in one column, parted by semicolons."""

    lead_id: Code
    name_zh: Name
    name_en: Name
    post_zh: Name
    post_en: Name
    area_ids: Annotated[tuple[Code, ...], BeforeValidator(_split), NotEmpty]
    email: Name
    phone: Name


class Category(Strict):
    """A category of the city: `part:` or `matter:` and five digits, or `city:` for its own.

    `on_form`: the report form offers it.
    """

    code: Code
    name_zh: Name
    name_en: Name
    on_form: bool
    aliases: str = ""


class ReportText(Strict):
    """What a reporter says; `{street}` and `{landmark}` stand for a place of the town."""

    text_id: Code
    category: Code
    channels: Annotated[tuple[Channel, ...], BeforeValidator(_split), NotEmpty]
    weight: Weight
    text: Annotated[LongText, NotEmpty]

    @model_validator(mode="after")
    def _can_be_filled_in(self) -> Self:
        try:
            self.filled_in("", "")
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError("text may hold {street} and {landmark} and no other braces") from error
        return self

    def filled_in(self, street: str, landmark: str) -> str:
        """The text about that place."""
        return self.text.format(street=street, landmark=landmark)


class Community(Strict):
    """A community as `places.yaml` lists it; its areas are drawn into `areas.geojson`."""

    name: LocalName
    areas: tuple[LocalName, ...] = NotEmpty


class Town(Strict):
    """A town: where to draw it, how much is reported there, words for its places."""

    town_id: Code
    name: LocalName
    bank: str
    centre: tuple[float, float]
    reports: Weight
    streets: tuple[LocalName, ...] = NotEmpty
    landmarks: tuple[LocalName, ...] = NotEmpty
    communities: tuple[Community, ...] = NotEmpty


class Places(Strict):
    """The towns, and words for places beyond them."""

    towns: tuple[Town, ...] = NotEmpty
    outside: tuple[ShortText, ...] = NotEmpty


class People(Strict):
    """What names, phones and e-mail addresses of reporters are made of."""

    surnames: tuple[Name, ...] = NotEmpty
    given_names: tuple[Name, ...] = NotEmpty
    phone_prefix: Annotated[str, Field(pattern=r"^1[3-9]\d{5}$")]
    email_domain: Annotated[str, Field(pattern=r"^([a-z-]+\.)+(invalid|example)$")]


class SampleCity(Strict):
    """Everything about the sample city, checked against each other."""

    areas: tuple[Area, ...] = NotEmpty
    leads: tuple[Lead, ...] = NotEmpty
    categories: tuple[Category, ...] = NotEmpty
    texts: tuple[ReportText, ...] = NotEmpty
    places: Places
    people: People
    day: DayProfile
    gazetteer: InstanceOf[Gazetteer]

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        problems = list(_misfits(self))
        if problems:
            raise ValueError("; ".join(problems))
        return self


def _repeated(file: str, column: str, values: Iterable[str]) -> Iterator[str]:
    for value, count in Counter(values).items():
        if count > 1:
            yield f"{file}: {column} {value!r} stands there {count} times"


def _misfits(city: SampleCity) -> Iterator[str]:
    """What one file says and another does not know."""
    areas = {area.area_id for area in city.areas}
    towns = {town.town_id for town in city.places.towns}
    codes = {category.code for category in city.categories}
    led = [area_id for lead in city.leads for area_id in lead.area_ids]
    yield from _repeated(AREAS, "area_id", (area.area_id for area in city.areas))
    yield from _repeated(LEADS, "lead_id", (lead.lead_id for lead in city.leads))
    yield from _repeated(LEADS, "area_ids", led)
    yield from _repeated(CATEGORIES, "code", (category.code for category in city.categories))
    yield from _repeated(TEXTS, "text_id", (text.text_id for text in city.texts))
    yield from _repeated(TEXTS, "text", (text.text for text in city.texts))
    for area_id in sorted(set(led) - areas):
        yield f"{LEADS}: area {area_id!r} is not in {AREAS}"
    for area_id in sorted(areas - set(led)):
        yield f"{LEADS}: nobody leads area {area_id!r}"
    for town_id in sorted({area.town_id for area in city.areas} ^ towns):
        yield f"{AREAS} and {PLACES} do not both have town {town_id!r}"
    for code in sorted({text.category for text in city.texts} - codes):
        yield f"{TEXTS}: category {code!r} is not in {CATEGORIES}"
    for channel in city.day.channels:
        if not any(channel in text.channels and text.weight for text in city.texts):
            yield f"{TEXTS}: nothing for channel {channel.value}"


Part = TypeVar("Part", bound=Strict)


def _checked(model: type[Part], value: object, where: str) -> Part:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        problems = (
            ".".join(map(str, each["loc"])) + ": " + each["msg"] if each["loc"] else each["msg"]
            for each in error.errors(include_url=False)
        )
        raise SampleCityError(f"{where}: {'; '.join(problems)}") from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SampleCityError(f"{path}: {error}") from error


def _table(path: Path, model: type[Part]) -> Iterator[Part]:
    try:
        table = read_table(path, Columns(tuple(model.model_fields)))
        table.check()
    except (OSError, TableError) as error:
        raise SampleCityError(f"{path}: {error}") from error
    for row in table.rows:
        yield _checked(model, row.cells, f"{path}, line {row.line}")


def _yaml(path: Path, model: type[Part]) -> Part:
    try:
        return _checked(model, yaml.load(_text(path), _LOADER), str(path))  # noqa: S506 - it is safe
    except yaml.YAMLError as error:
        raise SampleCityError(f"{path}: {error}") from error


def _areas(path: Path) -> Iterator[Area]:
    try:
        features = json.loads(_text(path))["features"]
        for index, feature in enumerate(features):
            outline = shapely.from_geojson(json.dumps(feature["geometry"]))
            if outline.geom_type not in {"Polygon", "MultiPolygon"} or not outline.is_valid:
                raise SampleCityError(f"{path}: feature {index} is not a valid polygon")
            value = {**feature["properties"], "outline": feature["geometry"]}
            yield _checked(Area, value, f"{path}, feature {index}")
    except (KeyError, TypeError, json.JSONDecodeError, shapely.errors.GEOSException) as error:
        raise SampleCityError(f"{path}: not a GeoJSON FeatureCollection ({error})") from error


def _gazetteer(path: Path) -> Gazetteer:
    try:
        return read_gazetteer(path)
    except (OSError, GazetteerError) as error:
        raise SampleCityError(f"{path}: {error}") from error


def load_city(path: Path) -> SampleCity:
    """The city described in the folder `path`. Raises SampleCityError with file, line and cause."""
    parts = {
        "areas": tuple(_areas(path / AREAS)),
        "leads": tuple(_table(path / LEADS, Lead)),
        "categories": tuple(_table(path / CATEGORIES, Category)),
        "texts": tuple(_table(path / TEXTS, ReportText)),
        "places": _yaml(path / PLACES, Places),
        "people": _yaml(path / PEOPLE, People),
        "day": _yaml(path / DAY, DayProfile),
        "gazetteer": _gazetteer(path / GAZETTEER),
    }
    return _checked(SampleCity, parts, str(path))
