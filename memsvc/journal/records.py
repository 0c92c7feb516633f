"""What a record says, and its stored form.

A record is an envelope (`memsvc.storage.driver.Record`) around a body. Every kind has the same body with other parts
filled: so one step can do several things at once, as when a commit settles the extraction that made it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping

import msgspec

from memsvc.configuration import Configured
from memsvc.model import Change, Commit, Extraction, ImportResult, Scope, Session

_NAMING_BYTES = 16


class Request(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The request that a record answers: kept for a week so that a repeat finds it."""

    request_id: str
    method: str
    digest: str
    """16 hexadecimal digits of the request's content: the same id with another digest is refused."""
    part: int = 0
    """Which of the records it is that carry out a request too large for one; from 0 on."""

    @property
    def key(self) -> str:
        """What names the request among those of its user: clients choose ids for each method."""
        key = f"{self.method}/{self.request_id}"
        return f"{key}/{self.part}" if self.part else key

    def of_part(self, part: int) -> Request:
        """Return what one of its records answers: a repeat finds each of them, and goes on after the last."""
        return msgspec.structs.replace(self, part=part)


class RunNote(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A run that was stored. Its messages are in its row."""

    session_id: str
    run_id: str
    index: int
    extraction_id: str = ""
    replaces_run_id: str = ""
    """The run that was in the history until then: of a chain of replacements the last."""


class Claim(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A worker's lease on a user."""

    owner: str
    epoch: int
    lease_seconds: float
    generation: int = 0
    """The store's generation that the owner ran in; see `Driver.generation`."""
    extraction_ids: tuple[str, ...] = ()
    renewals: int = 0
    lapses: int = 0
    """When the lease ends, unless it is renewed, by the owner's clock; 0: so long after the record's time."""


class Reached(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """How far an extraction's commits have come, where one record does not take all that was learned."""

    operations: int = 0
    """How many operations are done."""
    deletions: int = 0
    """How many memories went that nobody had asked to be forgotten."""


class EraseNote(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What an erasure removed."""

    memories: int = 0
    runs: int = 0


class SessionDeletion(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A session that was deleted with its runs."""

    session_id: str
    runs: int = 0
    memories: int = 0


class Imported(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What became of an imported memory."""

    memory_id: str
    """Its id; of one that was skipped the id of what is there."""
    number: int
    result: ImportResult


class ImportedRun(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What became of an imported run."""

    run_id: str
    index: int
    result: ImportResult


class Spent(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What learning has cost a namespace in a day."""

    day: int = 0
    """Days since the epoch, of UTC."""
    model_tokens: int = 0


class SweepNote(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """How far a sweep has come through the users of a namespace, of which things are not kept for ever."""

    after: str = ""
    """The last user that it has been at; empty: it begins anew."""
    next_time: int = 0
    """When it goes on; 0: never."""


class Forgotten(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What is no longer kept of a user, since it is old enough."""

    runs: int = 0
    session_ids: tuple[str, ...] = ()
    """Sessions that have fewer runs now, or none."""
    extractions: int = 0
    failed: Mapping[str, int] = {}
    """How many of these FAILED, by reason."""
    more: bool = False
    """There is more of it."""
    reached: int = 0
    """Rows up to this position have been looked at."""


class SummaryNote(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A summary that was stored. Its text is in its row alone, so that it can go."""

    session_id: str = ""
    """Empty: there was nothing to summarize."""
    covered_through: int = 0


class Body(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """What happened; parts that did not are left out."""

    revision: int = 0
    """The user's revision after the record."""
    changes: tuple[Change, ...] = ()
    request: Request | None = None
    actor: str = ""
    extraction_id: str = ""
    """The extraction that made the changes."""
    run: RunNote | None = None
    session: Session | None = None
    """The run's session after it."""
    known_run: RunNote | None = None
    """The run that was answered, where all of what was to be stored was there already."""
    extractions: tuple[Extraction, ...] = ()
    """Extractions as they are after the record, where it changed them."""
    claim: Claim | None = None
    """The claim after the record, where it made or renewed one."""
    releases: bool = False
    """The claim, if any, ends here."""
    session_deletion: SessionDeletion | None = None
    purges: tuple[str, ...] = ()
    """Memories whose text has to be blanked in the history."""
    purged: Mapping[str, int] = {}
    """Memories whose text has been blanked, where a record up to this one asked for it."""
    sweeps: bool = False
    """Expired memories are gone: when the next one expires has to be counted anew."""
    cleared: int = 0
    """How many memories a clear has deleted, with those of its earlier records."""
    imported: tuple[Imported, ...] = ()
    """What became of the memories of an import, in their order."""
    imported_runs: tuple[ImportedRun, ...] = ()
    runs: tuple[RunNote, ...] = ()
    """Runs that were imported."""
    sessions: tuple[Session, ...] = ()
    """Their sessions after them."""
    rewritten: tuple[str, ...] = ()
    """Stored runs whose places imported ones took."""
    unrestored: tuple[str, ...] = ()
    """Memories that a restore left as they were, since their text was purged."""
    more: bool = False
    """What was asked for goes on with another record."""
    reached: Reached | None = None
    """How far an extraction has come that goes on with another record."""
    unnamed_deletions: int = 0
    """How many memories an extraction deleted that no words of the user named, or a tool at once by key or topic."""
    erase: EraseNote | None = None
    summary: SummaryNote | None = None
    summarize: Mapping[str, int] = {}
    """Sessions that are to be summarized, and when; 0: no longer."""
    embedded: tuple[str, ...] = ()
    """Memories whose vectors were stored."""
    said_owed: bool = False
    """What the run is found by is not stored with it: its SAID row is owed."""
    said_settled: tuple[str, ...] = ()
    """Runs whose SAID rows are owed no longer: they are stored, or the runs are gone."""
    configured: Configured | None = None
    """What was configured, as it is after the record."""
    spent: Spent | None = None
    """What learning has cost so far in a day, after the record."""
    configured_before: Configured | None = None
    """The same before; None: it had never been."""
    sweep: SweepNote | None = None
    """How far a sweep has come, where the record notes it."""
    forgotten: Forgotten | None = None
    """What a sweep took away."""
    consolidate_time: int | None = None
    """When the memories are to be consolidated by themselves, 0: not; None: as before."""
    embed_time: int | None = None
    """When vectors have to be made next, 0: all are there; None: as before."""

    @property
    def stored_runs(self) -> tuple[RunNote, ...]:
        """All runs that were stored, in order."""
        return self.runs if self.run is None else (self.run, *self.runs)

    @property
    def moved_sessions(self) -> tuple[Session, ...]:
        """All sessions that are not as they were, as they are now."""
        return self.sessions if self.session is None else (self.session, *self.sessions)


def commit_of(body: Body, time: int) -> Commit:
    """Return the commit that a record with `body` made."""
    return Commit(
        revision=body.revision if body.changes else 0,
        time=time,
        changes=body.changes,
        request_id=body.request.request_id if body.request is not None else "",
        actor=body.actor,
        extraction_id=body.extraction_id,
    )


_decoder = msgspec.json.Decoder(Body)
encode_body = msgspec.json.Encoder().encode


def decode_body(body: bytes) -> Body:
    """Return what `encode_body` stored. Raises msgspec.ValidationError when it is something else."""
    return _decoder.decode(body)


def new_nonce() -> str:
    """Return 64 random bits in hexadecimal."""
    return os.urandom(8).hex()


def request_digest(content: bytes) -> str:
    """Return the digest of a request's content for `Request`."""
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def reply_bytes(scope: Scope, encoded: bytes, change_count: int) -> int:
    """Return what the commit of an encoded body takes in a reply at most: there each memory names its user."""
    names = len(scope.namespace.encode()) + len(scope.user_id.encode()) + _NAMING_BYTES
    return len(encoded) + 2 * change_count * names
