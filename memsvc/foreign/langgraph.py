"""LangGraph: the table `store` of its SqliteStore, or its items as JSON.

Which label of a namespace is the user says a template: `memories.{user}` reads ("memories", "sarah") and
("memories", "sarah", "facts"). Of a value the text is at one of the names that LangMem and others write; a value
without one is kept as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from memsvc.foreign.facts import Damaged, Fact, Finds, Found, LeftOut, moment, string
from memsvc.foreign.files import is_sqlite, listed, parse_json, rows
from memsvc.foreign.metadata import as_texts

TABLE: Final = "store"
TEMPLATE: Final = "memories.{user}"
_TEXTS: Final = ("content", "text", "memory", "fact", "data", "value")


def read(path: Path, template: str = "", table: str = "") -> Finds:
    """Yield the items of a file."""
    labels = (template or TEMPLATE).split(".")
    source: Iterator[tuple[str, Mapping[str, Any] | Damaged]]
    if is_sqlite(path):
        source = rows(path, table or TABLE, ("prefix", "key", "value"))
    else:
        source = listed(path, "item", "items")
    for place, each in source:
        yield each if isinstance(each, Damaged) else _found(place, each, labels)


def _found(place: str, each: Mapping[str, Any], labels: Sequence[str]) -> Found:
    try:
        namespace = _namespace(place, each)
        if (user_id := _user_in(namespace, labels)) is None:
            return LeftOut(place, f"its namespace does not fit {'.'.join(labels)}: --template says where the user is")
        value = each.get("value")
        if isinstance(value, bytes):
            # As its SqliteStore writes it.
            value = value.decode("utf-8", "surrogateescape")
        if isinstance(value, str):
            value = parse_json(value, f"{place}: value")
        key = string(place, "key", each.get("key"))
        text, rest = _text_in(place, value)
        return Fact(
            place=place,
            source_id=json.dumps([*namespace, key], ensure_ascii=False),
            text=text,
            user_id=user_id,
            metadata=as_texts("langgraph", {"namespace": ".".join(namespace), "key": key, **rest}),
            create_time=moment(place, "created_at", each.get("created_at")),
            update_time=moment(place, "updated_at", each.get("updated_at")),
            expire_time=moment(place, "expires_at", each.get("expires_at")),
        )
    except Damaged as damaged:
        return damaged


def _namespace(place: str, each: Mapping[str, Any]) -> Sequence[str]:
    given = each.get("namespace", each.get("prefix"))
    if isinstance(given, list):
        return [string(place, "namespace", label) for label in given]
    return string(place, "namespace", given, required=True).split(".")


def _user_in(namespace: Sequence[str], labels: Sequence[str]) -> str | None:
    """Return the user; empty where the template names none, None where it does not fit."""
    if len(namespace) < len(labels):
        return None
    user_id = ""
    for label, wanted in zip(namespace, labels, strict=False):
        if wanted == "{user}":
            user_id = label
        elif wanted not in ("*", label):
            return None
    return user_id


def _text_in(place: str, value: Any) -> tuple[str, Mapping[str, Any]]:
    if isinstance(value, str):
        return string(place, "value", value, required=True), {}
    if not isinstance(value, dict):
        raise Damaged(place, "value must be an object")
    # LangMem: {"kind": "Memory", "content": {"content": "..."}}
    inner = value.get("content")
    if isinstance(inner, dict):
        text, rest = _text_in(place, inner)
        return text, {**{name: each for name, each in value.items() if name != "content"}, **rest}
    for name in _TEXTS:
        if isinstance(value.get(name), str) and value[name].strip():
            rest = {other: each for other, each in value.items() if other != name}
            return string(place, name, value[name], required=True), rest
    return string(place, "value", json.dumps(value, ensure_ascii=False), required=True), {}
