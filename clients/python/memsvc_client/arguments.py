"""Arguments are checked by their annotations before a call is built: what is wrong is named as the caller wrote it."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

from memsvc_client.selection import Consistency
from memsvc_client.wire import boolean, string

Check = Callable[[str, Any], object]

_INT32 = 2**31 - 1
_INT64 = 2**63 - 1
_REVISIONS = frozenset({"expected_revision", "at_least_revision", "as_of_revision"})


def argument_checks(build: Callable[..., object]) -> tuple[tuple[str, ...], Mapping[str, Check]]:
    """Return the names of the positional parameters of `build`, without its subject, and the checks by name."""
    _, *parameters = inspect.signature(build).parameters.values()
    positional = tuple(each.name for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD)
    return positional, {each.name: _CHECKS[each.annotation] for each in parameters if each.annotation in _CHECKS}


def whole_number(name: str, value: object) -> None:
    """Raises TypeError or ValueError unless it is a number that the API can hold; none of them is negative."""
    most = _INT64 if name in _REVISIONS else _INT32
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be a whole number, not {value!r:.80}")
    if not 0 <= value <= most:
        raise ValueError(f"{name} must be from 0 to {most}, not {value}")


def number(name: str, value: object) -> None:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number, not {value!r:.80}")
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{name} must be finite and not negative, not {value}")


def _consistency(name: str, value: object) -> None:
    if not isinstance(value, Consistency):
        raise TypeError(f"{name} must be a Consistency, not {value!r:.80}")


def _mapping(name: str, value: object) -> None:
    if not isinstance(value, Mapping):
        raise TypeError(f'{name} must be a dict, as {{"topics_any": ["hobbies"]}}, not {value!r:.80}')


def _optional(check: Check) -> Check:
    return lambda name, value: None if value is None else check(name, value)


_CHECKS: Mapping[str, Check] = {
    "str": string,
    "str | None": _optional(string),
    "bool": boolean,
    "bool | None": _optional(boolean),
    "int": whole_number,
    "int | None": _optional(whole_number),
    "float": number,
    "float | None": _optional(number),
    "Consistency | None": _optional(_consistency),
    "MemoryFilter | None": _optional(_mapping),
}
