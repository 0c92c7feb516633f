"""Filters, from their messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from memsvc.errors import invalid
from memsvc.limits import MAX_FILTER_VALUES, QUERY_BYTES, TOPIC_BYTES, check_id, check_key, check_metadata, check_text
from memsvc.rpc.fields import LAYERS, POLARITIES, TRUSTS, check_not_negative, read_enums, read_ids, read_time
from memsvc.search.filter import ALWAYS, ANY, MemoryFilter, TimeRange
from memsvc.v1 import common_pb2


class _Filtered(Protocol):
    """A request with a filter."""

    @property
    def filter(self) -> common_pb2.MemoryFilter: ...
    def HasField(self, field_name: Any) -> bool: ...  # noqa: N802


def read_filter(request: _Filtered) -> MemoryFilter:
    """Return which memories are meant; all where no filter is set."""
    if not request.HasField("filter"):
        return ANY
    wanted = request.filter
    if wanted.key_path:
        check_key("filter.key_path", wanted.key_path)
    check_text("filter.text_contains", wanted.text_contains, QUERY_BYTES)
    if len(wanted.engines) > MAX_FILTER_VALUES:
        raise invalid("filter.engines", f"must be at most {MAX_FILTER_VALUES}")
    for index, engine in enumerate(wanted.engines):
        check_id(f"filter.engines[{index}]", engine, required=False)
    check_metadata("filter.metadata", wanted.metadata)
    return MemoryFilter(
        layers=read_enums("filter.layers", wanted.layers, LAYERS),
        topics_any=_read_topics("filter.topics_any", wanted.topics_any),
        topics_all=_read_topics("filter.topics_all", wanted.topics_all),
        key_path=wanted.key_path,
        text_contains=wanted.text_contains,
        agent_ids=read_ids("filter.agent_ids", wanted.agent_ids, MAX_FILTER_VALUES),
        team_ids=read_ids("filter.team_ids", wanted.team_ids, MAX_FILTER_VALUES),
        session_ids=read_ids("filter.session_ids", wanted.session_ids, MAX_FILTER_VALUES),
        trusts=read_enums("filter.trusts", wanted.trusts, TRUSTS),
        polarities=read_enums("filter.polarities", wanted.polarities, POLARITIES),
        engines=tuple(dict.fromkeys(wanted.engines)),
        metadata=dict(wanted.metadata),
        create_time=_read_range("filter.create_time", wanted, "create_time"),
        update_time=_read_range("filter.update_time", wanted, "update_time"),
        observe_time=_read_range("filter.observe_time", wanted, "observe_time"),
        memory_ids=read_ids("filter.memory_ids", wanted.memory_ids, MAX_FILTER_VALUES),
        valid_at=(read_time("filter.valid_at", wanted.valid_at) or 1) if wanted.HasField("valid_at") else 0,
        include_superseded=wanted.include_superseded,
        config_before=check_not_negative("filter.config_before", wanted.config_before),
    )


def _read_topics(field: str, topics: Sequence[str]) -> tuple[str, ...]:
    if len(topics) > MAX_FILTER_VALUES:
        raise invalid(field, f"must be at most {MAX_FILTER_VALUES}")
    for index, topic in enumerate(topics):
        check_text(f"{field}[{index}]", topic, TOPIC_BYTES, required=True)
    return tuple(topics)


def _read_range(field: str, wanted: common_pb2.MemoryFilter, name: Any) -> TimeRange:
    return read_range(field, getattr(wanted, name)) if wanted.HasField(name) else ALWAYS


def read_range(field: str, asked: common_pb2.TimeRange) -> TimeRange:
    """Return a range of times."""
    # No memory has the time 0, "not set": a bound at the epoch itself is the same a microsecond later.
    start = (read_time(f"{field}.start_time", asked.start_time) or 1) if asked.HasField("start_time") else 0
    end = (read_time(f"{field}.end_time", asked.end_time) or 1) if asked.HasField("end_time") else 0
    return TimeRange(start, end)
