"""What learning may cost a namespace in a day, in tokens of a model.

What was spent stands in the journal of the namespace's reserved empty user, so that all servers count together and a
restart forgets nothing. A day is one of UTC. An attempt that has begun goes on to its end: what it spends beyond the
budget is little, and unlearned runs would cost the same tokens again.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from memsvc.access.allowance import Allowances
from memsvc.journal.commands import Command, Decision, Recorded
from memsvc.journal.draft import Moment
from memsvc.journal.records import Body, Spent
from memsvc.journal.state import State
from memsvc.model import Scope, Usage
from memsvc.storage.driver import RecordKind
from memsvc.users import Users
from memsvc.writing.writer import Writer

_DAY_MICROS: Final = 24 * 3600 * 1_000_000


class SpendCommand(Command[None]):
    """Add to what a namespace has spent today."""

    tokens: int

    def decide(self, state: State, moment: Moment) -> Decision:
        day, spent = moment.now // _DAY_MICROS, state.core.spent
        before = spent.model_tokens if spent.day == day else 0
        return Decision(RecordKind.SPEND, Body(revision=state.revision, spent=Spent(day, before + self.tokens)))

    def result(self, recorded: Recorded) -> None:
        return None


class Budgets(Struct, frozen=True):
    """Those of all namespaces."""

    users: Users
    writer: Writer
    allowances: Allowances

    async def spent_until(self, namespace: str) -> tuple[int, str]:
        """Return when learning may go on, microseconds since the epoch, and why not now; 0: it may."""
        limit = self.allowances.of(namespace).model_tokens_a_day
        if not limit:
            return 0, ""
        spent = (await self.users.read(Scope(namespace, ""))).state.core.spent
        day = self.users.clock() // _DAY_MICROS
        if spent.day != day or spent.model_tokens < limit:
            return 0, ""
        return (day + 1) * _DAY_MICROS, f"{spent.model_tokens} model tokens of {limit} are spent"

    async def spend(self, namespace: str, usage: Usage) -> None:
        """Count what an attempt has cost, where the namespace has a budget."""
        tokens = usage.input_tokens + usage.output_tokens
        if tokens and self.allowances.of(namespace).model_tokens_a_day:
            await self.writer.write(Scope(namespace, ""), SpendCommand(tokens))
