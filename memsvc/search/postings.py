"""Which documents hold which terms, as flat sorted arrays.

A posting is one 64-bit integer: the term's hash (32 bits), the document's slot (24), and its tally (8), which is all
that ranking needs to know of the two: the length class of the document and how often the term is in it. Sorted, the
postings of a term lie side by side in the order of slots. They are kept in buckets by the first bits of the hash, so
that an insertion moves little memory; buckets split in the middle. That is 8 bytes a posting and one object a bucket,
where a dict of lists takes hundreds and keeps the garbage collector busy.

Terms are not kept. A word that no document holds is taken for one of 30,000 that are with a probability of 1 in
140,000, and then finds what that one would.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from zlib import crc32

import msgspec

from memsvc.search.bm25 import MAX_OCCURRENCES, first_tally

MAX_SLOTS = 1 << 24
SLOT_SHIFT = 8
TALLY_MASK = 0xFF

_TERM_SHIFT = 32
_LOW_BYTE = slice(0 if sys.byteorder == "little" else 7, None, 8)
_LOW_HALF = slice(0 if sys.byteorder == "little" else 1, None, 2)
_BUCKET_POSTINGS = 1024


@lru_cache(maxsize=1 << 14)
def term_code(term: str) -> int:
    """Return the 32 bits that stand for a term: the same in every process, so that they can be stored."""
    return crc32(term.encode("utf-8", "surrogatepass"))


def posting_key(code: int, slot: int, length_class: int, count: int) -> int:
    """Return the posting of a term, by its code, that is so often in a document of such a length."""
    tally = first_tally(length_class) + (count if count < MAX_OCCURRENCES else MAX_OCCURRENCES) - 1
    return code << _TERM_SHIFT | slot << SLOT_SHIFT | tally


class Postings:
    """The postings of one index, changed a document at a time."""

    def __init__(self) -> None:
        self._buckets: list[array[int]] = [array("Q")]
        self._bucket_shift = 64
        self._count = 0

    def add(self, occurrences: Mapping[str, int], slot: int, length_class: int) -> None:
        """Note how often each term is in the document at `slot`, of which there are no postings yet."""
        low = slot << SLOT_SHIFT | first_tally(length_class)
        buckets, shift = self._buckets, self._bucket_shift
        for term, count in occurrences.items():
            prefix = term_code(term) << _TERM_SHIFT
            insort(buckets[prefix >> shift], prefix | low + (count if count < MAX_OCCURRENCES else MAX_OCCURRENCES) - 1)
        self._count += len(occurrences)
        while self._count > _BUCKET_POSTINGS * len(self._buckets):
            self._split_buckets()

    def add_all(self, keys: Sequence[int]) -> None:
        """Note many postings at once, each made by `posting_key`, of documents of which there are none yet."""
        self._count += len(keys)
        while self._count > _BUCKET_POSTINGS * len(self._buckets):
            self._split_buckets()
        shift, buckets = self._bucket_shift, self._buckets
        ordered = sorted(keys)
        start = 0
        while start < len(ordered):
            number = ordered[start] >> shift
            end = bisect_left(ordered, (number + 1) << shift, start)
            part = array("Q", ordered[start:end])
            buckets[number] = array("Q", sorted(buckets[number] + part)) if buckets[number] else part
            start = end

    def remove(self, terms: Iterable[str], slot: int) -> None:
        """Forget the document at `slot`, which holds just these terms."""
        for term in terms:
            key = term_code(term) << _TERM_SHIFT | slot << SLOT_SHIFT
            bucket = self._buckets[key >> self._bucket_shift]
            del bucket[bisect_left(bucket, key)]
            self._count -= 1

    def of(self, term: str) -> TermPostings:
        """Return the postings of a term, perhaps none."""
        prefix = term_code(term) << _TERM_SHIFT
        bucket = self._buckets[prefix >> self._bucket_shift]
        start = bisect_left(bucket, prefix)
        return TermPostings(bucket, prefix, start, bisect_left(bucket, prefix + (1 << _TERM_SHIFT), start))

    @property
    def size_bytes(self) -> int:
        return sys.getsizeof(self._buckets) + sum(map(sys.getsizeof, self._buckets))

    def _split_buckets(self) -> None:
        self._bucket_shift -= 1
        halves = []
        for number, bucket in enumerate(self._buckets):
            middle = bisect_left(bucket, (2 * number + 1) << self._bucket_shift)
            halves += [bucket[:middle], bucket[middle:]]
        self._buckets = halves


class TermPostings(msgspec.Struct, frozen=True, gc=False):
    """Where the postings of a term lie. Valid until the next change."""

    bucket: array[int]
    prefix: int
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def read(self) -> list[int]:
        """Return slot and tally of each posting, as one number, in the order of slots."""
        return memoryview(self.bucket[self.start : self.stop]).cast("B").cast("I")[_LOW_HALF].tolist()

    def slots(self) -> list[int]:
        return [posting >> SLOT_SHIFT for posting in self.read()]

    def tallies(self) -> set[int]:
        """Return the tallies that there are among the postings."""
        return set(bytes(memoryview(self.bucket[self.start : self.stop]).cast("B")[_LOW_BYTE]))

    def tally(self, slot: int) -> int:
        """Return the tally of one document, -1 if it does not hold the term."""
        key = self.prefix | slot << SLOT_SHIFT
        at = bisect_left(self.bucket, key, self.start, self.stop)
        if at < self.stop and self.bucket[at] <= key | TALLY_MASK:
            return self.bucket[at] & TALLY_MASK
        return -1
