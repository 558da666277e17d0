"""Which installation a command works on: its addresses and credentials, and where they come from.

Every value has a name, the same one in the environment as in a profile; `NAME_FILE` may name a file
that holds the value of `NAME`. Looked at in this order: the profile that `--profile` names, the
environment, the profile that LASTMETRE_PROFILE names, the development stack in LASTMETRE_HOME. With
a profile the stack is not looked at: a city's address and another one's key would go together.
"""

import json
import os
import re
import tomllib
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, Self

from pydantic import ValidationError

from lastmetre.cli.console import UsedWrongly
from lastmetre.cli.endpoints import FILE, Endpoints, default_home
from lastmetre.common.contracts.base import Channel
from lastmetre.common.contracts.topics import SERVICES
from lastmetre.common.kafka.access import KafkaAccess
from lastmetre.common.service.kafka_settings import from_source

PROFILE_VARIABLE: Final = "LASTMETRE_PROFILE"
_NAME: Final = re.compile(r"[A-Z][A-Z0-9_]*")

chosen_profile: ContextVar[str | None] = ContextVar("chosen_profile", default=None)
"""What `--profile` says of the command that runs."""


class Broker(NamedTuple):
    """Where the topics are."""

    access: KafkaAccess
    topic_prefix: str


class Found(NamedTuple):
    """A value, and the name under which it stood."""

    name: str
    value: str


@dataclass(frozen=True)
class Source:
    """Values by name, and where they stand."""

    values: Mapping[str, str]
    place: str
    folder: Path
    """What the path of a `NAME_FILE` is relative to."""

    def get(self, name: str) -> str | None:
        """The value of that name, perhaps in a file of its own. An empty one is none."""
        if value := self.values.get(name):
            return value
        path = self.values.get(f"{name}_FILE")
        if not path:
            return None
        try:
            return (self.folder / path).read_text("utf-8").rstrip("\n") or None
        except OSError as error:
            raise UsedWrongly(
                f"{name}_FILE ({self.place}) names {path}, which cannot be read: {error.strerror}."
            ) from None


def kafka_access(source: Source) -> KafkaAccess:
    """How Kafka is reached as `source` says. Raises UsedWrongly."""
    try:
        return from_source(source.get)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(part) for part in each['loc'])} {each['msg']}".strip()
            for each in error.errors(include_input=False, include_url=False)
        )
        raise UsedWrongly(f"How Kafka is reached ({source.place}): {wrong}.") from None


class Installation:
    """Addresses and credentials, each looked up when it is needed and named if it is missing."""

    def __init__(self, sources: tuple[Source, ...], home: Path, *, with_home: bool) -> None:
        self._sources = sources
        self.home = home
        self._with_home = with_home

    @classmethod
    def of_stack(cls, endpoints: Endpoints, home: Path) -> Self:
        """A development stack; the environment says only what the stack does not."""
        environment = Source(os.environ, "environment", Path.cwd())
        return cls((Source(endpoints.settings(), FILE, home), environment), home, with_home=True)

    @property
    def stack_home(self) -> Path | None:
        """The folder of the development stack that this may be; None with a profile."""
        return self.home if self._with_home else None

    def first(self, *names: str) -> Found | None:
        """The first of these names that has a value in the first source that has one."""
        for source in self._sources:
            for name in names:
                if (value := source.get(name)) is not None:
                    return Found(name, value)
        return None

    def find(self, *names: str) -> str | None:
        """Its value."""
        found = self.first(*names)
        return found.value if found else None

    def need(self, what: str, *names: str) -> str:
        """The same; raises UsedWrongly that says how to give it."""
        found = self.find(*names)
        if found is None:
            raise self.missing(what, *names)
        return found

    def missing(self, what: str, *names: str) -> UsedWrongly:
        """`what` is not known: what to say, with the ways to give it."""
        stack = ""
        if self._with_home:
            none = "" if (self.home / FILE).exists() else f" (none was started in {self.home})"
            stack = f", or name a development stack's folder by LASTMETRE_HOME{none}"
        return UsedWrongly(
            f"{what} is not known: {' or '.join(names)} is not set.",
            f"set it in the environment, or in a profile (--profile or {PROFILE_VARIABLE})"
            f"{stack}. NAME_FILE may name a file that holds it.",
        )

    @property
    def is_unknown(self) -> bool:
        """Neither a broker nor a service nor a database has an address."""
        names = ["KAFKA_BOOTSTRAP_SERVERS"]
        for service in SERVICES:
            names += [*_url_names(service), _admin_name(service)]
            names += _database_names(service, read_only=True)
        return self.find(*names) is None

    # --- what commands ask for

    def broker(self) -> Broker:
        """Where Kafka is. The prefix is that of the source which names the brokers."""
        for source in self._sources:
            if source.get("KAFKA_BOOTSTRAP_SERVERS"):
                return Broker(kafka_access(source), source.get("LASTMETRE_TOPIC_PREFIX") or "")
        raise self.missing("Where Kafka is", "KAFKA_BOOTSTRAP_SERVERS")

    def is_development(self) -> bool:
        """Whether the source that names the brokers says that one broker is enough."""
        for source in self._sources:
            if source.get("KAFKA_BOOTSTRAP_SERVERS"):
                return source.get("LASTMETRE_DEVELOPMENT") == "1"
        return False

    def urls(self, service: str) -> list[str]:
        """The base URLs of the processes of a service, or the one that leads to all of them."""
        names = _url_names(service)
        return _split(self.need(f"The address of {service}", *names))

    def known_urls(self, service: str) -> list[str]:
        """The same; none if they are not known."""
        return _split(self.find(*_url_names(service)) or "")

    def admin_urls(self, service: str) -> list[str]:
        """The base URLs of the admin ports of a service's processes."""
        return _split(self.need(f"The admin address of {service}", _admin_name(service)))

    def known_admin_urls(self, service: str) -> list[str]:
        """The same; none if they are not known."""
        return _split(self.find(_admin_name(service)) or "")

    def page_url(self, service: str) -> str:
        """What links to the service's pages begin with."""
        names = [f"{service.upper()}_PUBLIC_URL", f"{service.upper()}_URL"]
        return _split(self.need(f"The address of {service}", *names))[0]

    def database(self, service: str, *, read_only: bool = False) -> str:
        """The URL of a service's database, for a role that may only read if one is known."""
        names = _database_names(service, read_only=read_only)
        return self.need(f"The address of {service}'s database", *names)

    def known_databases(self) -> dict[str, str]:
        """By service, for a role that may only read: those that are known."""
        found = {each: self.find(*_database_names(each, read_only=True)) for each in SERVICES}
        return {service: url for service, url in found.items() if url}

    def channel_key(self, channel: Channel) -> str:
        """The key by which reports may be sent through that channel."""
        return self.need(f"The key of channel {channel}", f"{channel.upper()}_CHANNEL_KEY")

    def sender(self, channel: Channel) -> str:
        """Whose key that is: part of the identity of each report."""
        return self.need(f"The sender of channel {channel}", f"{channel.upper()}_CHANNEL_SENDER")

    def link_key(self) -> str:
        """What makes and opens receipts and secret links."""
        return self.need("The key of secret links", "LASTMETRE_LINK_KEY")

    def environment_of(self, service: str) -> dict[str, str]:
        """The same, as a development stack tells it that service, the city's time zone included.

        A database that is named in our own environment is one elsewhere: all else there holds too.
        """
        if not self.is_told_by_stack(service):
            return self.environment()
        written: dict[str, str | None] = json.loads(self._told_file(service).read_text("utf-8"))
        told = {name: value for name, value in written.items() if value is not None}
        here = {n: value for n, value in os.environ.items() if written.get(n, value) is not None}
        if f"{service.upper()}_DATABASE_URL" in os.environ:
            return {**told, **os.environ}
        return {**here, **told}

    def is_told_by_stack(self, service: str) -> bool:
        """Whether a development stack here has told that service what it reads."""
        return self._with_home and self._told_file(service).exists()

    def _told_file(self, service: str) -> Path:
        return self.home / "run" / "environment" / f"{service}-0.json"

    def environment(self) -> dict[str, str]:
        """What a tool in a process of its own is told: our environment, completed."""
        told = dict(os.environ)
        for source in reversed(self._sources):
            told.update({name: value for name, value in source.values.items() if value})
        return told


def _url_names(service: str) -> list[str]:
    return [f"{service.upper()}_URL", f"{service.upper()}_PUBLIC_URL"]


def _admin_name(service: str) -> str:
    return f"{service.upper()}_ADMIN_URL"


def _database_names(service: str, *, read_only: bool) -> list[str]:
    own = [f"{service.upper()}_DATABASE_URL"]
    return [f"{service.upper()}_AUDIT_DATABASE_URL", *own] if read_only else own


def _split(urls: str) -> list[str]:
    return [each.strip().rstrip("/") for each in urls.split(",") if each.strip()]


def installation() -> Installation:
    """The one that the options and the environment of this command name."""
    home = default_home()
    environment = Source(os.environ, "environment", Path.cwd())
    if chosen := chosen_profile.get():
        return Installation((read_profile(chosen), environment), home, with_home=False)
    if named := os.environ.get(PROFILE_VARIABLE):
        return Installation((environment, read_profile(named)), home, with_home=False)
    try:
        stack: tuple[Source, ...] = (Source(Endpoints.read(home / FILE).settings(), FILE, home),)
    except FileNotFoundError:
        stack = ()
    return Installation((environment, *stack), home, with_home=True)


def profiles_file() -> Path:
    """Where profiles stand that are called by their names."""
    settings = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(settings) / "lastmetre" / "profiles.toml"


def read_profile(wanted: str) -> Source:
    """The profile of that name, or in that file. Raises UsedWrongly."""
    if "/" in wanted or wanted.endswith((".toml", ".json")):
        file = Path(wanted).absolute()
        if file.suffix == ".json":
            try:
                return Source(Endpoints.read(file).settings(), str(file), file.parent)
            except FileNotFoundError:
                raise UsedWrongly(f"There is no profile file {file}.") from None
        return Source(_checked(_tables(file), file, ""), str(file), file.parent)
    file = profiles_file()
    tables = _tables(file)
    table = tables.get(wanted)
    if not isinstance(table, dict):
        known = ", ".join(name for name, each in tables.items() if isinstance(each, dict))
        raise UsedWrongly(
            f"{file} has no profile {wanted!r}.",
            f"it has: {known or 'none'}; a file of its own is named by its path.",
        )
    return Source(_checked(table, file, f"[{wanted}] "), f"{file} [{wanted}]", file.parent)


def _tables(file: Path) -> dict[str, object]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise UsedWrongly(
            f"The profile file {file} cannot be read: {error.strerror}.",
            'docs/configuration.md, "Any installation", shows what stands in it.',
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsedWrongly(f"{file} is not TOML in UTF-8: {error}.") from None


def _checked(table: Mapping[str, object], file: Path, where: str) -> dict[str, str]:
    """Values by name; a mistake is named by its name only, for values may be secret."""
    found: dict[str, str] = {}
    for name, value in table.items():
        if not _NAME.fullmatch(name) or not isinstance(value, str):
            raise UsedWrongly(
                f"{file}: {where}{name} is not a name in capitals with a text in quotes.",
                'as in INTAKE_URL = "https://intake.example.org".',
            )
        found[name] = value
    return found
