"""Sweeping: memories that have expired are hidden at once, and deleted by a commit some time later."""

from __future__ import annotations

from memsvc.journal.commands import Command, Decision, Recorded
from memsvc.journal.draft import Draft, Moment
from memsvc.journal.state import State
from memsvc.memories.writing import clearable
from memsvc.model import Cause
from memsvc.storage.driver import RecordKind


class SweepCommand(Command[bool]):
    """Delete memories that have expired; answers whether some are left for another sweep."""

    def decide(self, state: State, moment: Moment) -> Decision | None:
        if not state.core.first_expiry or state.core.first_expiry > moment.now:
            return None
        expired, more = clearable(
            state, (each for each in state.all_memories() if each.expire_time and each.expire_time <= moment.now)
        )
        draft = Draft(state, moment, quota=0, cause=Cause.EXPIRED)
        for memory in expired:
            if draft.find(memory.memory_id) is not None:
                draft.delete(memory)
        body = draft.body(sweeps=True, more=more)
        return Decision(RecordKind.COMMIT, body)

    def result(self, recorded: Recorded) -> bool:
        return recorded.body.more
