"""The contract between memsvc and a database.

A driver keeps one journal per user, and rows: the projections that a journal's records lead to. It never looks into the
body of a record, and needs no more of a row than its key and order. Everything that is decided, is decided above it.

Each MUST names the test in `memsvc.storage.conformance` that holds it.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import msgspec

from memsvc.model import Scope

MAX_APPEND_BYTES = 4 << 20
"""What the bodies of one append's records and rows may add up to, its largest row aside."""

MAX_ROW_BYTES = 13 << 20
"""What the body of one row may be: a run of 2 MiB of control characters, each of which is six bytes in JSON."""

MAX_RECORD_CHANGES = 1_000
"""How many changes one record may hold."""


class RecordKind(enum.StrEnum):
    """What a record says happened."""

    COMMIT = "commit"
    RUN = "run"
    CLAIM = "claim"
    RENEW = "renew"
    ACCEPT = "accept"
    """An extraction of stored runs was accepted."""
    WAIT = "wait"
    """Extractions wait again: released, postponed, hastened, retried."""
    SETTLE = "settle"
    """Extractions ended without a commit: failed, cancelled."""
    VECTORS = "vectors"
    SUMMARY = "summary"
    """A session's summary was stored."""
    PURGED = "purged"
    """What purges asked for is gone."""
    CONFIRM = "confirm"
    """Nothing: what stands before it is acknowledged."""
    CONFIG = "config"
    """The configuration of a namespace was changed: in the journal of its reserved empty user."""
    SPEND = "spend"
    """What learning has cost a namespace, in the journal of the same user."""
    SWEEP = "sweep"
    """What is not kept for ever is gone; or, in the journal of a namespace's empty user, how far that has come."""
    ERASE = "erase"


class RowKind(enum.StrEnum):
    """What a row projects."""

    STATE = "state"
    """One per user, id "": the rest of the state, next to its memories."""
    MEMORY = "memory"
    RUN = "run"
    """Group: its session. Position: its index."""
    SESSION = "session"
    """Position: the index of its last run."""
    EXTRACTION = "extraction"
    """Position: the seq that accepted it."""
    REQUEST = "request"
    """A request id seen. Position: when it ends being kept, microseconds since the epoch."""
    VECTOR = "vector"
    """Of a memory, by its id. Position: the memory's number."""
    FORMER = "former"
    """A fact of the past: a memory whose place another took, or that is no longer so. Position: its number."""
    SUMMARY = "summary"
    """Of a session, by its id. Position: the index of the session's last run then."""
    SAID = "said"
    """What a run's messages can be found by, under the run's id. Position: the run's index."""


class Tip(NamedTuple):
    """Where a journal ends. Two tips are the same only if both halves are: a number alone lies after a failover."""

    seq: int
    nonce: str


EMPTY = Tip(0, "")
"""The tip of a journal without records."""


class Record(msgspec.Struct, frozen=True, gc=False):
    """One entry of a journal. `body` is taken as it is."""

    seq: int
    nonce: str
    """16 hexadecimal digits, random."""
    kind: RecordKind
    time: int
    """Microseconds since the epoch, by the writer's clock."""
    body: bytes


class Row(msgspec.Struct, frozen=True, gc=False):
    """One projection. Unique by (user, kind, row_id); rows of one user, kind and group have distinct positions
    (REQUEST rows aside, which are read whole)."""

    kind: RowKind
    row_id: str
    body: bytes
    """JSON, as `memsvc.model.encode` makes it: readable columns may be derived from it, never the other way round."""
    group: str = ""
    position: int = 0


class RowKey(NamedTuple):
    """Names a row of a user."""

    kind: RowKind
    row_id: str


class PageOf(msgspec.Struct, frozen=True, gc=False):
    """Which rows of a user are asked for: some of one kind, in the order of their positions."""

    scope: Scope
    kind: RowKind
    limit: int
    group: str | None = None
    """None: of all groups."""
    after: int | None = None
    """Only higher positions than this."""
    before: int | None = None
    """Only lower positions than this."""
    descending: bool = False

    def holds(self, row: Row) -> bool:
        """Whether a row of the user belongs on the page, or would if its limit were higher."""
        return (
            row.kind == self.kind
            and (self.group is None or row.group == self.group)
            and (self.after is None or row.position > self.after)
            and (self.before is None or row.position < self.before)
        )

    def of(self, rows: Iterable[Row]) -> list[Row]:
        """Return the page, of all the user's rows."""
        held = filter(self.holds, rows)
        return sorted(held, key=lambda row: row.position, reverse=self.descending)[: self.limit]


class Redaction(msgspec.Struct, frozen=True, gc=False):
    """A body to take the place of another."""

    seq: int
    old: bytes
    """What the record says now, as far as the caller knows."""
    new: bytes


class Append(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What happens to one user in one step."""

    scope: Scope
    after: Tip
    """Where the writer believes the journal ends."""
    records: Sequence[Record]
    """At least one; seq goes on from `after.seq` without a gap. A journal that is copied may begin at any seq."""
    puts: Sequence[Row] = ()
    """Rows to insert or replace, as they are after the last record."""
    deletes: Sequence[RowKey] = ()
    """Rows to delete; one that is absent is no error. Never names a row that `puts` does."""
    due: int = 0
    """When the user may have work next, microseconds since the epoch; 0: none."""
    erases: bool = False
    """Before `puts`, delete every row of the user but its REQUEST rows, and every earlier record for good."""


class Outcome(enum.Enum):
    """What became of one item of a batch."""

    APPENDED = "appended"
    CONFLICT = "conflict"
    """The journal did not end at `after`; nothing of the item was written."""
    UNKNOWN = "unknown"
    """The database did not say, or failed: the item was applied whole or not at all; look which."""


class Loaded(msgspec.Struct, frozen=True, gc=False):
    """A user's tip and rows, from one consistent read. A user without a journal has tip EMPTY and no rows."""

    tip: Tip
    rows: Sequence[Row]


class Due(NamedTuple):
    """A user that may have work."""

    scope: Scope
    time: int


class Capability(NamedTuple):
    """Whether a driver offers something, and why not (or on what condition)."""

    supported: bool
    reason: str = ""


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a driver, as it is configured and connected, promises."""

    durable: Capability
    """An acknowledged append survives a crash of its node."""
    failover: Capability
    """... and the loss of that node."""
    shared: Capability
    """Several processes may use one database at once."""
    hints: Capability
    """`hints` reports what other processes append."""
    concurrent_batches: int = 1
    """How many batches are worth having under way at once."""
    tips_cost_nothing: bool = False
    """`tips` answers within microseconds without a round trip: not worth sharing between waiting reads."""
    commits_mark: Callable[[], bytes] | None = None
    """Returns, at once, what is another one after each commit of any process; empty while that cannot be told. None: it
    never can. As long as it is the same, so are tips.

    It MUST be another one before an append is acknowledged (test_tips_see_every_acknowledged_append).
    """
    reads_run_ahead: bool = False
    """What is read may be held by fewer copies than what is acknowledged: it is as safe once a later append is."""
    warnings: Sequence[str] = ()
    """What an operator should change in the database's configuration, and why: a sentence each."""


class Migration(msgspec.Struct, frozen=True):
    """Where a schema stands, and what `migrate` did or, with `check`, would do."""

    found: int
    """Version found; 0: nothing there."""
    wanted: int
    steps: Sequence[str] = ()


class TruncatedJournal(Exception):
    """The records asked for are below the floor. `first` is the lowest seq that is kept."""

    def __init__(self, first: int) -> None:
        super().__init__(f"journal starts at {first}")
        self.first = first


@runtime_checkable
class Driver(Protocol):
    """Keeps users' journals in one database. Shared by all tasks of a process, used from one event loop.

    Every operation but `open` MUST raise StorageUnavailable before `open` and after `close` (test_use_after_close).
    An error of the database library is mapped by its class or code, never by its text, and kept as the cause.
    Order, wherever it is promised, is by UTF-8 bytes.
    """

    @property
    def generation(self) -> int:
        """How often this store was opened by a process that knew to be alone on it; 0: the driver never knows.

        Claims of an older generation are void: their owners are gone (test_generation_rises_when_alone).
        """
        ...

    async def open(self) -> None:
        """Connect, and create the schema where there is none; migrate an older one only where that is safe (a file).

        MUST raise SchemaMismatch instead of touching a schema that is newer (test_a_newer_schema_is_refused), or an
        older one that others may be using.
        """
        ...

    async def close(self) -> None:
        """Finish what was handed over, then free everything. A second call does nothing."""
        ...

    async def ping(self) -> None:
        """Return if the database answers. Raises StorageUnavailable."""
        ...

    async def migrate(self, *, check: bool = False) -> Migration:
        """Bring the schema to the version wanted; with `check` only say what would be done. May be called unopened.

        A newer schema is left alone: SchemaMismatch, or with `check` a report whose `found` is above `wanted`.
        MUST apply each step once however many processes race (test_racing_migrations_apply_once).
        """
        ...

    def capabilities(self) -> Capabilities:
        """Return what holds for this configuration. Only valid between `open` and `close`."""
        ...

    async def append(self, batch: Sequence[Append]) -> Sequence[Outcome]:
        """Apply each item, all of it or nothing, if its user's journal still ends at `item.after`.

        No user is named twice in a batch. Outcomes are in the batch's order.
        MUST be durable on return where capabilities say so (test_acknowledged_appends_survive_reopening, and the
        torture run). MUST answer CONFLICT for an item whose journal moved on and go on with the others
        (test_a_conflict_fails_alone). MUST never apply part of an item (test_an_item_is_applied_whole_or_not_at_all).
        MUST answer UNKNOWN, or raise StorageUnavailable for all, when the database failed; never APPENDED
        (test_a_full_disk_inside_a_group_acknowledges_nothing_lost).
        """
        ...

    async def tips(self, scopes: Sequence[Scope]) -> Sequence[Tip]:
        """Return where these journals end now, in the order given; EMPTY for a user without one.

        MUST see every append that was acknowledged, by any process, before the call
        (test_tips_see_every_acknowledged_append).
        """
        ...

    async def load(self, scope: Scope, kinds: Collection[RowKind]) -> Loaded:
        """Return tip and all rows of these kinds.

        MUST be one consistent read (test_a_load_during_appends_is_never_torn).
        """
        ...

    async def records(self, scope: Scope, after: int, limit: int) -> Sequence[Record]:
        """Return at most `limit` records with seq > `after`, in order.

        MUST raise TruncatedJournal when records between `after` and the first one kept are gone
        (test_records_below_the_floor_are_refused).
        """
        ...

    async def rows(self, page: PageOf) -> Sequence[Row]:
        """Return these rows, ordered by position.

        MUST keep order and miss nothing that does not change while paging (test_pages_are_stable_under_writes).
        """
        ...

    async def get(self, scope: Scope, kind: RowKind, row_ids: Sequence[str]) -> Mapping[str, Row]:
        """Return those of these rows that exist, by id."""
        ...

    async def due(self, before: int, limit: int) -> Sequence[Due]:
        """Return users whose `due` is set and not after `before`, earliest first.

        A superset of the users that have work; MUST never miss one (test_due_never_misses_a_user).
        """
        ...

    async def users(self, namespace: str, after: str, limit: int) -> Sequence[str]:
        """Return at most `limit` users of a namespace with id > `after`, in order.

        MUST leave out a user whose last append `erases` (test_an_erased_user_is_not_listed).
        """
        ...

    async def scopes(self, after: Scope | None, limit: int) -> Sequence[Scope]:
        """Return at most `limit` of the users that have a journal, those that follow `after`; None: the first.

        The order is the store's own, but stays the same. For moving a store to another: MUST name every journal, those
        of erased users and of namespaces (user id "") included (test_scopes_name_every_journal).
        """
        ...

    async def seed(self, scope: Scope, rows: Sequence[Row], *, afresh: bool) -> None:
        """Put rows of a user who has no journal yet, or whose copy was cut off; `afresh` deletes what is there before.

        For moving a store to another: rows first, then the records in appends after EMPTY, so that a user whose copy
        was cut off shows as one without a journal. Nobody else may use the user meanwhile. MUST be as durable as an
        append (test_a_copied_user_is_the_same).
        """
        ...

    async def truncate(self, scope: Scope, floor: int) -> None:
        """Forget records with seq < `floor`; the newest record always stays.

        A stale writer MUST NOT be able to append below it (test_a_stale_writer_cannot_append_below_the_floor).
        """
        ...

    async def redact(self, scope: Scope, redactions: Sequence[Redaction]) -> Collection[int]:
        """Replace the body of each of these records for good, if it is still `old`; return which were replaced.

        No seq is named twice. Of the others, some may be gone, and some say something else by now: read them again.
        MUST leave alone a record that says something else, in the same step in which it looks
        (test_of_two_redactions_of_one_record_one_wins). MAY leave out of its answer what it did replace, if that was
        replaced again at once. MUST leave no readable trace of the old bodies in the database's files once it returned,
        where the database allows it (test_redacted_text_is_gone).
        """
        ...

    def hints(self) -> AsyncIterator[Scope | None]:
        """Yield users whose journals moved; None: any may have. Never ends by itself.

        MAY miss some and repeat others.
        """
        ...
