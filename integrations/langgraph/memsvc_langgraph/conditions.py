"""Which items a search is about, and which namespaces a list: as LangGraph's own stores read the conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langgraph.store.base import MatchCondition

from memsvc_langgraph.places import Namespace

_COMPARING = {
    "$gt": lambda value, than: value > than,
    "$gte": lambda value, than: value >= than,
    "$lt": lambda value, than: value < than,
    "$lte": lambda value, than: value <= than,
}


def fits(value: Mapping[str, Any], wanted: Mapping[str, Any] | None) -> bool:
    """Tell whether a value has what a filter asks for."""
    return all(_fits(value.get(key), each) for key, each in (wanted or {}).items())


def _fits(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, Mapping):
        if any(key.startswith("$") for key in wanted):
            return all(_holds(value, operator, than) for operator, than in wanted.items())
        return isinstance(value, Mapping) and all(_fits(value.get(key), each) for key, each in wanted.items())
    if isinstance(wanted, (list, tuple)):
        return (
            isinstance(value, (list, tuple))
            and len(value) == len(wanted)
            and all(_fits(each, other) for each, other in zip(value, wanted, strict=True))
        )
    return bool(value == wanted)


def _holds(value: Any, operator: str, than: Any) -> bool:
    if operator == "$eq":
        return bool(value == than)
    if operator == "$ne":
        return bool(value != than)
    if operator not in _COMPARING:
        raise ValueError(f"Unsupported operator: {operator}")
    try:
        return bool(_COMPARING[operator](float(value), float(than)))
    except (TypeError, ValueError):
        # What is no number is neither more nor less.
        return False


def is_below(namespace: Namespace, prefix: Sequence[str]) -> bool:
    return namespace[: len(prefix)] == tuple(prefix)


def matches(namespace: Namespace, conditions: Sequence[MatchCondition] | None) -> bool:
    """Tell whether a namespace meets all conditions; "*" is any label."""
    return all(_matches(namespace, condition) for condition in conditions or ())


def _matches(namespace: Namespace, condition: MatchCondition) -> bool:
    path = tuple(condition.path)
    if len(namespace) < len(path):
        return False
    if condition.match_type not in ("prefix", "suffix"):
        raise ValueError(f"Unsupported match type: {condition.match_type}")
    labels = namespace[: len(path)] if condition.match_type == "prefix" else namespace[len(namespace) - len(path) :]
    return all(wanted in ("*", label) for label, wanted in zip(labels, path, strict=True))


def common_prefix(conditions: Sequence[MatchCondition] | None) -> Namespace:
    """Return the longest prefix without wildcards that a condition asks for."""
    longest: Namespace = ()
    for condition in conditions or ():
        if condition.match_type == "prefix":
            path = tuple(condition.path)
            fixed = path[: path.index("*")] if "*" in path else path
            longest = max(longest, fixed, key=len)
    return longest
