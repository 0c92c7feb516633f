"""Context as XML tags around indented lines."""

from __future__ import annotations

from memsvc.context.folding import one_line
from memsvc.context.outline import Outline
from memsvc.model import Layer

_TAGS = {
    Layer.POLICY: "user_policies",
    Layer.PROFILE: "user_profile",
    Layer.KNOWLEDGE: "user_knowledge",
    Layer.FEEDBACK: "user_feedback",
}


class XmlForm:
    """`<user_memory>` around a tag per layer; what shared users remember is in `<shared_memory user="...">`."""

    separator = ""

    def __init__(self, wrapped: bool, shared: bool) -> None:
        self._wrapped = wrapped
        self._depth = wrapped + shared
        outline = Outline(self._depth + 1, "", escape)
        self.entry = outline.entry
        self.branch = outline.branch

    def wrapper(self) -> tuple[str, str]:
        return ("<user_memory>\n", "</user_memory>\n") if self._wrapped else ("", "")

    def shared(self, stable: bool) -> tuple[str, str]:
        return "", ""

    def shared_user(self, user_id: str) -> tuple[str, str]:
        indent = "  " * self._wrapped
        user = escape(one_line(user_id)).replace('"', "&quot;")
        return f'{indent}<shared_memory user="{user}">\n', f"{indent}</shared_memory>\n"

    def layer(self, layer: Layer) -> tuple[str, str]:
        indent = "  " * self._depth
        return f"{indent}<{_TAGS[layer]}>\n", f"{indent}</{_TAGS[layer]}>\n"


def escape(line: str) -> str:
    """Return a line without anything that XML would take for a tag, an entity or the end of CDATA."""
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
