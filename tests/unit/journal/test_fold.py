"""`apply(decide(...))` against its invariants, by random histories."""

from __future__ import annotations

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from memsvc.administration import EraseCommand
from memsvc.errors import Error
from memsvc.extraction.engine import Action, Operation
from memsvc.extraction.jobs.claims import ClaimCommand, FinishCommand, Limits, PostponeCommand, RenewCommand
from memsvc.extraction.jobs.queue import AcceptMessages, CancelCommand, HastenCommand, RetryCommand
from memsvc.extraction.reconcile import Source, Sources
from memsvc.ids import derived_id
from memsvc.journal.commands import Command, Decision
from memsvc.journal.draft import Moment
from memsvc.journal.records import Body, Claim, Request, encode_body
from memsvc.journal.state import Requests, State, apply, fold, load, load_requests, place, project, state_row
from memsvc.memories import Create, Delete, Guard, Target, Update
from memsvc.memories.sweeping import SweepCommand
from memsvc.memories.writing import ClearCommand, WriteCommand
from memsvc.model import Layer, LearningMode, Memory, Message, Origin, Role, Run, Scope, TextPart, Usage
from memsvc.search.filter import MemoryFilter
from memsvc.sessions import AppendRunCommand, Quiet
from memsvc.storage.driver import EMPTY, Loaded, Record, Row, RowKey, RowKind, Tip

SCOPE = Scope("default", "sarah")
QUOTA = 12
LIMITS = Limits(max_attempts=2, max_wait_seconds=50)

ids = st.sampled_from(["a", "b", "c", "d"])
layers = st.sampled_from(list(Layer))
keys = st.sampled_from(["", "", "role", "stack", "stack.languages", "stack.languages.first", "name"])
texts = st.sampled_from(["Likes skiing", "likes  skiing.", "Is a nurse", "Lives in Zürich", "住在东京"])
expiries = st.sampled_from([0, 0, 5_000_000, 60_000_000])
actions = st.sampled_from(list(Action))


class History(RuleBasedStateMachine):
    """Carries out random commands on a state, as the writer does, and keeps the rows beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.state = State(SCOPE, requests=Requests())
        self.rows: dict[RowKey, Row] = {}
        self.records: list[Record] = []
        self.now = 1_000_000
        self.count = 0
        self.claims: list[Claim] = []
        self.numbers: set[int] = set()

    def carry_out(self, command: Command[object]) -> Body | None:
        self.now += 1_000
        self.count += 1
        before = self.state
        moment = Moment(max(self.now, before.core.time + 1), f"{self.count:016x}", self.now)
        try:
            decision = command.decide(before, moment)
        except Error:
            assert self.state is before
            return None
        if decision is None:
            return None
        self.append(moment, decision)
        return decision.body

    def append(self, moment: Moment, decision: Decision) -> None:
        body = decision.body
        record = Record(self.state.tip.seq + 1, moment.nonce, decision.kind, moment.time, encode_body(body))
        before, self.state = self.state, fold(self.state, record, body)
        assert apply(before, record) == self.state
        puts, deletes = project(before, self.state, record, body)
        if body.erase is not None:
            self.rows = {key: row for key, row in self.rows.items() if row.kind is RowKind.REQUEST}
        for key in (*deletes, *decision.deletes):
            self.rows.pop(key, None)
        for row in (*puts, *decision.puts, state_row(self.state)):
            self.rows[RowKey(row.kind, row.row_id)] = row
        self.records.append(record)
        for change in body.changes:
            if change.before is None and change.after is not None:
                assert change.after.number not in self.numbers, "a number was used again"
                self.numbers.add(change.after.number)

    def request(self) -> Request:
        return Request(f"request-{self.count}", "Method", "0")

    @rule(memory_id=ids, layer=layers, key=keys, text=texts, ttl=expiries)
    def create(self, memory_id: str, layer: Layer, key: str, text: str, ttl: int) -> None:
        expire = self.now + ttl if ttl else 0
        memory = Memory(memory_id=memory_id, number=0, layer=layer, text=text, key=key, expire_time=expire)
        self.carry_out(WriteCommand([Create(memory)], Guard(self.request()), QUOTA))

    @rule(memory_id=ids, text=texts, missing=st.booleans())
    def update(self, memory_id: str, text: str, missing: bool) -> None:
        memory = Memory(memory_id=memory_id, number=0, text=text)
        update = Update(Target(memory_id), memory, frozenset(["text"]), "", missing)
        self.carry_out(WriteCommand([update], Guard(self.request()), QUOTA))

    @rule(memory_id=ids, missing=st.booleans(), purges=st.booleans())
    def delete(self, memory_id: str, missing: bool, purges: bool) -> None:
        self.carry_out(WriteCommand([Delete(Target(memory_id), "", missing)], Guard(self.request()), QUOTA, purges))

    @rule(layer=layers, really=st.integers(0, 3))
    def clear(self, layer: Layer, really: int) -> None:
        if really:
            return
        self.carry_out(ClearCommand(MemoryFilter(layers=(layer,)), Guard(self.request()), purges=False))

    @rule(session=st.sampled_from(["s1", "s2"]), mode=st.sampled_from(list(LearningMode)))
    def append_run(self, session: str, mode: LearningMode) -> None:
        messages = (Message(Role.USER, (TextPart("hello"),)),)
        run = Run(session_id=session, run_id=f"run-{self.count}", index=0, messages=messages)
        new_id = derived_id(self.now, str(self.count), 0)
        self.carry_out(AppendRunCommand(run, 5, mode, Quiet(0.0, 0.0), new_id, request=self.request()))

    @rule()
    def accept(self) -> None:
        messages = (Message(Role.USER, (TextPart("hello"),)),)
        run = Run(session_id="", run_id=f"run-{self.count}", index=0, messages=messages)
        self.carry_out(AcceptMessages(run, 5, derived_id(self.now, str(self.count), 1), self.request()))

    @rule(seconds=st.sampled_from([1, 30, 60]))
    def pass_time(self, seconds: int) -> None:
        self.now += seconds * 1_000_000

    @rule(owner=st.sampled_from(["w1", "w2"]), takes_over=st.booleans())
    def claim(self, owner: str, takes_over: bool) -> None:
        expired = self.state.core.claim_seq if takes_over else 0
        body = self.carry_out(ClaimCommand(owner, 0, 30.0, LIMITS, expired))
        if body is not None and body.claim is not None:
            assert all(body.claim.epoch > earlier.epoch for earlier in self.claims), "an epoch was used again"
            self.claims.append(body.claim)

    @rule(which=st.integers(0, 5), action=actions, layer=layers, key=keys, text=texts, number=st.integers(0, 6))
    def finish(self, which: int, action: Action, layer: Layer, key: str, text: str, number: int) -> None:
        if not self.claims:
            return
        claim = self.claims[-1 - which % len(self.claims)]
        operation = Operation(action=action, layer=layer, key=key, text=text, number=number, topic="sport")
        sources = Sources([], Source(Origin(), self.now))
        stands = self.state.core.claim is not None and self.state.core.claim.epoch == claim.epoch
        body = self.carry_out(FinishCommand(claim, [operation], sources, Usage(calls=1), QUOTA))
        assert stands or body is None, "a claim that no longer stands committed"

    @rule(which=st.integers(0, 5), fails=st.booleans())
    def postpone(self, which: int, fails: bool) -> None:
        if self.claims:
            claim = self.claims[-1 - which % len(self.claims)]
            self.carry_out(PostponeCommand(claim, "R", "", Usage(), 1.0, counts=True, fails=fails, limits=LIMITS))

    @rule(which=st.integers(0, 5))
    def renew(self, which: int) -> None:
        if self.claims:
            self.carry_out(RenewCommand(self.claims[-1 - which % len(self.claims)]))

    @rule()
    def cancel(self) -> None:
        for extraction_id in list(self.state.core.open)[-1:]:
            self.carry_out(CancelCommand(extraction_id, self.request()))

    @rule()
    def hasten(self) -> None:
        self.carry_out(HastenCommand())

    @rule()
    def sweep(self) -> None:
        self.now += 6_000_000
        if self.carry_out(SweepCommand()) is not None:
            expiries = [memory.expire_time for memory in self.state.memories() if memory.expire_time]
            assert self.state.core.first_expiry == min(expiries, default=0)

    @rule()
    def retry(self) -> None:
        ended = [key.row_id for key in self.rows if key.kind is RowKind.EXTRACTION][:1]
        self.carry_out(RetryCommand(tuple(ended), self.request()))

    @rule(really=st.integers(0, 9))
    def erase(self, really: int) -> None:
        if really:
            return
        revision = self.state.revision
        self.carry_out(EraseCommand(self.request()))
        assert self.state.revision == revision + 1
        assert not list(self.state.memories())

    @invariant()
    def keys_point_at_their_memories_and_are_never_leaf_and_branch(self) -> None:
        keyed = {place(memory.layer, memory.key): memory.memory_id for memory in self.state.memories() if memory.key}
        assert keyed == dict(self.state.keys)
        for spot in keyed:
            assert not any(other.startswith(spot + ".") for other in keyed)

    @invariant()
    def memories_keep_the_quota_and_the_order_of_their_numbers(self) -> None:
        assert self.state.memory_count <= QUOTA
        for memories in self.state.layers.values():
            numbers = [memory.number for memory in memories.values()]
            assert numbers == sorted(set(numbers))

    @invariant()
    def a_claim_holds_only_running_extractions_and_nothing_else_runs(self) -> None:
        core = self.state.core
        running = {key for key, extraction in core.open.items() if extraction.state == "running"}
        held = set(core.claim.extraction_ids) if core.claim is not None else set()
        assert running <= held
        assert core.claim is None or running, "a claim stands that has nothing left to work on"
        assert not any(extraction.state.ended for extraction in core.open.values())

    @invariant()
    def the_next_expiry_is_never_late(self) -> None:
        expiries = [memory.expire_time for memory in self.state.memories() if memory.expire_time]
        assert not expiries or 0 < self.state.core.first_expiry <= min(expiries)

    @invariant()
    def revisions_have_no_gaps(self) -> None:
        decoder = msgspec.json.Decoder(Body)
        revision = 0
        for record in self.records:
            body = decoder.decode(record.body)
            raised = bool(body.changes) or body.erase is not None
            assert body.revision in (0, revision + 1 if raised else revision)
            revision += raised
        assert revision == self.state.revision

    @invariant()
    def the_rows_load_to_the_same_state(self) -> None:
        rows = list(self.rows.values())
        if not rows:
            assert self.state.tip == EMPTY
            return
        last = self.records[-1]
        loaded = load(SCOPE, Loaded(Tip(last.seq, last.nonce), rows))
        requests = load_requests(Loaded(loaded.tip, [row for row in rows if row.kind is RowKind.REQUEST]))
        assert loaded.core == self.state.core
        assert loaded.layers == self.state.layers
        assert loaded.keys == self.state.keys
        assert self.state.requests is not None
        assert {**requests.older, **requests.recent} == {**self.state.requests.older, **self.state.requests.recent}


TestHistory = History.TestCase
TestHistory.settings = settings(max_examples=100, stateful_step_count=60, deadline=None)
