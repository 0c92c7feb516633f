"""What the tables and views of a SQL store are called."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

from memsvc.errors import invalid
from memsvc_drivers.options import option_path

DEFAULT_PREFIX = "memsvc_"

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


@dataclass(frozen=True, slots=True)
class TableNames:
    """What each is called: `table_prefix` and the field's name, or the option `table_<field>` as it stands."""

    meta: str
    """Schema version, generation."""
    heads: str
    """Where each journal ends."""
    journal: str
    """The records."""
    rows: str
    """The rows, of every kind."""
    memories: str
    """View of the memories, for people."""
    runs: str
    """View of the runs, for people."""
    sessions: str
    """View of the sessions, for people."""
    extractions: str
    """View of the extractions, for people."""

    def __iter__(self) -> Iterator[str]:
        return iter(getattr(self, name) for name in name_fields())


def name_fields() -> list[str]:
    """Return what there is to be named."""
    return [field.name for field in fields(TableNames)]


def table_names(options: Mapping[str, str]) -> TableNames:
    """Return the names that the options ask for. Raises InvalidArgument for one that is no identifier, or taken."""
    prefix = options.get("table_prefix", DEFAULT_PREFIX)
    if prefix and not _IDENTIFIER.fullmatch(prefix):
        raise invalid(
            option_path("table_prefix"), f"{prefix!r} must be letters, digits and _, not starting with a digit"
        )
    names: dict[str, str] = {}
    for name in name_fields():
        option = f"table_{name}"
        chosen = options.get(option, prefix + name)
        blamed = option if option in options else "table_prefix"
        if not _IDENTIFIER.fullmatch(chosen) or chosen.lower().startswith("sqlite_"):
            raise invalid(option_path(blamed), f"{chosen!r} must be letters, digits and _, at most 63, not sqlite_...")
        if chosen.lower() in (taken.lower() for taken in names.values()):
            raise invalid(option_path(blamed), f"{chosen!r} is the name of another table too")
        names[name] = chosen
    return TableNames(**names)


def name_options() -> list[str]:
    """Return the options that `table_names` reads."""
    return ["table_prefix", *(f"table_{name}" for name in name_fields())]


def described_names() -> dict[str, str]:
    """Return what the options of `name_options` are."""
    tables = {f"table_{name}": f"Name of the table or view of {name}." for name in name_fields()}
    default = f"[default: {DEFAULT_PREFIX}]"
    return {"table_prefix": f"What the names of all tables begin with. {default}", **tables}
