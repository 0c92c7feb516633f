"""Consolidating a user: what is plain, and what a model says of the memories that are alike, in one call at most."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from memsvc.asking import Asker
from memsvc.budget import Budgets
from memsvc.consolidation.alike import groups_alike
from memsvc.consolidation.commands import consolidated
from memsvc.consolidation.judging import judged
from memsvc.consolidation.plan import Merging, Operation, Retiring, plain_operations
from memsvc.journal.draft import Moment
from memsvc.journal.records import new_nonce
from memsvc.meaning import Meaning
from memsvc.model import Commit, Scope, Usage
from memsvc.redaction import Redactor
from memsvc.users import Users


class Found(Struct, frozen=True):
    """What there is to do, and what it cost to find it."""

    operations: Sequence[Operation]
    usage: Usage = Usage()
    model: str = ""


class Consolidator(Struct):
    """Finds what there is to tidy."""

    users: Users
    asker: Asker | None
    meaning: Meaning | None
    redactor: Redactor
    budgets: Budgets

    async def find(self, scope: Scope, last_failure: str = "") -> Found:
        """Return what to do to a user's memories as they are. Raises ExtractionError where the model fails."""
        user = await self.users.latest(scope)
        memories, now = list(user.memories()), self.users.clock()
        operations = plain_operations(memories, now)
        if self.asker is None:
            return Found(operations)
        done = {each for operation in operations for each in _touched(operation)}
        rest = [memory for memory in memories if memory.memory_id not in done]
        if self.meaning is not None:
            await self.meaning.prepare(user)
        groups = await groups_alike(rest, user.vectors.index if user.vectors is not None else None)
        if not groups:
            return Found(operations)
        judgements, answer = await judged(self.asker, groups, last_failure)
        return Found([*operations, *map(self._redacted, judgements)], answer.usage, answer.model)

    async def preview(self, scope: Scope) -> tuple[Commit, Usage, int]:
        """Return what a consolidation would change: memories without etags, in a commit without a revision.

        Raises as `Budgets.asking` does.
        """
        async with self.budgets.asking(scope.namespace) as bill:
            found = await self.find(scope)
            bill.usage = found.usage
        state = (await self.users.latest(scope)).state
        now = self.users.clock()
        draft = consolidated(state, Moment(max(now, state.core.time + 1), new_nonce(), now), found.operations)
        changes = tuple(
            replace(change, after=replace(change.after, etag="")) if change.after is not None else change
            for change in draft.changes
        )
        return Commit(revision=0, changes=changes), found.usage, state.revision

    def _redacted(self, operation: Operation) -> Operation:
        if isinstance(operation, Merging) and operation.text:
            return replace(operation, text=self.redactor.text(operation.text))
        return operation


def _touched(operation: Operation) -> list[str]:
    if isinstance(operation, Retiring):
        return [operation.memory.memory_id]
    return [each.memory_id for each in operation.memories]
