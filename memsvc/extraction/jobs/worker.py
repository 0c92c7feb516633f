"""The worker: finds users with work, claims them one at a time, and has each claim carried out.

Whatever happens to it, a job runs again until its effect is committed once: a claim that is not renewed expires, and
everything done under it is refused from then on.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import time
from collections import deque
from collections.abc import Collection, Sequence

from msgspec import Struct, field

from memsvc.config import Config
from memsvc.consolidation.commands import AcceptConsolidation, PlanConsolidation
from memsvc.errors import Error, Reason, StorageUnavailable
from memsvc.extraction.jobs.attempts import MENDED_OUTSIDE, Attempts
from memsvc.extraction.jobs.claims import ClaimCommand, Claimed, RenewCommand
from memsvc.extraction.jobs.queue import HastenCommand
from memsvc.extraction.jobs.troubles import Troubles
from memsvc.ids import new_id
from memsvc.journal.records import Claim
from memsvc.journal.state import State, due_time, load
from memsvc.log import Log, Spell
from memsvc.meaning.commands import PlanVectors
from memsvc.memories.sweeping import SweepCommand
from memsvc.model import Scope, Usage
from memsvc.purge import purge
from memsvc.retention import Retention
from memsvc.storage.crashpoints import reach
from memsvc.storage.driver import RowKind
from memsvc.summaries.commands import AcceptSummary
from memsvc.users import Users
from memsvc.writing.writer import Writer

log = Log(__name__)

_DUE_USERS = 256
_AHEAD_USERS = 100_000
_AHEAD_MICROS = 24 * 3600 * 1_000_000
_SHORTEST_SLEEP_SECONDS = 0.002
_TURNS_KEPT = 10_000
_LONGEST_PAUSE_SECONDS = 0.1
_LARGE_BYTES = 128 << 10
"""A conversation of more than this is long: joined runs are shorter."""
_LEAST_BETWEEN_HASTENINGS_SECONDS = 10.0
"""An endpoint that fails every other call is not asked for everything at once each time it answers."""


class _Sighting(Struct, frozen=True):
    """A claim of somebody else, and when it will have been seen unrenewed for its lease's length."""

    claim: Claim
    claim_seq: int
    """Its record's. Alone it lies: after a failover that lost the claim, another one may have taken its place."""
    due: int
    """When the journal says that the lease ends, microseconds since the epoch, by its owner's clock."""
    lapses: float
    """When it will, on this process's monotonic clock."""


class Worker(Struct):
    """Runs extractions, sweeps and purges."""

    users: Users
    writer: Writer
    attempts: Attempts
    retention: Retention
    troubles: Troubles = field(default_factory=Troubles)
    owner: str = field(default_factory=new_id)
    _busy: dict[Scope, asyncio.Task[None]] = field(default_factory=dict)
    _sightings: dict[Scope, _Sighting] = field(default_factory=dict)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _next_due: int = 0
    _due: deque[Scope] = field(default_factory=deque)
    """Users with work now, as the last look found them, in the order in which they have their turns."""
    _looked_at: float = -math.inf
    _others_wait: bool = False
    """Users have work for whom there is no room."""
    _turns: dict[Scope, int] = field(default_factory=dict)
    """The turn that each user had last; those who were served long ago are forgotten."""
    _large: set[Scope] = field(default_factory=set)
    """Whose long conversations are being read."""
    _hastened_at: float = -math.inf
    _budgets_version: int = 0
    _looks: Spell = field(default_factory=lambda: Spell(log, "look_for_work_failed", "looks_for_work_again"))
    _services: Spell = field(default_factory=lambda: Spell(log, "serve_failed", "serves_again"))
    _tasks: Sequence[asyncio.Task[None]] = ()

    def start(self) -> None:
        """Begin to look for work."""
        self.users.on_move = self._moved
        self.attempts.on_answer = self._note_answer
        self._tasks = [asyncio.create_task(self._run()), asyncio.create_task(self._see_claims_ahead())]

    async def stop(self) -> None:
        """Take no more work and hand back what is under way: it waits again, for any replica."""
        tasks = [*self._tasks, *self._busy.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def _concurrency(self) -> int:
        return min(self.settings.extraction_concurrency, self.attempts.engine.concurrency)

    @property
    def settings(self) -> Config:
        """The settings of the server."""
        return self.attempts.settings

    def _moved(self, state: State) -> None:
        self.troubles.moved(state)
        self._free_at(state)
        due = due_time(state)
        # What is due later than that, the next look finds in time.
        soon = self.users.clock() + int(self.settings.poll_seconds * 1_000_000)
        if due and due <= soon and (not self._next_due or due < self._next_due):
            self._next_due = due
            self._wake.set()

    async def _run(self) -> None:
        while True:
            try:
                await self._see_changed_budgets()
                await self._start_due()
            except Error as error:
                self._looks.failed(reason=error.reason, because=error.message)
            except Exception as error:
                log.error("look_for_work_failed", error)
            else:
                self._looks.went_well()
            wait = self.settings.poll_seconds
            if self._next_due:
                wait = min(wait, (self._next_due - self.users.clock()) / 1_000_000)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(wait, _SHORTEST_SLEEP_SECONDS)):
                    await self._wake.wait()
            self._wake.clear()

    async def _start_due(self) -> None:
        """Start on users with work, as far as there is room."""
        self._next_due = 0
        if len(self._busy) >= self._concurrency:
            # Whoever is due waits for those at work, who then give way.
            self._others_wait = True
            return
        if time.monotonic() - self._looked_at < self.settings.poll_seconds:
            # Of many who are due, the last look has found more than could be served then.
            self._start_found()
        if len(self._busy) < self._concurrency:
            await self._look()
            self._start_found()
        self._others_wait = bool(self._due)

    def _start_found(self) -> None:
        while self._due and len(self._busy) < self._concurrency:
            scope = self._due.popleft()
            if scope not in self._busy:
                self._start_on(scope)

    async def _look(self) -> None:
        """See who has work, and when the next one will."""
        self._looked_at = time.monotonic()
        horizon = self.users.clock() + int(self.settings.poll_seconds * 1_000_000)
        due = dict(await self.users.driver.due(horizon, _DUE_USERS))
        now, now_seconds = self.users.clock(), time.monotonic()
        for scope, sighting in self._sightings.items():
            # Due at another time, there is something else to do by now: the claim has ended, or was renewed.
            if due.get(scope, sighting.due) == sighting.due:
                due[scope] = now + int((sighting.lapses - now_seconds) * 1_000_000)
        scopes = [scope for scope in due if scope not in self._busy]
        if self.users.driver.capabilities().shared.supported:
            random.shuffle(scopes)
        # Those served longest ago have their turn first: nobody's work holds up everybody's.
        scopes.sort(key=lambda scope: self._turns.get(scope, 0))
        self._due = deque(scope for scope in scopes if due[scope] <= now)
        self._next_due = min((due[scope] for scope in scopes if due[scope] > now), default=0)

    async def _see_claims_ahead(self) -> None:
        """See which claims there are that are not due before their lease ends: their owners may be gone."""
        while True:
            try:
                return await self._see_claims()
            except StorageUnavailable:
                pass  # `_run` says so.
            except Error as error:
                log.warning("look_ahead_failed", reason=error.reason)
            except Exception as error:
                log.error("look_ahead_failed", error)
            await asyncio.sleep(self.settings.poll_seconds)

    async def _see_claims(self) -> None:
        now = self.users.clock()
        for scope, due_at in await self.users.driver.due(now + _AHEAD_MICROS, _AHEAD_USERS):
            if due_at > now:
                state = await self._state_alone(scope)
                self.troubles.moved(state)
                if state.core.claim is not None and not self._free_at(state):
                    self._sightings[scope] = _Sighting(state.core.claim, state.core.claim_seq, due_at, 0.0)
                    self._wake.set()

    async def _state_alone(self, scope: Scope) -> State:
        """Return a user's state without memories, unless it is in RAM: so many users are not to fill that."""
        if self.users.hot(scope) is None:
            loaded = await self.users.driver.load(scope, (RowKind.STATE,))
            if self.users.hot(scope) is None:
                return load(scope, loaded)
        return (await self.users.latest(scope)).state

    def _free_at(self, state: State) -> float:
        """Return when the user may be claimed, on the monotonic clock: 0 unless another worker's claim stands."""
        claim, scope = state.core.claim, state.scope
        if claim is None or claim.owner == self.owner or claim.generation < self.users.driver.generation:
            # What this worker once claimed and does not work on, it gave up without being able to say so.
            self._sightings.pop(scope, None)
            return 0.0
        sighting = self._sightings.get(scope)
        if sighting is None or (sighting.claim_seq, sighting.claim) != (state.core.claim_seq, claim):
            lapses = time.monotonic() + claim.lease_seconds
            sighting = _Sighting(claim, state.core.claim_seq, due_time(state), lapses)
            self._sightings[scope] = sighting
        return sighting.lapses

    def _start_on(self, scope: Scope) -> None:
        task = asyncio.create_task(self._serve(scope))
        self._busy[scope] = task
        self._take_turn(scope)

        def done(_: asyncio.Task[None]) -> None:
            del self._busy[scope]
            self._wake.set()

        task.add_done_callback(done)

    def _take_turn(self, scope: Scope) -> None:
        turn = 1 + next(reversed(self._turns.values()), 0)
        self._turns.pop(scope, None)
        self._turns[scope] = turn
        if len(self._turns) > _TURNS_KEPT:
            del self._turns[next(iter(self._turns))]

    async def _serve(self, scope: Scope) -> None:
        """Do what the user has to do now."""
        try:
            if not scope.user_id:
                return await self.retention.serve(scope)
            state = (await self.users.latest(scope)).state
            if state.core.purges:
                await purge(self.users, self.writer, scope)
            while await self.writer.write(scope, SweepCommand()):
                pass
            await self._queue_summaries(scope)
            await self._queue_consolidation(scope)
            while True:
                command = await self._claim_command(scope)
                reach("worker.before_claim")
                claimed = await self._claim(scope, command)
                if claimed is None:
                    break
                reach("worker.after_claim")
                if not await self._has_room(scope, claimed):
                    break
                try:
                    await self._work(scope, claimed)
                finally:
                    self._large.discard(scope)
                if self._others_wait:
                    break
            await self._embed(scope)
            self._services.went_well()
        except StorageUnavailable as error:
            self._services.failed(scope=scope, reason=error.reason, because=error.message)
            await asyncio.sleep(self.settings.poll_seconds)
        except Error as error:
            log.warning("serve_failed", scope=scope, reason=error.reason)
            await asyncio.sleep(self.settings.poll_seconds)
        except Exception as error:
            log.error("serve_failed", error, scope=scope)
            await asyncio.sleep(self.settings.poll_seconds)

    async def _queue_summaries(self, scope: Scope) -> None:
        """Queue the summaries whose time has come."""
        planned = (await self.users.latest(scope)).state.core.summarize
        for session_id, due in planned.items():
            if due <= self.users.clock():
                await self.writer.write(scope, AcceptSummary(session_id, new_id(), is_planned=True))

    async def _queue_consolidation(self, scope: Scope) -> None:
        """Queue the consolidation whose time has come, if memories are still to be tidied by themselves."""
        core = (await self.users.latest(scope)).state.core
        if not 0 < core.consolidate_time <= self.users.clock():
            return
        settings = await self.attempts.settings_reader.in_force(scope)
        if settings.enabled and settings.retention.consolidation_seconds:
            await self.writer.write(scope, AcceptConsolidation(new_id()))
        else:
            await self.writer.write(scope, PlanConsolidation(0))

    async def _embed(self, scope: Scope) -> None:
        state = (await self.users.latest(scope)).state
        if not 0 < state.core.embed_time <= self.users.clock():
            return
        meaning = self.attempts.meaning
        if meaning is not None:
            began = time.monotonic()
            await meaning.serve(scope)
            await self.attempts.foreground.give_way(min(time.monotonic() - began, _LONGEST_PAUSE_SECONDS))
        else:
            # Another server asked for vectors, which nobody here makes: whoever searches by meaning asks again.
            await self.writer.write(scope, PlanVectors(0))

    async def _has_room(self, scope: Scope, claimed: Claimed) -> bool:
        """Tell whether work may begin: long conversations take half of the room, so that short ones find some."""
        if sum(extraction.size_bytes for extraction in claimed.extractions) <= _LARGE_BYTES:
            return True
        if len(self._large) < max(1, self._concurrency // 2):
            self._large.add(scope)
            return True
        await self.attempts.postpone(scope, claimed, "", "", Usage(), self.settings.poll_seconds, counts=False)
        return False

    async def _claim(self, scope: Scope, command: ClaimCommand) -> Claimed | None:
        claiming = asyncio.ensure_future(self.writer.write(scope, command))
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            # Told to stop in the middle: what was claimed must not be kept from others.
            with contextlib.suppress(Error):
                claimed = await claiming
                if claimed is not None:
                    await self._hand_back(scope, claimed)
            raise

    async def _claim_command(self, scope: Scope) -> ClaimCommand:
        """Return the command that claims the user, void claims that were seen unrenewed for their lease's length."""
        state = (await self.users.latest(scope)).state
        expired = state.core.claim_seq if self._free_at(state) <= time.monotonic() else 0
        settings = self.settings
        generation = self.users.driver.generation
        return ClaimCommand(self.owner, generation, settings.lease_seconds, self.attempts.limits, expired)

    async def _work(self, scope: Scope, claimed: Claimed) -> None:
        """Carry out one claim, as long as it stands."""
        started = time.monotonic()
        attempt = asyncio.create_task(self.attempts.carry_out(scope, claimed))
        keeper = asyncio.create_task(self._keep(scope, claimed.claim, started))
        try:
            await asyncio.wait((attempt, keeper), return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped = not attempt.done()
            for task in (attempt, keeper):
                task.cancel()
            await asyncio.gather(attempt, keeper, return_exceptions=True)
            if stopped:
                await self._hand_back(scope, claimed)

    async def _hand_back(self, scope: Scope, claimed: Claimed) -> None:
        with contextlib.suppress(Error):
            await self.attempts.postpone(scope, claimed, "", "", Usage(), delay_seconds=0.0, counts=False)

    async def _keep(self, scope: Scope, claim: Claim, started: float) -> None:
        """Renew the claim; return when it no longer stands, or may not, by this worker's own clock."""
        valid_until = started + claim.lease_seconds
        while True:
            await asyncio.sleep(claim.lease_seconds / 3)
            sent = time.monotonic()
            try:
                async with asyncio.timeout(max(valid_until - sent, 0.001)):
                    reach("worker.before_renew")
                    if not await self.writer.write(scope, RenewCommand(claim)):
                        return
                    reach("worker.after_renew")
                valid_until = sent + claim.lease_seconds
            except (Error, TimeoutError):
                if time.monotonic() + claim.lease_seconds / 3 >= valid_until:
                    return

    def _note_answer(self) -> None:
        """Where the engine answers again, let all that waits for that be tried now, and not only when it is due."""
        if self.attempts.is_broken and time.monotonic() >= self._hastened_at + _LEAST_BETWEEN_HASTENINGS_SECONDS:
            self.attempts.is_broken, self._hastened_at = False, time.monotonic()
            self._tasks = [*filter(_is_at_work, self._tasks), asyncio.create_task(self._hasten(MENDED_OUTSIDE))]

    async def _hasten(self, reasons: Collection[str]) -> None:
        for scope in self.troubles.waiting_for(reasons):
            with contextlib.suppress(Error):
                await self.writer.write(scope, HastenCommand(reasons=reasons))

    async def _see_changed_budgets(self) -> None:
        """Where limits were changed, let what waits for its budget be tried now."""
        budgets = self.attempts.budgets
        if budgets is not None and budgets.allowances.version != self._budgets_version:
            self._budgets_version = budgets.allowances.version
            await self._hasten({Reason.BUDGET_EXHAUSTED})


def _is_at_work(task: asyncio.Task[None]) -> bool:
    return not task.done()
