"""The history of a hot user: the index of what was said, and which runs came since it was read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from memsvc.journal.records import Body
from memsvc.search.history import HistoryIndex
from memsvc.search.postings import Gathered
from memsvc.search.said import SaidRun

_RUNS_A_SLICE = 200


class HotHistory:
    """Follows the user's runs, also while it is read: what is replaced goes at once, what is new is read next time."""

    def __init__(self, model: str = "") -> None:
        """`model` is the embedder's; empty: there is none."""
        self.index = HistoryIndex(model)
        self.unread: dict[str, None] = {}
        """Runs that were stored since, in order."""
        self.read = asyncio.Event()
        """Set once the newest messages are in the index."""
        self._gone: set[str] = set()

    def add(self, runs: Iterable[tuple[str, int, SaidRun]]) -> None:
        """Take in runs that were read, each with its id and index, oldest first."""
        self.index.add_all(run for run in runs if run[0] not in self._gone)

    async def add_many(self, runs: Sequence[tuple[str, int, SaidRun]]) -> None:
        """The same, letting the event loop go on meanwhile; nothing is found before it ends."""
        gathered = Gathered()
        for first in range(0, len(runs), _RUNS_A_SLICE):
            part = runs[first : first + _RUNS_A_SLICE]
            self.index.gather((run for run in part if run[0] not in self._gone), gathered)
            await asyncio.sleep(0)
        self.index.note(await gathered.ordered_aside(), gathered)

    def move(self, body: Body) -> bool:
        """Follow a record; False: all has to be read anew."""
        if body.session_deletion is not None or body.erase is not None or body.rewritten:
            return False
        if body.forgotten is not None and body.forgotten.runs:
            return False
        for run in body.stored_runs:
            if not run.session_id:
                continue
            self.unread[run.run_id] = None
            replaced = run.replaces_run_id
            if replaced:
                self.index.remove(replaced)
                self.unread.pop(replaced, None)
                self._gone.add(replaced)
        return not self.index.is_stale

    @property
    def size_bytes(self) -> int:
        return self.index.size_bytes + 150 * (len(self.unread) + len(self._gone))
