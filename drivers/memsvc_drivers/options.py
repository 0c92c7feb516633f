"""Reading the options of a driver, for all drivers, and saying what they are."""

from __future__ import annotations

import ast
import dataclasses
import enum
import inspect
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

from memsvc.errors import invalid


def option_path(name: str) -> str:
    """Return how an error names an option."""
    return f"storage_options.{name}"


def refuse_unknown(options: Mapping[str, str], known: Iterable[str]) -> None:
    """Raise InvalidArgument for an option that the driver does not have."""
    for name in options:
        if name not in known:
            # What can be no name is not repeated: a URL that was given in the place of options has its password in it.
            path = option_path(name) if name.isidentifier() else "storage_options"
            raise invalid(path, f"no such option: one of {', '.join(sorted(known))}")


def integer_option(options: Mapping[str, str], name: str, default: int, *, least: int, most: int) -> int:
    """Return an option as a whole number in `least..most`. Raises InvalidArgument."""
    text = options.get(name)
    if text is None:
        return default
    try:
        value = int(text)
    except ValueError as error:
        raise invalid(option_path(name), f"{text!r} must be a whole number") from error
    if not least <= value <= most:
        raise invalid(option_path(name), f"{value} must be between {least} and {most}")
    return value


def described_options(settings: type[Any], *, but: Iterable[str] = ()) -> dict[str, str]:
    """Return what the fields of a settings dataclass are, in the words of the docstrings under them, with defaults.

    `but` names the fields that are no options. Reads the class's source: for `memsvc drivers`, not for every start.
    """
    (tree,) = ast.parse(inspect.getsource(settings)).body
    assert isinstance(tree, ast.ClassDef)
    said = {}
    for pair in pairwise(tree.body):
        match pair:
            case (ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(docstring)))):
                said[name] = " ".join(docstring.split())
    left_out = set(but)
    return {
        field.name: f"{said.get(field.name, '')} [default: {_shown(field)}]".strip()
        for field in dataclasses.fields(settings)
        if field.name not in left_out
    }


def _shown(field: dataclasses.Field[Any]) -> str:
    default = field.default
    if default is dataclasses.MISSING or default in ("", None):
        return "none"
    return str(default.value if isinstance(default, enum.Enum) else default).lower()
