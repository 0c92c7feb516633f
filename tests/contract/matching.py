"""What a case expects, held against what came: in part, and with names for what is not known before.

`expected` is what the case's file says. Numbers may come as strings (int64 in protojson); what is empty may
be missing.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any

from memsvc.v1 import admin_pb2, common_pb2, context_pb2, extraction_pb2, memory_pb2, session_pb2, tool_pb2

Names = MutableMapping[str, Any]
"""What the `$name`s of a case stand for."""

_FILES = (admin_pb2, common_pb2, context_pb2, extraction_pb2, memory_pb2, session_pb2, tool_pb2)
_KNOWN = frozenset(
    name for file in _FILES for each in file.DESCRIPTOR.enum_types_by_name.values() for name in each.values_by_name
)
_EMPTY = (None, "", 0, False, [], {})


class Mismatch(AssertionError):
    """What came is not what was expected; the message says where."""


def filled(value: Any, names: Names) -> Any:
    """Return `value` with what its `$name`s and `${name}`s stand for. Raises Mismatch for one unknown."""
    match value:
        case str() if value.startswith("$") and value[1:] in names:
            return names[value[1:]]
        case str():
            return re.sub(r"\$\{(\w+)\}", lambda found: str(_named(found[1], names)), value)
        case Mapping():
            return {key: filled(each, names) for key, each in value.items()}
        case list():
            return [filled(each, names) for each in value]
        case _:
            return value


def check(expected: Any, came: Any, names: Names, where: str = "") -> None:
    """Raise Mismatch unless `came` holds what is expected; names that stand for nothing yet take what is there."""
    match expected:
        case str() if expected.startswith("$"):
            _check_named(expected[1:], came, names, where)
        case str():
            _require(filled(expected, names) == (came or ""), expected, came, where)
        case bool() | None:
            _require(bool(expected) == bool(came), expected, came, where)
        case int() | float():
            _require(_number(came) is not None and math.isclose(expected, _number(came) or 0), expected, came, where)
        case Mapping() if len(expected) == 1 and (name := next(iter(expected))) in _WAYS:
            _WAYS[name](expected[name], came, names, f"{where} {name}")
        case Mapping():
            _require(isinstance(came or {}, Mapping), expected, came, where)
            for key, each in expected.items():
                check(each, (came or {}).get(key), names, f"{where}.{key}")
        case list():
            given = came or []
            _require(isinstance(given, Sequence) and len(given) == len(expected), expected, came, where)
            for index, each in enumerate(expected):
                check(each, given[index], names, f"{where}[{index}]")
        case _:
            raise TypeError(f"nothing can be compared with {expected!r}")


def matches(expected: Any, came: Any, names: Names) -> bool:
    """Tell whether `came` holds what is expected; the names are left as they are where it does not."""
    tried = dict(names)
    try:
        check(expected, came, tried)
    except Mismatch:
        return False
    names.update(tried)
    return True


def _check_named(name: str, came: Any, names: Names, where: str) -> None:
    if name == "any":
        _require(came not in _EMPTY, "something", came, where)
    elif name == "unknown":
        _require(
            isinstance(came, int) or (isinstance(came, str) and came not in _KNOWN), "an unknown value", came, where
        )
    elif name in names:
        _require(str(names[name]) == str(came), names[name], came, where)
    else:
        _require(came not in _EMPTY, f"something for ${name}", came, where)
        names[name] = came


def _contains(expected: Any, came: Any, names: Names, where: str) -> None:
    for each in expected:
        _require(any(matches(each, one, names) for one in came or []), each, came, where)


def _above(expected: Any, came: Any, names: Names, where: str) -> None:
    least = _number(filled(expected, names))
    _require(least is not None and (_number(came) or 0) > least, expected, came, where)


def _json(expected: Any, came: Any, names: Names, where: str) -> None:
    check(expected, json.loads(came) if came else None, names, where)


def _not(expected: Any, came: Any, names: Names, where: str) -> None:
    _require(not matches(expected, came, dict(names)), expected, came, where)


def _includes(expected: Any, came: Any, names: Names, where: str) -> None:
    _require(filled(expected, names) in (came or ""), expected, came, where)


def _count(expected: Any, came: Any, names: Names, where: str) -> None:
    _require(len(came or []) == _number(filled(expected, names)), expected, len(came or []), where)


_WAYS: Mapping[str, Callable[[Any, Any, Names, str], None]] = {
    "$contains": _contains,
    "$above": _above,
    "$json": _json,
    "$not": _not,
    "$includes": _includes,
    "$count": _count,
}


def _number(value: Any) -> float | None:
    """Return a number, also one in a string; what is missing is 0."""
    if value is None:
        return 0
    if isinstance(value, str):
        return float(value) if re.fullmatch(r"-?\d+(\.\d+)?", value) else None
    return value if isinstance(value, (int, float)) else None


def _named(name: str, names: Names) -> Any:
    if name not in names:
        raise Mismatch(f"${name} stands for nothing yet")
    return names[name]


def _require(right: bool, expected: Any, came: Any, where: str) -> None:
    if not right:
        raise Mismatch(f"{where.strip('.') or 'it'}: expected {_short(expected)}, and {_short(came)} came")


def _short(value: Any) -> str:
    return f"{json.dumps(value, ensure_ascii=False, default=str):.600}"
