"""Reads what people set, as text or as TOML's values, into the type that the setting has, and says what it may be.

A class of settings (`memsvc.config.Config`, the settings of a driver) is a Struct of msgspec: the type of a field
with its constraints (`Annotated[int, Meta(ge=1)]`) says what it may be, its default stands beside it, the docstring
under it says why. Errors, `--help`, `memsvc drivers` and docs/configuration.md are made from these.
"""

from __future__ import annotations

import ast
import enum
import inspect
import textwrap
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from msgspec import inspect as types

from memsvc.errors import invalid

Secret = Annotated[str, Meta(extra={"secret": True})]
"""Text that is never shown: not in a log, not in an error."""
File = Annotated[str, Meta(extra={"file": True})]
"""The path of a file."""


def read_value(path: str, kind: Any, value: object) -> Any:
    """Return `value` as `kind`; `path` is how an error names the setting. Raises InvalidArgument.

    A list is written with commas; a mapping as `name=value,...` or as a JSON object.
    """
    plain, extra = _plain(kind)
    try:
        if isinstance(plain, types.DictType):
            value = _mapping(value, plain)
        elif isinstance(plain, types.ListType):
            value = _items(value)
        elif isinstance(value, str) and not isinstance(plain, types.StrType):
            value = _choice(value.strip(), plain)
        return msgspec.convert(value, kind, strict=False)
    except (ValueError, OverflowError):
        given = "" if extra.get("secret") or isinstance(plain, types.DictType) else f", not {value!r:.100}"
        raise invalid(path, f"must be {wanted(kind)}{given}") from None


def wanted(kind: Any) -> str:
    """Return what a value of `kind` is, in words: `a whole number from 1 to 64`."""
    plain, _ = _plain(kind)
    match plain:
        case types.UnionType(types=members):
            return " or ".join(_wanted(member) for member in members if not isinstance(member, types.NoneType))
        case _:
            return _wanted(plain)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint at the known name that was probably meant; empty where there is none."""
    import difflib

    by_case = {each.lower(): each for each in known}
    found = difflib.get_close_matches(name.lower().replace("-", "_"), list(by_case), n=1, cutoff=0.6)
    return f"; did you mean {by_case[found[0]]}?" if found else ""


def choices(kind: Any) -> list[str]:
    """Return the values that there are to choose from; empty where they are not listed."""
    plain, _ = _plain(kind)
    return _choices(plain)


def is_marked(kind: Any, mark: str) -> bool:
    """Return whether the type says that of itself: `secret`, `file`."""
    return bool(_plain(kind)[1].get(mark))


def descriptions(settings: type[Any]) -> dict[str, str]:
    """Return the docstrings under the fields of a class. Reads its source: for people who ask, not for every start."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(settings))).body
    assert isinstance(tree, ast.ClassDef)
    said = {}
    for pair in pairwise(tree.body):
        match pair:
            case (ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(docstring)))):
                said[name] = " ".join(docstring.split())
    return said


def shown_default(default: object) -> str:
    """Return a default as one would write it."""
    if default in ("", None) or default == {} or default == []:
        return "none"
    if isinstance(default, enum.Enum):
        return str(default.value)
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, (list, tuple)):
        return ",".join(str(each) for each in default)
    if isinstance(default, float):
        return f"{default:.12g}"
    return str(default)


def _plain(kind: Any) -> tuple[types.Type, Mapping[str, Any]]:
    described = types.type_info(kind)
    extra: dict[str, Any] = {}
    while isinstance(described, types.Metadata):
        extra |= described.extra or {}
        described = described.type
    return described, extra


def _wanted(plain: types.Type) -> str:
    match plain:
        case types.BoolType():
            return "true or false"
        case types.IntType():
            return "a whole number" + _range(plain)
        case types.FloatType():
            return "a number" + _range(plain)
        case types.LiteralType() | types.EnumType():
            return "one of " + ", ".join(_choices(plain))
        case types.ListType(min_length=least):
            return "text with commas or a list of text" + (", not empty" if least else "")
        case types.DictType():
            return "name=value,... or a JSON object"
        case types.StrType(min_length=least):
            return "text" + (", not empty" if least else "")
        case _:
            return type(plain).__name__


def _range(number: types.IntType | types.FloatType) -> str:
    low = "" if number.ge is None else f"from {number.ge:,.12g}"
    low = low if number.gt is None else f"above {number.gt:,.12g}"
    high = "" if number.le is None else f"{'to' if low.startswith('from') else 'up to'} {number.le:,.12g}"
    return "".join(f" {part}" for part in (low, high) if part)


def _choices(plain: types.Type) -> list[str]:
    if isinstance(plain, types.LiteralType):
        return [str(value) for value in plain.values]
    if isinstance(plain, types.EnumType):
        return [str(member.value) for member in plain.cls]
    return []


def _choice(text: str, plain: types.Type) -> str:
    """Return the choice that `text` is, whatever its case; else `text`."""
    return next((choice for choice in _choices(plain) if choice.lower() == text.lower()), text)


def _items(value: object) -> list[object]:
    if isinstance(value, str):
        return [item.strip() for item in value.split(",") if item.strip()]
    if isinstance(value, (list, tuple)):
        return list(value)
    raise ValueError("neither text nor a list")


def _mapping(value: object, plain: types.DictType) -> object:
    if isinstance(value, str) and value.lstrip().startswith("{"):
        return msgspec.json.decode(value)
    if isinstance(value, (str, list, tuple)):
        pairs = [str(item).partition("=") for item in _items(value)]
        if not all(name.strip() and separator for name, separator, _ in pairs):
            raise ValueError("not name=value")
        value = {name.strip(): item.strip() for name, _, item in pairs}
    if not isinstance(value, Mapping):
        raise ValueError("no mapping")
    if isinstance(plain.value_type, types.AnyType):
        return {name: _json(item) for name, item in value.items()}
    # TOML's numbers and booleans are as good as their text.
    return {name: item if isinstance(item, str) else _text(item) for name, item in value.items()}


def _json(item: object) -> object:
    if not isinstance(item, str):
        return item
    try:
        return msgspec.json.decode(item)
    except msgspec.DecodeError:
        return item


def _text(item: object) -> str:
    if isinstance(item, bool):
        return str(item).lower()
    if isinstance(item, (int, float)):
        return str(item)
    raise ValueError("neither text nor a number")
