"""What a memory, a message and a run may be: checked wherever one comes in, from a client or a model.

Every check raises InvalidArgument that names the field; nothing is ever cut.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from memsvc.errors import invalid
from memsvc.invisible import hides
from memsvc.model import Layer, Memory, Message, Part, Polarity, ProviderPart, ToolCallPart, ToolResultPart

ID_BYTES = 256
TEXT_BYTES = 8 << 10
KEY_BYTES = 200
TOPICS = 32
TOPIC_BYTES = 64
METADATA_BYTES = 4 << 10
MESSAGE_BYTES = 256 << 10
RUN_BYTES = 2 << 20
MESSAGE_PARTS = 1_000
RUN_MESSAGES = 1_000
BATCH_OPERATIONS = 1_000
QUERY_BYTES = 8 << 10
REPLY_BYTES = 3 << 20
PAGE_SIZE = 100
MAX_PAGE_SIZE = 1_000
MAX_FILTER_VALUES = 100
MAX_SHARED_USERS = 8

_SURELY_FITS = ID_BYTES // 4
"""No character takes more than four bytes."""
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)*\Z")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")


def check_id(field: str, value: str, *, required: bool = True) -> None:
    """Raise unless `value` is an id: 1 to 256 bytes of printable Unicode (or empty, where not required)."""
    if not value:
        if required:
            raise invalid(field, "must not be empty")
        return
    if len(value) > _SURELY_FITS and len(value.encode()) > ID_BYTES:
        raise invalid(field, f"must be at most {ID_BYTES} bytes")
    if not value.isprintable() or (not value.isascii() and hides(value)):
        raise invalid(field, "must be printable characters")


def check_request_id(value: str) -> None:
    """Raise unless `value` is empty or a UUID."""
    if value and not _UUID.match(value):
        raise invalid("request_id", "must be a UUID")


def check_text(field: str, value: str, limit: int = TEXT_BYTES, *, required: bool = False) -> None:
    """Raise if `value` is longer than `limit` bytes of UTF-8, has a NUL or, where required, is blank."""
    if required and not value.strip():
        raise invalid(field, "must not be empty")
    if len(value) > limit or len(value.encode()) > limit:
        raise invalid(field, f"must be at most {limit} bytes")
    if "\0" in value:
        raise invalid(field, "must not contain NUL")


def check_key(field: str, key: str) -> None:
    """Raise unless `key` is words of [A-Za-z][A-Za-z0-9_]* joined by dots, at most 200 bytes."""
    if len(key) > KEY_BYTES:
        raise invalid(field, f"must be at most {KEY_BYTES} bytes")
    if not _KEY.match(key):
        raise invalid(field, "must be words of [A-Za-z][A-Za-z0-9_]* joined by dots")


def check_topics(field: str, topics: Sequence[str]) -> None:
    """Raise unless there are at most 32 topics of at most 64 bytes."""
    if len(topics) > TOPICS:
        raise invalid(field, f"must be at most {TOPICS}")
    for index, topic in enumerate(topics):
        check_text(f"{field}[{index}]", topic, TOPIC_BYTES, required=True)


def check_metadata(field: str, metadata: Mapping[str, str]) -> None:
    """Raise if the map is larger than 4 KiB."""
    if not metadata:
        return
    size = sum(len(key.encode()) + len(value.encode()) for key, value in metadata.items())
    if size > METADATA_BYTES:
        raise invalid(field, f"must be at most {METADATA_BYTES} bytes in all")
    if any("\0" in key or "\0" in value for key, value in metadata.items()):
        raise invalid(field, "must not contain NUL")


def check_json(field: str, value_json: str) -> None:
    """Raise unless `value_json` is empty or JSON of at most 8 KiB."""
    if not value_json:
        return
    check_text(field, value_json)
    _parsed(field, value_json)


def _parsed(field: str, text: str) -> object:
    """Return what JSON says. Raises InvalidArgument for what is none: NaN is not."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise invalid(field, "must be JSON") from None


def _no_constant(name: str) -> None:
    raise ValueError(name)


def check_memory(memory: Memory, path: str = "memory") -> None:
    """Raise if a field of the memory breaks a limit. `path` is where the memory is in the request."""
    check_fields(memory, path, text_required=True)
    if memory.value_json and not memory.key:
        raise invalid(f"{path}.value_json", "needs a key")
    if memory.polarity is not Polarity.NONE and memory.layer is not Layer.FEEDBACK:
        raise invalid(f"{path}.polarity", "is for FEEDBACK only")


def check_fields(memory: Memory, path: str, *, text_required: bool) -> None:
    """Raise if a field of the memory breaks a limit by itself, whatever the others are."""
    check_text(f"{path}.text", memory.text, required=text_required)
    if memory.key:
        check_key(f"{path}.key", memory.key)
    if memory.value_json:
        check_json(f"{path}.value_json", memory.value_json)
    if memory.topics:
        check_topics(f"{path}.topics", memory.topics)
    if memory.input:
        check_text(f"{path}.input", memory.input)
    if memory.metadata:
        check_metadata(f"{path}.metadata", memory.metadata)
    # A fact of the past may have been replaced in the moment in which it began.
    least = memory.valid_from if memory.superseded else memory.valid_from + 1
    if memory.valid_from and memory.valid_to and memory.valid_to < least:
        raise invalid(f"{path}.valid_to", "must be after valid_from")
    origin = memory.origin
    for name in ("agent_id", "team_id", "session_id", "run_id", "message_id", "author_id"):
        value = getattr(origin, name)
        if value:
            check_id(f"{path}.origin.{name}", value)


def check_message(message: Message, path: str) -> int:
    """Raise if the message breaks a limit; return its size in bytes."""
    if not message.parts:
        raise invalid(f"{path}.parts", "must not be empty")
    for name in ("message_id", "author_id", "name"):
        value = getattr(message, name)
        if value:
            check_id(f"{path}.{name}", value)
    size = sum(_check_part(part, f"{path}.parts[{index}]") for index, part in enumerate(message.parts))
    if size > MESSAGE_BYTES:
        raise invalid(path, f"must be at most {MESSAGE_BYTES} bytes")
    return size


def _check_part(part: Part, path: str) -> int:
    """Raise if the part breaks a limit; return its size in bytes."""
    if isinstance(part, ToolCallPart):
        # Clients parse it before they look: it must be what they expect.
        if not isinstance(_parsed(f"{path}.tool_call.arguments_json", part.arguments_json), dict):
            raise invalid(f"{path}.tool_call.arguments_json", "must be a JSON object")
    elif isinstance(part, ProviderPart):
        check_id(f"{path}.provider.provider", part.provider, required=False)
        _parsed(f"{path}.provider.json", part.json)
    size = 0
    for name in part.__struct_fields__:
        value = getattr(part, name)
        if isinstance(value, str):
            if "\0" in value:
                raise invalid(path, "must not contain NUL")
            size += len(value.encode())
    if isinstance(part, ToolResultPart):
        size += sum(_check_part(each, f"{path}.tool_result.parts[{index}]") for index, each in enumerate(part.parts))
    return size


def check_messages(messages: Sequence[Message], path: str) -> int:
    """Raise if there is no message, or one or all of them break a limit; return their size in bytes."""
    if not messages:
        raise invalid(path, "must not be empty")
    if len(messages) > RUN_MESSAGES:
        raise invalid(path, f"must be at most {RUN_MESSAGES}")
    size = sum(check_message(message, f"{path}[{index}]") for index, message in enumerate(messages))
    if size > RUN_BYTES:
        raise invalid(path, f"must be at most {RUN_BYTES} bytes in all")
    return size


def page_size(asked: int) -> int:
    """Return the page size for what was asked: 0 is 100, above 1,000 is 1,000."""
    if asked < 0:
        raise invalid("page_size", "must not be negative")
    return min(asked or PAGE_SIZE, MAX_PAGE_SIZE)
