"""Use cases on vectors: they are made after the write, stored beside the memories, and read for a search."""

from memsvc.meaning.meaning import Meaning

__all__ = ["Meaning"]
