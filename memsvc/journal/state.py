"""The state of a user: the fold of its journal.

A `State` is never changed in place: `fold` returns the next one, sharing what did not change. So a decision can be
tried on a state that is not durable yet, and thrown away. What it holds is flat and untracked by the garbage collector.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

import msgspec
from msgspec.structs import astuple, replace

from memsvc.configuration import Configured
from memsvc.journal.records import Body, Claim, Spent, SweepNote, decode_body
from memsvc.model import Change, Extraction, ExtractionState, Layer, Memory, Scope, Session, decode, encode
from memsvc.storage.driver import Loaded, Record, Row, RowKey, RowKind, Tip

REQUEST_RETENTION_SECONDS = 7 * 24 * 3600
UNNAMED_DELETIONS_SECONDS = 30 * 24 * 3600
_SESSIONS_REMEMBERED = 8
_RECENT_REQUESTS = 256
_AT_ONCE = 1

Memories = Mapping[str, Memory]


class SeenRequest(msgspec.Struct, frozen=True, gc=False):
    """A request id that was answered, and the record that has the answer."""

    method: str
    digest: str
    seq: int
    expire_time: int


class Requests(msgspec.Struct, frozen=True, gc=False):
    """Requests of the last week by `Request.key`. Two maps, so that adding one copies only the small one."""

    recent: Mapping[str, SeenRequest] = {}
    older: Mapping[str, SeenRequest] = {}

    def get(self, key: str) -> SeenRequest | None:
        return self.recent.get(key) or self.older.get(key)

    def plus(self, key: str, seen: SeenRequest, now: int) -> Requests:
        recent = {**self.recent, key: seen}
        if len(recent) < _RECENT_REQUESTS:
            return Requests(recent, self.older)
        return Requests({}, {key: value for key, value in {**self.older, **recent}.items() if value.expire_time > now})

    def __len__(self) -> int:
        return len(self.recent) + len(self.older)


class UnnamedDeletions(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """How many memories went in a month by extractions that no words of the user named, or by tools not one by one."""

    since: int = 0
    """When the month began."""
    count: int = 0

    def within(self, time: int) -> int:
        """Return how many they are at a time: none in a new month."""
        return self.count if time < self.since + UNNAMED_DELETIONS_SECONDS * 1_000_000 else 0

    def plus(self, count: int, time: int) -> UnnamedDeletions:
        """Return what stands after some more."""
        before = self.within(time)
        return UnnamedDeletions(self.since if before else time, before + count)


class Core(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """What of a state is neither a memory nor a request: stored whole, as the user's STATE row."""

    revision: int = 0
    next_number: int = 1
    next_index: int = 1
    runs: int = 0
    """Runs of sessions ever stored, since the last erasure."""
    time: int = 0
    """Of the newest record. Times of a user's records always grow, whatever clocks do."""
    change_time: int = 0
    """Of the newest record that changed a memory or a run, or answers a request: no housekeeping."""
    epoch: int = 0
    """Of the newest claim."""
    claim: Claim | None = None
    claim_seq: int = 0
    """The record that made or last renewed the claim."""
    claim_time: int = 0
    """Of that record."""
    open: Mapping[str, Extraction] = {}
    """Extractions that have not ended, oldest first."""
    failed: Mapping[str, int] = {}
    """How many extractions FAILED and were not retried since, by reason."""
    first_expiry: int = 0
    """No memory expires before this; 0: none expires."""
    purges: Mapping[str, int] = {}
    """What still has to be blanked in the history, and the newest record that asked for it."""
    erase_seq: int = 0
    """The newest erasure; 0: none."""
    unnamed_deletions: UnnamedDeletions = UnnamedDeletions()
    """What bounds how much is forgotten without being told what."""
    consolidate_time: int = 0
    """When the memories are to be consolidated by themselves; 0: not."""
    summarize: Mapping[str, int] = {}
    """Sessions that are to be summarized, and when: nobody has queued it yet."""
    embed_time: int = 0
    """When vectors have to be made next; 0: none is missing, or nobody makes any."""
    configs: Mapping[str, Configured] = {}
    """What is configured, by agent; "": for all. Of a namespace's reserved empty user alone."""
    spent: Spent = Spent()
    """What learning has cost a namespace, of whose reserved empty user this is."""
    sweep: SweepNote = SweepNote()
    """How far the sweep has come. Of a namespace's reserved empty user alone."""
    has_vectors: bool = False
    """Whether vectors were ever stored since the last erasure."""
    said_owed: tuple[str, ...] = ()
    """Runs whose SAID rows are not stored yet, oldest first."""


class Layers(msgspec.Struct, frozen=True, gc=False):
    """The memories of each layer by id, in the order of their numbers. Named as `Layer` has them."""

    profile: Memories = {}
    policy: Memories = {}
    knowledge: Memories = {}
    feedback: Memories = {}

    def __getitem__(self, layer: Layer) -> Memories:
        found: Memories = getattr(self, layer)
        return found

    def values(self) -> tuple[Memories, ...]:
        return self.profile, self.policy, self.knowledge, self.feedback


class State(msgspec.Struct, frozen=True, gc=False):
    """A user at a tip."""

    scope: Scope
    seq: int = 0
    nonce: str = ""
    core: Core = Core()
    layers: Layers = Layers()
    keys: Mapping[str, str] = {}
    """Layer and key to memory id; see `place`."""
    sessions: Mapping[str, Session] = {}
    """The sessions used last, as they are; not all of them."""
    requests: Requests | None = None
    """None: not loaded yet; only writes need them."""
    former: Memories = {}
    """Facts of the past by id, in the order of their numbers: in no layer, and not searched unless asked for."""

    @property
    def tip(self) -> Tip:
        return Tip(self.seq, self.nonce)

    def is_at(self, tip: Tip) -> bool:
        """Whether it ends there."""
        return self.seq == tip.seq and self.nonce == tip.nonce

    @property
    def revision(self) -> int:
        return self.core.revision

    def memory(self, memory_id: str) -> Memory | None:
        layers = self.layers
        return (
            layers.knowledge.get(memory_id)
            or layers.profile.get(memory_id)
            or layers.policy.get(memory_id)
            or layers.feedback.get(memory_id)
            or self.former.get(memory_id)
        )

    def at(self, layer: Layer, key: str) -> Memory | None:
        memory_id = self.keys.get(place(layer, key))
        return self.layers[layer][memory_id] if memory_id is not None else None

    def memories(self) -> Iterator[Memory]:
        for memories in self.layers.values():
            yield from memories.values()

    def all_memories(self) -> Iterator[Memory]:
        """Yield the memories, and then the facts of the past."""
        yield from self.memories()
        yield from self.former.values()

    def ends_claim(self, extraction_ids: Collection[str]) -> bool:
        """Return whether the claim, if any, has nothing left to work on once these extractions have ended."""
        claim = self.core.claim
        return claim is not None and all(
            each in extraction_ids or each not in self.core.open for each in claim.extraction_ids
        )

    def owing(self, run_ids: Collection[str]) -> tuple[str, ...]:
        """Return those of some runs whose SAID rows are owed."""
        return tuple(run_id for run_id in self.core.said_owed if run_id in run_ids)

    @property
    def memory_count(self) -> int:
        layers = self.layers
        return len(layers.profile) + len(layers.policy) + len(layers.knowledge) + len(layers.feedback)


def place(layer: Layer, key: str) -> str:
    """Return how `State.keys` names a key of a layer."""
    return f"{layer}/{key}"


def apply(state: State, record: Record) -> State:
    """Return the state after `record`, which must be the next one of its journal."""
    return fold(state, record, decode_body(record.body))


def fold(state: State, record: Record, body: Body) -> State:
    """Return the state after `record` with the body `body`."""
    assert record.seq == state.seq + 1
    core = state.core
    layers, keys, sessions, former = state.layers, state.keys, state.sessions, state.former
    if body.erase is not None:
        layers, keys, sessions, former = Layers(), {}, {}, {}
        core = Core(
            revision=core.revision,
            next_number=core.next_number,
            next_index=core.next_index,
            epoch=core.epoch,
            erase_seq=record.seq,
            spent=core.spent,
        )
    if body.changes:
        layers, keys = _changed(layers, keys, filter(None, map(of_present, body.changes)))
        former = _former(former, body.changes)
    for session in body.moved_sessions:
        sessions = _remember(sessions, session)
    if body.session_deletion is not None:
        sessions = {key: value for key, value in sessions.items() if key != body.session_deletion.session_id}
    if body.forgotten is not None and body.forgotten.session_ids:
        sessions = {key: value for key, value in sessions.items() if key not in body.forgotten.session_ids}
    core = _fold_core(core, record, body)
    if body.sweeps:
        core = replace(core, first_expiry=_first_expiry(layers, former))
    requests = state.requests
    if requests is not None and body.request is not None:
        requests = requests.plus(body.request.key, _seen(body, record), record.time)
    return State(state.scope, record.seq, record.nonce, core, layers, keys, sessions, requests, former)


def _fold_core(core: Core, record: Record, body: Body) -> Core:
    open_extractions, failed = core.open, core.failed
    if body.extractions and body.erase is None:
        open_extractions = dict(core.open)
        for extraction in body.extractions:
            failed = _failed_with(failed, extraction, was_open=extraction.extraction_id in core.open)
            open_extractions.pop(extraction.extraction_id, None)
            if not extraction.state.ended:
                open_extractions[extraction.extraction_id] = extraction
    if body.forgotten is not None and body.forgotten.failed:
        failed = {reason: count - body.forgotten.failed.get(reason, 0) for reason, count in failed.items()}
        failed = {reason: count for reason, count in failed.items() if count > 0}
    claim, claim_seq, claim_time, epoch = core.claim, core.claim_seq, core.claim_time, core.epoch
    if body.claim is not None:
        claim, claim_seq, claim_time, epoch = body.claim, record.seq, record.time, body.claim.epoch
    if body.releases:
        claim, claim_seq, claim_time = None, 0, 0
    next_number, first_expiry = core.next_number, core.first_expiry
    for change in body.changes:
        after, former = change.after, change.former
        if after is not None:
            next_number = max(next_number, after.number + 1)
            if after.expire_time:
                first_expiry = min(first_expiry or after.expire_time, after.expire_time)
        if former is not None:
            next_number = max(next_number, former.number + 1)
    next_index, runs = core.next_index, core.runs
    for run in body.stored_runs:
        next_index = max(next_index, run.index + 1)
        runs += bool(run.session_id)
    purges = core.purges
    if body.purges or body.purged:
        purges = {**purges, **dict.fromkeys(body.purges, record.seq)}
        purges = {name: seq for name, seq in purges.items() if seq > body.purged.get(name, 0)}
    summarize = core.summarize
    if body.summarize or body.session_deletion is not None:
        deleted = body.session_deletion.session_id if body.session_deletion is not None else ""
        summarize = {**summarize, **body.summarize, deleted: 0}
        summarize = {name: time for name, time in summarize.items() if time}
    return Core(
        revision=body.revision or core.revision,
        next_number=next_number,
        next_index=next_index,
        runs=runs,
        time=record.time,
        change_time=record.time if _is_change(body) else core.change_time,
        epoch=epoch,
        claim=claim,
        claim_seq=claim_seq,
        claim_time=claim_time,
        open=open_extractions,
        failed=failed,
        first_expiry=first_expiry,
        purges=purges,
        erase_seq=core.erase_seq,
        unnamed_deletions=core.unnamed_deletions.plus(body.unnamed_deletions, record.time)
        if body.unnamed_deletions
        else core.unnamed_deletions,
        consolidate_time=core.consolidate_time if body.consolidate_time is None else body.consolidate_time,
        summarize=summarize,
        embed_time=core.embed_time if body.embed_time is None else body.embed_time,
        has_vectors=core.has_vectors or bool(body.embedded),
        said_owed=_said_owed(core.said_owed, body),
        configs=_configs_with(core.configs, body.configured),
        spent=body.spent or core.spent,
        sweep=_sweep(core.sweep, body),
    )


def _said_owed(owed: tuple[str, ...], body: Body) -> tuple[str, ...]:
    if body.said_settled:
        owed = tuple(run_id for run_id in owed if run_id not in body.said_settled)
    return (*owed, body.run.run_id) if body.said_owed and body.run is not None else owed


def _configs_with(configs: Mapping[str, Configured], changed: Configured | None) -> Mapping[str, Configured]:
    return configs if changed is None else {**configs, changed.agent_id: changed}


def _sweep(sweep: SweepNote, body: Body) -> SweepNote:
    """Return how far the sweep has come: it begins at once where things are no longer to be kept for ever."""
    if body.sweep is not None:
        return body.sweep
    if body.configured is not None and any(astuple(body.configured.given.retention)):
        return SweepNote("", _AT_ONCE)
    return sweep


def _is_change(body: Body) -> bool:
    return bool(body.changes) or bool(body.stored_runs) or body.erase is not None or body.request is not None


def _failed_with(failed: Mapping[str, int], extraction: Extraction, *, was_open: bool) -> Mapping[str, int]:
    """Return how many failed, by reason, once an extraction is as given."""
    if was_open and extraction.state is ExtractionState.FAILED:
        return {**failed, extraction.reason: failed.get(extraction.reason, 0) + 1}
    before = extraction.endings[-1] if extraction.endings else None
    if was_open or extraction.state.ended or before is None or before.state is not ExtractionState.FAILED:
        return failed
    left = failed.get(before.reason, 0) - 1
    rest = {reason: count for reason, count in failed.items() if reason != before.reason}
    return {**rest, before.reason: left} if left > 0 else rest


def _first_expiry(layers: Layers, former: Memories) -> int:
    kinds = (*layers.values(), former)
    return min((each.expire_time for memories in kinds for each in memories.values() if each.expire_time), default=0)


def of_present(change: Change) -> Change | None:
    """Return what changed among the memories; None: only facts of the past did. An import makes one of the other."""
    before, after = change.before, change.after
    was, is_now = before is not None and before.superseded, after is not None and after.superseded
    if not was and not is_now:
        return change
    if (was or before is None) and (is_now or after is None):
        return None
    return Change(change.kind, None if was else before, None if is_now else after, change.cause)


def _former(former: Memories, changes: Iterable[Change]) -> Memories:
    """Return the facts of the past after changes: of memories that were so until now, and of such facts themselves."""
    kept: dict[str, Memory] | None = None
    for change in changes:
        if change.former is None and of_present(change) is change:
            continue
        if kept is None:
            kept = dict(former)
        if change.former is not None:
            kept[change.former.memory_id] = change.former
        kept.pop(change.memory_id, None)
        if change.after is not None and change.after.superseded:
            kept[change.memory_id] = change.after
    if kept is None:
        return former
    numbers = [memory.number for memory in kept.values()]
    if numbers != sorted(numbers):
        kept = dict(sorted(kept.items(), key=lambda item: item[1].number))
    return kept


def _changed(layers: Layers, keys: Mapping[str, str], changes: Iterable[Change]) -> tuple[Layers, Mapping[str, str]]:
    copied: dict[Layer, dict[str, Memory]] = {}
    unordered: set[Layer] = set()
    gone: list[str] = []
    taken: dict[str, str] = {}
    for change in changes:
        before, after = change.before, change.after
        moves = before is None or after is None or _stands(before) != _stands(after)
        if before is not None and moves:
            _copied(copied, layers, before.layer).pop(before.memory_id, None)
            if before.key:
                gone.append(place(before.layer, before.key))
        if after is not None:
            memories = _copied(copied, layers, after.layer)
            if moves and memories and memories[next(reversed(memories))].number > after.number:
                unordered.add(after.layer)
            memories[after.memory_id] = after
            if after.key and moves:
                taken[place(after.layer, after.key)] = after.memory_id
    for layer in unordered:
        copied[layer] = dict(sorted(copied[layer].items(), key=lambda item: item[1].number))
    changed: dict[str, Memories] = {str(layer): memories for layer, memories in copied.items()}
    if gone or taken:
        # What one memory frees, another may take in the same commit, in whatever order they stand in it.
        left = dict(keys)
        for spot in gone:
            left.pop(spot, None)
        keys = left | taken
    return replace(layers, **changed), keys


def _stands(memory: Memory) -> tuple[Layer, str, int]:
    """Return what says where a memory stands among the others."""
    return memory.layer, memory.key, memory.number


def _copied(copied: dict[Layer, dict[str, Memory]], layers: Layers, layer: Layer) -> dict[str, Memory]:
    memories = copied.get(layer)
    if memories is None:
        memories = copied[layer] = dict(layers[layer])
    return memories


def _remember(sessions: Mapping[str, Session], session: Session) -> Mapping[str, Session]:
    kept = {key: value for key, value in sessions.items() if key != session.session_id}
    while len(kept) >= _SESSIONS_REMEMBERED:
        del kept[next(iter(kept))]
    kept[session.session_id] = session
    return kept


def _seen(body: Body, record: Record) -> SeenRequest:
    assert body.request is not None
    expire_time = record.time + REQUEST_RETENTION_SECONDS * 1_000_000
    return SeenRequest(body.request.method, body.request.digest, record.seq, expire_time)


def project(before: State, after: State, record: Record, body: Body) -> tuple[list[Row], list[RowKey]]:
    """Return the rows that `record` puts and deletes, but the STATE row and those that only the decision knows."""
    puts: list[Row] = []
    deletes: list[RowKey] = []
    for change in body.changes:
        if change.former is not None:
            puts.append(_former_row(change.former))
        present = of_present(change)
        if present is not change:
            if change.after is not None and change.after.superseded:
                puts.append(_former_row(change.after))
            else:
                deletes.append(RowKey(RowKind.FORMER, change.memory_id))
            if present is None:
                continue
        if present.after is not None:
            puts.append(Row(RowKind.MEMORY, change.memory_id, encode(present.after)))
        else:
            deletes.append(RowKey(RowKind.MEMORY, change.memory_id))
        if present.before is not None and before.core.has_vectors:
            # What is left of a text that is gone must go with it.
            deletes.append(RowKey(RowKind.VECTOR, change.memory_id))
    for extraction in body.extractions:
        if extraction.state.ended:
            position = extraction.position
            puts.append(Row(RowKind.EXTRACTION, extraction.extraction_id, encode(extraction), "", position))
            if extraction.state is ExtractionState.SUCCEEDED and not extraction.session_id:
                deletes.extend(RowKey(RowKind.RUN, run_id) for run_id in extraction.run_ids)
        elif extraction.retries:
            # It had ended before; any other has no row yet.
            deletes.append(RowKey(RowKind.EXTRACTION, extraction.extraction_id))
    puts.extend(
        Row(RowKind.SESSION, session.session_id, encode(session), "", session.last_index)
        for session in body.moved_sessions
    )
    if body.session_deletion is not None:
        deletes.append(RowKey(RowKind.SESSION, body.session_deletion.session_id))
    if body.request is not None:
        seen = _seen(body, record)
        puts.append(Row(RowKind.REQUEST, body.request.key, encode(seen), "", seen.expire_time))
        deletes.extend(_pruned(before, after, record.time))
    return puts, deletes


def _former_row(memory: Memory) -> Row:
    return Row(RowKind.FORMER, memory.memory_id, encode(memory), "", memory.number)


def _pruned(before: State, after: State, now: int) -> Iterator[RowKey]:
    if before.requests is not None and after.requests is not None and before.requests.older is not after.requests.older:
        # An id that was used anew after it had expired is among both, and stays.
        for key, seen in {**before.requests.older, **before.requests.recent}.items():
            if seen.expire_time <= now:
                yield RowKey(RowKind.REQUEST, key)


def state_row(state: State) -> Row:
    """Return the STATE row."""
    return Row(RowKind.STATE, "", encode(state.core))


def load(scope: Scope, loaded: Loaded) -> State:
    """Return the state that the rows add up to; requests are not among them."""
    core = Core()
    memories: list[Memory] = []
    former: list[Memory] = []
    for row in loaded.rows:
        if row.kind is RowKind.MEMORY:
            memories.append(decode(row.body, Memory))
        elif row.kind is RowKind.FORMER:
            former.append(decode(row.body, Memory))
        elif row.kind is RowKind.STATE:
            core = decode(row.body, Core)
    memories.sort(key=lambda memory: memory.number)
    former.sort(key=lambda memory: memory.number)
    layers: dict[str, dict[str, Memory]] = {layer.value: {} for layer in Layer}
    keys: dict[str, str] = {}
    for memory in memories:
        layers[memory.layer][memory.memory_id] = memory
        if memory.key:
            keys[place(memory.layer, memory.key)] = memory.memory_id
    of_past = {memory.memory_id: memory for memory in former}
    return State(scope, *loaded.tip, core, Layers(**layers), keys, former=of_past)


def load_requests(loaded: Loaded) -> Requests:
    """Return the requests that the rows hold."""
    # As recent ones, so that a user with few of them is rid of those that expired.
    return Requests({row.row_id: decode(row.body, SeenRequest) for row in loaded.rows})


def due_time(state: State) -> int:
    """Return when the user may have work next, microseconds since the epoch; 0: never."""
    core = state.core
    if core.claim is not None:
        # Of the claim, not of the user's newest record: or nobody would ever look after a dead worker of a busy user.
        return core.claim.lapses or core.claim_time + int(core.claim.lease_seconds * 1_000_000)
    times = [extraction.next_attempt_time for extraction in core.open.values()]
    if core.first_expiry:
        times.append(core.first_expiry)
    if core.purges:
        times.append(_AT_ONCE)
    times.extend(core.summarize.values())
    if core.consolidate_time:
        times.append(core.consolidate_time)
    if core.embed_time:
        times.append(core.embed_time)
    if core.sweep.next_time:
        times.append(core.sweep.next_time)
    return min(times, default=0)
