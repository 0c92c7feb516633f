"""Lists that come in pages: fetched as they are needed, and kept, so that they read like lists."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Sequence
from typing import Any, Generic, SupportsIndex, TypeAlias, TypeVar, overload

T = TypeVar("T")

Page: TypeAlias = tuple[Sequence[T], bool]
"""Some items, and whether more follow."""


class Listing(Sequence[T]):
    """A sequence whose pages are fetched as they are needed: `[0]` fetches one, `len` all of them."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, fetch: Callable[[], Page[T]]) -> None:
        self._fetch = fetch
        self._fetched: list[T] = []
        self._more = True

    def __iter__(self) -> Iterator[T]:
        index = 0
        while self._reaches(index):
            yield self._fetched[index]
            index += 1

    def __len__(self) -> int:
        return len(self._all())

    def __bool__(self) -> bool:
        return self._reaches(0)

    @overload
    def __getitem__(self, index: SupportsIndex) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: SupportsIndex | slice) -> T | list[T]:
        if isinstance(index, slice):
            bounds = (index.start or 0, -1 if index.stop is None else index.stop, index.step or 1)
            if min(bounds) < 0:
                return self._all()[index]
            self._reaches(bounds[1] - 1)
            return self._fetched[index]
        place = index.__index__()
        if place < 0:
            return self._all()[place]
        if not self._reaches(place):
            raise IndexError(f"there are {len(self._fetched)}, and no [{place}]")
        return self._fetched[place]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (list, tuple, Listing)):
            return list(self) == list(other)
        return NotImplemented

    def __repr__(self) -> str:
        return f"Listing({len(self._fetched)} fetched{', more may follow' if self._more else ''})"

    def _all(self) -> list[T]:
        while self._more:
            self._reaches(len(self._fetched))
        return self._fetched

    def _reaches(self, index: int) -> bool:
        """Fetch up to `index`, and tell whether there is so much."""
        while self._more and len(self._fetched) <= index:
            items, self._more = self._fetch()
            self._fetched += items
        return index < len(self._fetched)


class AsyncListing(Generic[T]):
    """A list in pages, for asyncio: `async for` fetches them as they are needed, `await` gives all of it as a list."""

    def __init__(self, fetch: Callable[[], Awaitable[Page[T]]]) -> None:
        self._fetch = fetch
        self._fetched: list[T] = []
        self._more = True

    async def __aiter__(self) -> AsyncIterator[T]:
        index = 0
        while True:
            while self._more and len(self._fetched) <= index:
                items, self._more = await self._fetch()
                self._fetched += items
            if index >= len(self._fetched):
                return
            yield self._fetched[index]
            index += 1

    def __await__(self) -> Generator[Any, None, list[T]]:
        return self._all().__await__()

    def __repr__(self) -> str:
        return f"AsyncListing({len(self._fetched)} fetched{', more may follow' if self._more else ''})"

    async def _all(self) -> list[T]:
        return [item async for item in self]
