"""The rows that runs are found by, and when they are made.

What a run can be found by takes a third of what it takes to store it. So of a run that is learned from it is stored
with what was learned; until then the user's state owes it, and who searches makes it of the run. For example:

    AppendRun -> run, said_owed: r1      search -> r1, read and analysed      learned -> memories, r1's SAID row
"""

from __future__ import annotations

from typing import Final

from memsvc.journal.state import State
from memsvc.model import Run, encode
from memsvc.search.embedders.contract import InstantEmbedder
from memsvc.search.said import said_in
from memsvc.search.text import shared_analyzer
from memsvc.storage.driver import Row, RowKind

_MOST_RUNS: Final = 32
"""So many are owed at most: they are part of the state, and a search makes them all."""
_MOST_BYTES: Final = 64 << 10
"""A larger run's row is stored with it: learning's record has no room for any number of such rows."""


def may_owe(state: State, size_bytes: int) -> bool:
    """Return whether the SAID row of a new run that is learned from may be owed."""
    return size_bytes <= _MOST_BYTES and len(state.core.said_owed) < _MOST_RUNS


def said_rows(run: Run, embedder: InstantEmbedder | None) -> list[Row]:
    """Return the SAID row of a run; nothing where nothing in it can be found."""
    said = said_in(run, shared_analyzer, embedder)
    return [Row(RowKind.SAID, run.run_id, encode(said), "", run.index)] if said.messages else []
