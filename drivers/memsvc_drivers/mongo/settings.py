"""What the MongoDB driver is told: its URL and its options, checked."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated
from urllib.parse import unquote, urlsplit

from msgspec import Meta
from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri

from memsvc.errors import InvalidArgument, invalid
from memsvc_drivers.options import option_path, read_options

DEFAULT_DATABASE = "memsvc"

_DATABASE = re.compile(r"[A-Za-z0-9_-]{1,63}")
_COLLECTION = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")
_PREFIX = re.compile(r"([A-Za-z_][A-Za-z0-9_-]{0,39})?")


class ReadConcern(enum.StrEnum):
    """How sure a read is that what it returns is the last word."""

    MAJORITY = "majority"
    LINEARIZABLE = "linearizable"


@dataclass(frozen=True, slots=True)
class CollectionNames:
    """What each collection is called: `collection_prefix` and the field's name, or the option `collection_<field>`."""

    journal: str
    memories: str
    rows: str
    schema: str


@dataclass(frozen=True, slots=True)
class Settings:
    """How one store is kept."""

    url: str = field(repr=False)
    database: str
    names: CollectionNames
    connect_timeout_ms: Annotated[int, Meta(ge=50, le=600_000)] = 2_000
    """How long a connection may take to be made, and a server that takes writes to be found."""
    operation_timeout_ms: Annotated[int, Meta(ge=50, le=600_000)] = 10_000
    """How long any operation may take, waiting for a connection and for the majority included."""
    pool_size: Annotated[int, Meta(ge=1, le=1_000)] = 16
    """How many connections to each server, and how many calls are under way at once."""
    read_concern: ReadConcern = ReadConcern.MAJORITY
    """`linearizable` makes each read ask the majority whether its primary still is one: a round trip more."""
    projection_delay_ms: Annotated[int, Meta(ge=0, le=60_000)] = 250
    """How soon, at the earliest, what was appended shows in the collections that people read."""


def parse_settings(url: str, options: Mapping[str, str]) -> Settings:
    """Return the settings of `mongodb://host/database` or `mongodb+srv://...`. Raises InvalidArgument."""
    chosen = read_options(Settings, options, but=("url", "database", "names"), others=name_options())
    return Settings(url=url, database=_database(url), names=_names(options), **chosen)


def name_options() -> list[str]:
    """Return the options that name collections."""
    return ["collection_prefix", *(f"collection_{each.name}" for each in fields(CollectionNames))]


def described_names() -> dict[str, str]:
    """Return what the options of `name_options` are."""
    said = {f"collection_{each.name}": f"Name of the collection {each.name}." for each in fields(CollectionNames)}
    return {"collection_prefix": "What the names of all collections begin with. [default: none]", **said}


def _database(url: str) -> str:
    try:
        if url.startswith("mongodb://"):
            parse_uri(url)
        name = unquote(urlsplit(url).path.removeprefix("/"))
    except (PyMongoError, ValueError):
        # Neither the text nor the cause: they quote the URL, which may hold a password.
        raise not_a_url() from None
    if name and not _DATABASE.fullmatch(name):
        raise invalid("storage_url", "the database's name must be letters, digits, _ and -, at most 63")
    return name or DEFAULT_DATABASE


def not_a_url() -> InvalidArgument:
    """Return the error for a URL that PyMongo cannot use."""
    return invalid(
        "storage_url", "is no MongoDB URL, or has an option that PyMongo does not know: mongodb://host:27017/database"
    )


def _names(options: Mapping[str, str]) -> CollectionNames:
    prefix = options.get("collection_prefix", "")
    if not _PREFIX.fullmatch(prefix):
        raise invalid(
            option_path("collection_prefix"), f"{prefix!r} must be letters, digits, _ and -, not starting with a digit"
        )
    names: dict[str, str] = {}
    for name in (each.name for each in fields(CollectionNames)):
        option = f"collection_{name}"
        chosen = options.get(option, prefix + name)
        if not _COLLECTION.fullmatch(chosen):
            raise invalid(option_path(option), f"{chosen!r} must be letters, digits, _ and -, at most 63")
        if chosen in names.values():
            raise invalid(option_path(option), f"{chosen!r} is the name of another collection too")
        names[name] = chosen
    return CollectionNames(**names)
