"""One of the two databases of a copy: read in pages, asked again while it does not answer, named in its errors."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from memsvc.errors import Error, FailedPrecondition, Reason, StorageUnavailable
from memsvc.model import Scope
from memsvc.storage.driver import Append, Driver, Loaded, Outcome, PageOf, Record, Row, RowKind, Tip, TruncatedJournal

_T = TypeVar("_T")

_LOADED_KINDS = (RowKind.STATE, RowKind.MEMORY, RowKind.FORMER, RowKind.REQUEST, RowKind.VECTOR)
"""Read whole, as the service does itself: their positions do not tell them apart."""
_PAGED_KINDS = (RowKind.SESSION, RowKind.RUN, RowKind.EXTRACTION, RowKind.SUMMARY, RowKind.SAID)

_PAUSES_SECONDS = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
_PAGE_BYTES = 2 << 20
_FIRST_PAGE = 16
_LARGEST_PAGE = 1_000
_SCOPES_PAGE = 256


class Role(enum.StrEnum):
    """Which of the two."""

    SOURCE = "source"
    DESTINATION = "destination"


class SideFailed(Error):
    """What one of the two databases answered, for good."""

    def __init__(self, role: Role, cause: Error) -> None:
        super().__init__(cause.reason, f"{role}: {cause.message}", cause.fields)
        self.role = role


@dataclass(frozen=True, slots=True)
class Side:
    """A database of a copy. Every method raises SideFailed."""

    role: Role
    driver: Driver

    async def open(self) -> None:
        """Open the source, which must be there; make or migrate the destination, and open it."""
        try:
            if self.role is Role.DESTINATION:
                await self.driver.migrate()
            elif (await self.driver.migrate(check=True)).found == 0:
                raise FailedPrecondition(Reason.SCHEMA_MISMATCH, "nothing of memsvc is kept there")
            await self.driver.open()
        except Error as error:
            raise SideFailed(self.role, error) from error

    async def scopes(self) -> AsyncIterator[Sequence[Scope]]:
        """Yield all users that have a journal, in pages."""
        after: Scope | None = None
        while page := await self._ask(lambda edge=after: self.driver.scopes(edge, _SCOPES_PAGE)):  # type: ignore[misc]
            yield page
            after = page[-1]

    async def tips(self, scopes: Sequence[Scope]) -> Sequence[Tip]:
        """Return where journals end."""
        return await self._ask(lambda: self.driver.tips(scopes))

    async def tip(self, scope: Scope) -> Tip:
        """Return where a journal ends."""
        (tip,) = await self.tips([scope])
        return tip

    async def load(self, scope: Scope) -> Loaded:
        """Return tip and those rows that `paged_rows` does not yield."""
        return await self._ask(lambda: self.driver.load(scope, _LOADED_KINDS))

    async def state(self, scope: Scope) -> Sequence[Row]:
        """Return the STATE row, if there is one."""
        return (await self._ask(lambda: self.driver.load(scope, (RowKind.STATE,)))).rows

    async def paged_rows(self, scope: Scope) -> AsyncIterator[Sequence[Row]]:
        """Yield the rows of the other kinds, of one after the other."""
        for kind in _PAGED_KINDS:
            after: int | None = None
            limit = _FIRST_PAGE
            while page := await self._ask(
                lambda kind=kind, after=after, limit=limit: self.driver.rows(
                    PageOf(scope, kind, after=after, limit=limit)
                )  # type: ignore[misc]
            ):
                yield page
                after = page[-1].position
                limit = _next_page(page)

    async def floor(self, scope: Scope) -> int:
        """Return the seq of the first record that is kept."""
        try:
            await self._ask(lambda: self.driver.records(scope, 0, 1))
        except TruncatedJournal as truncated:
            return truncated.first
        return 1

    async def record(self, scope: Scope, seq: int) -> Record | None:
        """Return one record; None if it is gone, or not there yet."""
        try:
            found = await self._ask(lambda: self.driver.records(scope, seq - 1, 1))
        except TruncatedJournal:
            return None
        return found[0] if found else None

    async def records(self, scope: Scope, after: int, last: int) -> AsyncIterator[Sequence[Record]]:
        """Yield the records behind `after` up to `last`, in pages. Raises TruncatedJournal."""
        limit = min(_FIRST_PAGE, last - after)
        while limit > 0:
            page = await self._ask(
                lambda after=after, limit=limit: self.driver.records(scope, after, limit)  # type: ignore[misc]
            )
            if not page:
                return
            yield page
            after = page[-1].seq
            limit = min(_next_page(page), last - after)

    async def seed(self, scope: Scope, rows: Sequence[Row], *, afresh: bool) -> None:
        """Put rows of a user who is not served yet."""
        await self._ask(lambda: self.driver.seed(scope, rows, afresh=afresh))

    async def append(self, item: Append) -> bool:
        """Return whether the journal now ends with the item's last record: not where somebody else moved it."""
        last = item.records[-1]

        async def attempt() -> bool:
            (outcome,) = await self.driver.append([item])
            if outcome is Outcome.UNKNOWN:
                raise StorageUnavailable("the database does not say whether an append was made")
            if outcome is Outcome.APPENDED:
                return True
            # The attempt before may have been made, too.
            return (await self.driver.tips([item.scope]))[0] == Tip(last.seq, last.nonce)

        return await self._ask(attempt)

    async def truncate(self, scope: Scope, floor: int) -> None:
        """Forget the records below `floor`."""
        await self._ask(lambda: self.driver.truncate(scope, floor))

    async def _ask(self, operation: Callable[[], Awaitable[_T]]) -> _T:
        for pause_seconds in (*_PAUSES_SECONDS, None):
            try:
                return await operation()
            except StorageUnavailable as error:
                if pause_seconds is None or error.reason is Reason.STORAGE_FULL:
                    raise SideFailed(self.role, error) from error
            except Error as error:
                raise SideFailed(self.role, error) from error
            await asyncio.sleep(pause_seconds)
        raise AssertionError


def _next_page(page: Sequence[Record] | Sequence[Row]) -> int:
    """Return how many to read next, so that a page of large ones stays small."""
    mean_bytes = sum(len(each.body) for each in page) // len(page) + 1
    return max(1, min(_LARGEST_PAGE, _PAGE_BYTES // mean_bytes))
