"""Reading the options of a driver, for all drivers, and saying what they are.

Each is a field of the driver's class of settings: its type with its constraints says what it may be, its default stands
beside it, the docstring under it says why.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, get_type_hints

from memsvc.errors import invalid
from memsvc.storage.options import descriptions, nearest, read_value, shown_default


def option_path(name: str) -> str:
    """Return how an error names an option."""
    return f"storage_options.{name}"


def read_options(
    settings: type[Any], options: Mapping[str, str], *, but: Iterable[str], others: Iterable[str] = ()
) -> dict[str, Any]:
    """Return the options that are fields of a dataclass of settings, each as its type has it.

    `but` names the fields that are no options, `others` the options that are read elsewhere. Raises InvalidArgument for
    an option that there is not, or that is malformed.
    """
    left_out, known = set(but), set(others)
    names = [field.name for field in dataclasses.fields(settings) if field.name not in left_out]
    for name in options:
        if name not in known and name not in names:
            # What can be no name is not repeated: a URL that was given in the place of options has its password in it.
            path = option_path(name) if name.isidentifier() else "storage_options"
            every = sorted({*known, *names})
            hint = nearest(name, every) or f": one of {', '.join(every)}"
            raise invalid(path, f"no such option{hint}")
    kinds = get_type_hints(settings, include_extras=True)
    return {name: read_value(option_path(name), kinds[name], options[name]) for name in names if name in options}


def described_options(settings: type[Any], *, but: Iterable[str] = ()) -> dict[str, str]:
    """Return what the fields of a settings dataclass are, in the words of the docstrings under them, with defaults.

    `but` names the fields that are no options. Reads the class's source: for `memsvc drivers`, not for every start.
    """
    said, left_out = descriptions(settings), set(but)
    return {
        field.name: f"{said.get(field.name, '')} [default: {_default(field)}]".strip()
        for field in dataclasses.fields(settings)
        if field.name not in left_out
    }


def _default(field: dataclasses.Field[Any]) -> str:
    return "none" if field.default is dataclasses.MISSING else shown_default(field.default)
