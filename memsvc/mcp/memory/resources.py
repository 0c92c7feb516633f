"""What a host may read of a user: `memsvc://users/{user}/context`, `memories` and `document`.

Layers that the configuration hides from models are in none of them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote, unquote_to_bytes

from mcp import types

from memsvc.mcp.faces import NotThere
from memsvc.mcp.memory.tools import MemoryTools
from memsvc.mcp.whose import Whose
from memsvc_client import AsyncUser, Memory

_PREFIX: Final = "memsvc://users/"
_MOST_MEMORIES: Final = 1_000
_MOST_CHARACTERS: Final = 1_000_000
_PAGE: Final = 200

_KINDS: Final = {
    "context": ("Context", "What is known of the user, as a block for a system prompt.", "application/xml"),
    "memories": ("Memories", "The memories, last changed first: at most 1,000, and a megabyte.", "application/json"),
    "document": ("Document", "The layers as one nested document.", "application/json"),
}


def resources_of(whose: Whose) -> Sequence[types.Resource]:
    """List a user's resources."""
    return [
        types.Resource(name=kind, title=title, uri=uri_of(whose.user_id, kind), description=said, mime_type=mime_type)
        for kind, (title, said, mime_type) in _KINDS.items()
    ]


def templates() -> Sequence[types.ResourceTemplate]:
    """List the forms of the URIs."""
    return [
        types.ResourceTemplate(
            name=kind, title=title, uri_template=f"{_PREFIX}{{user}}/{kind}", description=said, mime_type=mime_type
        )
        for kind, (title, said, mime_type) in _KINDS.items()
    ]


def uri_of(user_id: str, kind: str) -> str:
    """Return the URI of a user's resource."""
    return f"{_PREFIX}{quote(user_id, safe='')}/{kind}"


async def read(user: AsyncUser, whose: Whose, tools: MemoryTools, uri: str) -> types.TextResourceContents:
    """Read a resource of this user. Raises NotThere for any other, whether there is such a user or not."""
    kind = _kind_in(uri, whose)
    if kind == "context":
        text = (await user.context()).text
    elif kind == "memories":
        text = await _memories(user, tools)
    else:
        shown = {layer.value for layer in await tools.layers(user)}
        found = await user.get() if shown else None
        document = found.to_dict() if found is not None else {}
        text = _json({name: layer for name, layer in document.items() if name in shown})
    return types.TextResourceContents(uri=uri, mime_type=_KINDS[kind][2], text=text)


def _kind_in(uri: str, whose: Whose) -> str:
    named, _, kind = uri.removeprefix(_PREFIX).partition("/")
    # Compared as bytes: hosts escape more or less than they have to.
    is_own = uri.startswith(_PREFIX) and unquote_to_bytes(named) == whose.user_id.encode()
    if not is_own or kind not in _KINDS:
        raise NotThere("There is no such resource here: resources/list names those that there are.")
    return kind


async def _memories(user: AsyncUser, tools: MemoryTools) -> str:
    layers = await tools.layers(user)
    shown: list[dict[str, Any]] = []
    size, more = 0, False
    if layers:
        async for memory in user.memories.list({"layers": layers}, page_size=_PAGE):
            each = _shown(memory)
            size += len(_json(each))
            more = len(shown) == _MOST_MEMORIES or size > _MOST_CHARACTERS
            if more:
                break
            shown.append(each)
    return _json({"memories": shown, "more": more})


def _shown(memory: Memory) -> dict[str, Any]:
    said = memory.to_dict()
    return {"number": f"m{memory.number}", **{name: said[name] for name in said if name not in ("user_id", "input")}}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1)
