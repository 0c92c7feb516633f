"""Changes of a document as JSON Patch (RFC 6902), which admission webhooks answer and `memsvc inject` carries out."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Literal

from msgspec import Struct


class Operation(Struct, frozen=True, omit_defaults=True):
    """One step."""

    op: Literal["add", "remove"]
    path: str
    value: Any = None


def pointer(*parts: str | int) -> str:
    """Return a JSON Pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def apply(document: Any, operations: Sequence[Operation]) -> None:
    """Carry out operations on mappings and lists, in place.

    A list that stands at several places of a YAML document, by an alias, gets what is added at its end once.
    """
    appended: list[tuple[int, Any]] = []
    for operation in operations:
        *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in operation.path.split("/")[1:]]
        place = document
        for part in parents:
            place = place[int(part)] if isinstance(place, list) else place[part]
        if operation.op == "remove":
            del place[int(last) if isinstance(place, list) else last]
        elif not isinstance(place, list):
            place[last] = copy.deepcopy(operation.value)
        elif last != "-":
            place.insert(int(last), copy.deepcopy(operation.value))
        elif (id(place), operation.value) not in appended:
            appended.append((id(place), operation.value))
            place.append(copy.deepcopy(operation.value))
