"""What models may cost a namespace in a day, in tokens.

What was spent stands in the journal of the namespace's reserved empty user, so that all servers count together and a
restart forgets nothing. A day is one of UTC. An attempt that has begun goes on to its end: what it spends beyond the
budget is little, and unlearned runs would cost the same tokens again. Learning waits for the next day; who waits for an
answer, to a search by the model or a preview, is refused.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from typing import Final

from msgspec import Struct

from memsvc.access.allowance import Allowances
from memsvc.clock import in_words
from memsvc.errors import Error, ExtractionError, Reason, ResourceExhausted, Unavailable
from memsvc.journal.commands import Command, Decision, Recorded
from memsvc.journal.draft import Moment
from memsvc.journal.records import Body, Spent
from memsvc.journal.state import State
from memsvc.log import Log
from memsvc.metrics.meters import Meters
from memsvc.model import Scope, Usage
from memsvc.storage.driver import RecordKind
from memsvc.users import Users
from memsvc.writing.writer import Writer

log = Log(__name__)

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


class Bill(Struct):
    """What the answer to one caller has cost."""

    usage: Usage = Usage()


class Budgets(Struct, frozen=True):
    """Those of all namespaces."""

    users: Users
    writer: Writer
    allowances: Allowances
    meters: Meters | None = None

    async def spent_until(self, namespace: str) -> tuple[int, str]:
        """Return when a model may be asked again, microseconds since the epoch, and why not now; 0: it may."""
        limit = self.allowances.of(namespace).model_tokens_a_day
        if not limit:
            return 0, ""
        spent = (await self.users.read(Scope(namespace, ""))).state.core.spent
        day = self.users.clock() // _DAY_MICROS
        if spent.day != day or spent.model_tokens < limit:
            return 0, ""
        return (day + 1) * _DAY_MICROS, f"{spent.model_tokens} model tokens of {limit} are spent"

    async def spend(self, namespace: str, usage: Usage) -> None:
        """Count what was spent, where the namespace has a budget."""
        tokens = usage.input_tokens + usage.output_tokens
        if not tokens or not self.allowances.of(namespace).model_tokens_a_day:
            return
        scope = Scope(namespace, "")
        try:
            await self.writer.write(scope, SpendCommand(tokens))
        except Error as error:
            # What it was spent for stands all the same.
            log.warning("spending_not_counted", scope=scope, reason=error.reason)

    @contextlib.asynccontextmanager
    async def asking(self, namespace: str) -> AsyncGenerator[Bill, None]:
        """Let a model be asked for somebody who waits for the answer, and count what the bill says in the end.

        Raises ResourceExhausted (BUDGET_EXHAUSTED), and Unavailable where the model has failed.
        """
        until, why = await self.spent_until(namespace)
        if until:
            seconds = max(1.0, (until - self.users.clock()) / 1_000_000)
            raise ResourceExhausted(
                Reason.BUDGET_EXHAUSTED, f"{why} until {in_words(until)}", retry_after_seconds=seconds
            )
        bill = Bill()
        try:
            yield bill
        except ExtractionError as error:
            bill.usage = error.usage
            raise Unavailable(error.reason, error.detail, retry_after_seconds=5.0) from error
        finally:
            if self.meters is not None:
                self.meters.asked(namespace, bill.usage)
            await self.spend(namespace, bill.usage)
