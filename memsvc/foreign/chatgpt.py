"""ChatGPT: the `conversations*.json` of an export, alone or in its ZIP; each exchange of a conversation is a run.

A conversation is a tree, for messages are edited and answers made anew: what is read is the branch that ends at its
current node. What was said besides in tools, in hidden messages or as images stays behind.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from memsvc.foreign.facts import Damaged, Finds, Found, LeftOut, Said, Turn, mapping, moment, string
from memsvc.foreign.files import MOST_BYTES, parse_json, read_text
from memsvc.model import Role

_NAMES: Final = re.compile(r"(?:.*/)?conversations[^/]*\.json")
_ROLES: Final = {"user": Role.USER, "assistant": Role.ASSISTANT}


def read(path: Path) -> Finds:
    """Yield the exchanges of a file."""
    for name, text in _texts(path):
        whole = parse_json(text, name)
        if isinstance(whole, dict) and "mapping" in whole:
            whole = [whole]
        if not isinstance(whole, list):
            raise Damaged(name, "must be a list of conversations")
        for number, conversation in enumerate(whole, start=1):
            place = f"{name}, conversation {number}" if name else f"conversation {number}"
            try:
                if not isinstance(conversation, dict):
                    raise Damaged(place, "must be an object")
                yield from _turns(place, conversation)
            except Damaged as damaged:
                yield damaged


def _texts(path: Path) -> Iterator[tuple[str, str]]:
    if not zipfile.is_zipfile(path):
        yield "", read_text(path)
        return
    try:
        with zipfile.ZipFile(path) as archive:
            found = [each for each in archive.infolist() if _NAMES.fullmatch(each.filename)]
            if not found:
                raise Damaged("", "holds no conversations.json")
            if sum(each.file_size for each in found) > MOST_BYTES:
                raise Damaged("", f"holds more than {MOST_BYTES >> 20} MiB")
            for each in sorted(found, key=lambda entry: entry.filename):
                yield each.filename, archive.read(each).decode("utf-8-sig")
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, UnicodeDecodeError):
        raise Damaged("", "cannot be read as a ZIP archive") from None


def _turns(place: str, conversation: Mapping[str, Any]) -> Iterator[Found]:
    session_id = string(place, "id", conversation.get("conversation_id") or conversation.get("id"), required=True)
    title = string(place, "title", conversation.get("title"))
    said: list[Said] = []
    left_out = 0
    for node in _branch(place, conversation):
        message = _said(place, node)
        if message is None:
            left_out += node.get("message") is not None
            continue
        if message.role is Role.USER and said:
            yield _turn(place, session_id, title, said)
            said = []
        said.append(message)
    if said:
        yield _turn(place, session_id, title, said)
    if left_out:
        yield LeftOut(place, f"{left_out} messages of tools, hidden ones or without text are not imported")


def _branch(place: str, conversation: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the nodes from the first to the current one."""
    nodes = mapping(place, "mapping", conversation.get("mapping"))
    current = conversation.get("current_node")
    if current is None:
        # Of a tree without a current node, the one that was made last.
        leaves = [name for name, node in nodes.items() if isinstance(node, dict) and not node.get("children")]
        current = leaves[-1] if leaves else None
    branch: list[Mapping[str, Any]] = []
    seen: set[object] = set()
    while current is not None:
        if not isinstance(current, str) or current not in nodes or current in seen:
            raise Damaged(place, "is no tree of messages")
        seen.add(current)
        branch.append(mapping(place, "node", nodes[current]))
        current = branch[-1].get("parent")
    return branch[::-1]


def _said(place: str, node: Mapping[str, Any]) -> Said | None:
    message = mapping(place, "message", node.get("message"))
    role = _ROLES.get(str(mapping(place, "author", message.get("author")).get("role")))
    content = mapping(place, "content", message.get("content"))
    hidden = mapping(place, "metadata", message.get("metadata")).get("is_visually_hidden_from_conversation")
    if role is None or hidden or message.get("recipient") not in (None, "all"):
        return None
    parts = content.get("parts")
    texts = [part for part in parts if isinstance(part, str)] if isinstance(parts, list) else []
    text = string(place, "text", "\n".join(texts))
    if content.get("content_type") not in ("text", "multimodal_text") or not text.strip():
        return None
    time = moment(place, "create_time", message.get("create_time"))
    return Said(role, text, time, string(place, "id", message.get("id")))


def _turn(place: str, session_id: str, title: str, said: Sequence[Said]) -> Turn:
    run_id = f"{session_id}/{said[0].message_id}"
    return Turn(place=place, session_id=session_id, run_id=run_id, messages=said, title=title)
