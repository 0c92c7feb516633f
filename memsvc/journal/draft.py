"""Drafting a commit: the changes of one decision, each checked against the state and the changes before it."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from memsvc.errors import (
    Aborted,
    AlreadyExists,
    FailedPrecondition,
    FieldViolation,
    NotFound,
    Reason,
    ResourceExhausted,
)
from memsvc.ids import derived_id
from memsvc.journal.records import Body, Request
from memsvc.journal.state import State, place
from memsvc.model import Cause, Change, ChangeKind, Layer, Memory


class Moment(NamedTuple):
    """When and under which nonce a decision is made."""

    time: int
    """Microseconds since the epoch; later than the state's own time."""
    nonce: str
    now: int
    """By this process's clock alone, which says what is due: a clock that was ahead must not put it off."""


MAX_FORMER: Final = 1_000
"""Of one user; of more facts of the past, what ended first goes."""
_FORMER_IDS: Final = 1 << 15
"""Their ids are derived with counters from here on: those of memories are below."""


class Draft:
    """Collects changes. Every method raises instead of breaking an invariant, and then has changed nothing."""

    def __init__(self, state: State, moment: Moment, *, quota: int, cause: Cause = Cause.REQUESTED) -> None:
        self.state = state
        self.moment = moment
        self._quota = quota
        self._cause = cause
        self._count = state.memory_count
        self._next_number = state.core.next_number
        self._changes: dict[str, Change] = {}
        self._keys: dict[str, str | None] = {}
        self._branches: set[str] | None = None
        self._numbers: dict[int, str] | None = None
        self._former_count = len(state.former)
        self._formers_made = 0
        self.etag = f"{state.revision + 1}-{moment.nonce[:8]}"

    @property
    def changes(self) -> tuple[Change, ...]:
        return tuple(self._changes.values())

    def touches(self, memory_id: str) -> bool:
        """Return whether the memory is among those changed so far."""
        return memory_id in self._changes

    def find(self, memory_id: str) -> Memory | None:
        """Return the memory as it would be after the changes so far."""
        change = self._changes.get(memory_id)
        return change.after if change is not None else self.state.memory(memory_id)

    def at(self, layer: Layer, key: str) -> Memory | None:
        """Return the memory at a key as it would be after the changes so far."""
        spot = place(layer, key)
        memory_id = self._keys[spot] if spot in self._keys else self.state.keys.get(spot)
        return self.find(memory_id) if memory_id is not None else None

    def unless_expired(self, memory: Memory | None) -> Memory | None:
        """Return a memory found here; one that has expired is deleted, as a sweep would, and its place is free.

        Whoever changed it instead would change what nobody sees, and what goes with the next sweep.
        """
        if memory is None or not 0 < memory.expire_time <= self.moment.now:
            return memory
        self.delete(memory)
        change = self._changes.get(memory.memory_id)
        if change is not None:
            self._changes[memory.memory_id] = msgspec.structs.replace(change, cause=Cause.EXPIRED)
        return None

    def create(self, memory: Memory) -> Memory:
        """Add a memory; number, times and etag are given here.

        Raises AlreadyExists (MEMORY_EXISTS, KEY_TAKEN), FailedPrecondition (KEY_CONFLICT), ResourceExhausted.
        """
        if self.unless_expired(self.find(memory.memory_id)) is not None:
            raise AlreadyExists(
                Reason.MEMORY_EXISTS,
                f"memory {memory.memory_id} exists",
                (FieldViolation("memory.memory_id", "is taken"),),
                {"memory_id": memory.memory_id},
            )
        self._check_new(memory)
        time = self.moment.time
        created = msgspec.structs.replace(
            memory,
            number=self._next_number,
            create_time=time,
            update_time=time,
            observe_time=memory.observe_time or time,
            etag=self.etag,
        )
        self._next_number += 1
        self._count += 1
        self._put(None, created)
        return created

    def replace(self, before: Memory, after: Memory) -> Memory:
        """Change a memory found here; what is fixed stays as it was."""
        after = msgspec.structs.replace(
            after,
            memory_id=before.memory_id,
            number=before.number,
            layer=before.layer,
            key=before.key,
            create_time=before.create_time,
            observe_time=after.observe_time or before.create_time,
            update_time=self.moment.time,
            etag=self.etag,
        )
        self._put(before, after)
        return after

    def restore(self, memory: Memory) -> Memory:
        """Let a memory be as it once was, under its own number. One that has its id must be at its place.

        Raises AlreadyExists (KEY_TAKEN), FailedPrecondition (KEY_CONFLICT), ResourceExhausted.
        """
        before = self.find(memory.memory_id)
        if before is None and not memory.superseded:
            self._check_new(memory)
            self._count += 1
        restored = msgspec.structs.replace(memory, update_time=self.moment.time, etag=self.etag)
        self._put(before, restored)
        return restored

    def bring_in(self, memory: Memory, above: int) -> Memory:
        """Add a memory from elsewhere, at its own times and with its own number unless another memory has that.

        Then it gets one above all that were given, and above `above`. Of too many facts of the past the one that ended
        first goes. Raises as `restore` does.
        """
        if not memory.superseded:
            self._check_new(memory)
        if self._numbers is None:
            self._numbers = {each.number: each.memory_id for each in self.state.all_memories()}
        holder = self._numbers.get(memory.number)
        taken = holder is not None and holder != memory.memory_id and self.find(holder) is not None
        self._next_number = max(self._next_number, above + 1)
        number = memory.number
        if not number or taken:
            number = self._next_number
            self._next_number += 1
        self._numbers[number] = memory.memory_id
        time = self.moment.time
        brought = msgspec.structs.replace(
            memory,
            number=number,
            create_time=memory.create_time or time,
            update_time=memory.update_time or memory.create_time or time,
            observe_time=memory.observe_time or memory.create_time or time,
            etag=self.etag,
        )
        if brought.superseded:
            self._make_room_for_former()
        else:
            self._count += 1
        self._put(None, brought)
        return brought

    def delete(self, memory: Memory, *, forgets: bool = True) -> None:
        """Delete a memory found here; `forgets`: with what it said before its present text."""
        for former in self.state.former.values() if forgets and not memory.superseded else ():
            if former.successor_id == memory.memory_id and self.find(former.memory_id) is not None:
                self._former_count -= 1
                self._put(former, None)
        if memory.superseded:
            self._former_count -= 1
        else:
            self._count -= 1
        self._put(memory, None)
        change = self._changes.get(memory.memory_id)
        if forgets and change is not None and change.former is not None:
            # What it said until this draft changed it is no fact of the past yet.
            self._former_count -= 1
            self._changes[memory.memory_id] = msgspec.structs.replace(change, former=None)

    def supersede(self, before: Memory, after: Memory, time: int) -> Memory:
        """Change a memory, and keep what it said as a fact of the past, which was so until `time`."""
        replaced = self.replace(before, after)
        self._keep_former(before, time, before.memory_id)
        return replaced

    def end(self, memory: Memory, time: int, successor_id: str = "") -> None:
        """Delete a memory that is no longer so since `time`, and keep it as a fact of the past."""
        self._count -= 1
        self._put(memory, None)
        self._keep_former(memory, time, successor_id)

    def _keep_former(self, before: Memory, time: int, successor_id: str) -> None:
        change = self._changes.get(before.memory_id)
        if change is None or change.former is not None:
            # Made and unmade by this draft, or changed by it again: what was so before it is kept already.
            return
        earlier = [each.valid_to for each in self.state.former.values() if each.successor_id == before.memory_id]
        starts = before.valid_from or max(earlier, default=0)
        former = msgspec.structs.replace(
            before,
            memory_id=derived_id(self.moment.time, self.moment.nonce, _FORMER_IDS + self._formers_made),
            number=self._next_number,
            valid_from=starts,
            valid_to=max(time, starts) if starts else time,
            superseded=True,
            successor_id=successor_id,
            update_time=self.moment.time,
            etag=self.etag,
        )
        self._formers_made += 1
        self._next_number += 1
        self._make_room_for_former()
        self._changes[before.memory_id] = msgspec.structs.replace(change, former=former)

    def _make_room_for_former(self) -> None:
        """Count one more fact of the past, and let the one that ended first go where there are too many."""
        if self._former_count >= MAX_FORMER:
            kept = [each for each in self.state.former.values() if self.find(each.memory_id) is not None]
            if kept:
                self.delete(min(kept, key=lambda each: each.valid_to))
        self._former_count += 1

    def body(self, request: Request | None = None, **parts: object) -> Body:
        """Return the record's body; the revision is raised if anything changed."""
        changes = self.changes
        revision = self.state.revision + 1 if changes else self.state.revision
        return Body(revision=revision, changes=changes, request=request, **parts)  # type: ignore[arg-type]

    def _put(self, before: Memory | None, after: Memory | None) -> None:
        memory = after or before
        assert memory is not None
        earlier = self._changes.pop(memory.memory_id, None)
        if earlier is not None:
            before = earlier.before
        if memory.key and not memory.superseded:
            spot = place(memory.layer, memory.key)
            self._keys[spot] = memory.memory_id if after is not None else None
            if self._branches is not None:
                self._branches.update(_above(spot))
        if before is None and after is None:
            return
        kind = ChangeKind.CREATED if before is None else ChangeKind.DELETED if after is None else ChangeKind.UPDATED
        former = earlier.former if earlier is not None else None
        self._changes[memory.memory_id] = Change(kind, before, after, self._cause, former)

    def _check_new(self, memory: Memory) -> None:
        if memory.key:
            self._check_key(memory.layer, memory.key)
        if self._count >= self._quota:
            raise ResourceExhausted(Reason.QUOTA_EXCEEDED, f"user has {self._count} of {self._quota} memories")

    def _check_key(self, layer: Layer, key: str) -> None:
        holder = self.unless_expired(self.at(layer, key))
        if holder is not None:
            raise AlreadyExists(
                Reason.KEY_TAKEN,
                f"{layer} key {key} is held by memory {holder.memory_id}",
                (FieldViolation("memory.key", f"is held by memory {holder.memory_id}"),),
                {"memory_id": holder.memory_id},
            )
        clash = self.conflicting_key(layer, key)
        if clash is not None:
            leaf, branch = sorted((key, clash), key=len)
            raise FailedPrecondition(
                Reason.KEY_CONFLICT,
                f"{leaf} is a leaf, {branch} needs a branch",
                (FieldViolation("memory.key", f"conflicts with {clash}"),),
                {"key": clash},
            )

    def conflicting_key(self, layer: Layer, key: str) -> str | None:
        """Return a key of the layer that is above or below `key`, if there is one."""
        parts = key.split(".")
        for end in range(1, len(parts)):
            above = ".".join(parts[:end])
            if self.unless_expired(self.at(layer, above)) is not None:
                return above
        spot = place(layer, key)
        if spot in self._known_branches():
            for candidate in (*self.state.keys, *self._keys):
                if candidate.startswith(spot + "."):
                    below = candidate.partition("/")[2]
                    if self.unless_expired(self.at(layer, below)) is not None:
                        return below
        return None

    def _known_branches(self) -> set[str]:
        """Return every place that is above a key, of this state or of this draft: perhaps some that no longer are."""
        if self._branches is None:
            self._branches = {above for spot in (*self.state.keys, *self._keys) for above in _above(spot)}
        return self._branches


def _above(spot: str) -> list[str]:
    return [spot[:index] for index, character in enumerate(spot) if character == "."]


def check_etag(memory: Memory, etag: str) -> None:
    """Raise Aborted unless `etag` is empty or the memory's own."""
    if etag and etag != memory.etag:
        raise Aborted(
            Reason.ETAG_MISMATCH,
            f"memory {memory.memory_id} is at etag {memory.etag}",
            metadata={"memory_id": memory.memory_id, "etag": memory.etag},
        )


def check_revision(state: State, expected: int | None) -> None:
    """Raise Aborted unless `expected` is None or the user's revision."""
    if expected is not None and expected != state.revision:
        raise Aborted(
            Reason.REVISION_MISMATCH,
            f"user is at revision {state.revision}, expected {expected}",
            metadata={"revision": str(state.revision)},
        )


def not_found(memory_id: str = "", layer: Layer | None = None, key: str = "") -> NotFound:
    """Return the error for a memory that does not exist."""
    name = memory_id or f"at {layer} key {key}"
    return NotFound(Reason.MEMORY_NOT_FOUND, f"no memory {name}")
