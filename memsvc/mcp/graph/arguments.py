"""Arguments of the graph's tools. What is wrong is named by its path, and never repeated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from memsvc.mcp.faces import Arguments, Unfit
from memsvc.mcp.graph.kept import checked_name, checked_observation
from memsvc.mcp.graph.model import Entity, Relation


def entities(given: Arguments) -> Sequence[Entity]:
    """Return entities to create. Raises Unfit, as all of these."""
    return [
        Entity(
            _name(path, each, "name"),
            _name(path, each, "entityType"),
            [checked_observation(where, text) for where, text in _texts(path, each, "observations")],
        )
        for path, each in _objects(given, "entities")
    ]


def relations(given: Arguments) -> Sequence[Relation]:
    """Return relations to create or delete."""
    return [
        Relation(_name(path, each, "from"), _name(path, each, "to"), _name(path, each, "relationType"))
        for path, each in _objects(given, "relations")
    ]


def observations(given: Arguments, name: str, texts: str) -> Sequence[tuple[str, str, Sequence[str]]]:
    """Return path, entity and observations, of a list of such."""
    return [
        (path, _name(path, each, "entityName"), [text for _, text in _checked(path, each, texts)])
        for path, each in _objects(given, name)
    ]


def names(given: Arguments, name: str) -> Sequence[str]:
    """Return names of entities."""
    return [text for _, text in _texts("", given, name)]


def query(given: Arguments) -> str:
    """Return what to look for."""
    return _text("", given, "query")


def _checked(path: str, each: Mapping[str, Any], name: str) -> Iterator[tuple[str, str]]:
    for where, text in _texts(path, each, name):
        yield where, checked_observation(where, text)


def _objects(given: Arguments, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for path, each in _items("", given, name):
        if not isinstance(each, dict):
            raise Unfit(f"{path} must be an object.")
        yield path, each


def _texts(path: str, given: Mapping[str, Any], name: str) -> Iterator[tuple[str, str]]:
    for where, each in _items(path, given, name):
        yield where, _whole(where, each)


def _items(path: str, given: Mapping[str, Any], name: str) -> Iterator[tuple[str, Any]]:
    where = f"{path}.{name}" if path else name
    listed = given.get(name)
    if not isinstance(listed, list):
        raise Unfit(f"{where} must be a list.")
    for index, each in enumerate(listed):
        yield f"{where}[{index}]", each


def _name(path: str, given: Mapping[str, Any], name: str) -> str:
    return checked_name(f"{path}.{name}", _text(path, given, name))


def _text(path: str, given: Mapping[str, Any], name: str) -> str:
    return _whole(f"{path}.{name}" if path else name, given.get(name))


def _whole(where: str, value: Any) -> str:
    if not isinstance(value, str):
        raise Unfit(f"{where} must be a string.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Unfit(f"{where} must be of whole Unicode characters.") from None
    return value
