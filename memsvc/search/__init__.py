"""Search over one user's memories."""

from memsvc.search.lexical import Hit, LexicalIndex

__all__ = ["Hit", "LexicalIndex"]
