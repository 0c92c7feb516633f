"""Context as XML tags around indented lines."""

from __future__ import annotations

from memsvc.context.form import Entry
from memsvc.context.outline import one_line, outline_branch, outline_entry
from memsvc.model import Layer, Memory

_TAGS = {
    Layer.POLICY: "user_policies",
    Layer.PROFILE: "user_profile",
    Layer.KNOWLEDGE: "user_knowledge",
    Layer.FEEDBACK: "user_feedback",
}


class XmlForm:
    """`<user_memory>` around a tag per layer; what shared users remember is in `<shared_memory user="...">`."""

    separator = ""

    def __init__(self, omit_wrapper: bool) -> None:
        self._wrapped = not omit_wrapper

    def wrapper(self) -> tuple[str, str]:
        return ("<user_memory>\n", "</user_memory>\n") if self._wrapped else ("", "")

    def shared(self, stable: bool) -> tuple[str, str]:
        return "", ""

    def shared_user(self, user_id: str) -> tuple[str, str]:
        indent = "  " * self._wrapped
        user = escape(one_line(user_id)).replace('"', "&quot;")
        return f'{indent}<shared_memory user="{user}">\n', f"{indent}</shared_memory>\n"

    def layer(self, layer: Layer, shared: bool) -> tuple[str, str]:
        indent = "  " * (self._wrapped + shared)
        return f"{indent}<{_TAGS[layer]}>\n", f"{indent}</{_TAGS[layer]}>\n"

    def branch(self, path: tuple[str, ...], shared: bool) -> tuple[str, str]:
        return outline_branch(path, 1 + self._wrapped + shared, "", escape)

    def entry(self, memory: Memory, shared: bool) -> Entry:
        return outline_entry(memory, 1 + self._wrapped + shared, "", escape)


def escape(line: str) -> str:
    """Return a line without anything that XML would take for a tag, an entity or the end of CDATA."""
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
