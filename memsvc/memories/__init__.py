"""Use cases on memories."""

from memsvc.memories.reading import MemoryOrder, MemoryPage, MemoryReader, SearchMethod, SearchResult, TopicCount
from memsvc.memories.restoring import BringBack, MemoryRestorer, Restored, Restoring, Revert
from memsvc.memories.watching import (
    Bookmark,
    ChangePage,
    Committed,
    Erased,
    Initial,
    InitialDone,
    MemoryHistory,
    WatchEvent,
)
from memsvc.memories.writing import ClearResult, Create, Delete, Guard, MemoryWriter, Operation, Target, Update

__all__ = [
    "Bookmark",
    "BringBack",
    "ChangePage",
    "ClearResult",
    "Committed",
    "Create",
    "Delete",
    "Erased",
    "Guard",
    "Initial",
    "InitialDone",
    "MemoryHistory",
    "MemoryOrder",
    "MemoryPage",
    "MemoryReader",
    "MemoryRestorer",
    "MemoryWriter",
    "Operation",
    "Restored",
    "Restoring",
    "Revert",
    "SearchMethod",
    "SearchResult",
    "Target",
    "TopicCount",
    "Update",
    "WatchEvent",
]
