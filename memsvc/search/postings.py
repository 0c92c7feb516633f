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

import asyncio
import sys
from array import array
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from zlib import crc32

import msgspec

from memsvc.search.bm25 import MAX_OCCURRENCES, first_tally

CODE_BYTES = 4
MAX_SLOTS = 1 << 24
SLOT_SHIFT = 8
SLOT_MASK = MAX_SLOTS - 1
TALLY_MASK = 0xFF

_TERM_SHIFT = 32
_LOW_BYTE = slice(0 if sys.byteorder == "little" else 7, None, 8)
_LOW_HALF = slice(0 if sys.byteorder == "little" else 1, None, 2)
_BUCKET_POSTINGS = 1024
_BUCKET_BYTES = sys.getsizeof(array("Q"))
_POSTING_BYTES = 8.5
"""With the room to grow that an array takes at most."""
_MANY_POSTINGS = 8_192
"""So many pay for numpy."""


@lru_cache(maxsize=1 << 14)
def term_code(term: str) -> int:
    """Return the 32 bits that stand for a term: the same in every process, so that they can be stored."""
    return crc32(term.encode("utf-8", "surrogatepass"))


def term_codes(terms: Iterable[str]) -> bytes:
    """Return the codes of terms, little-endian."""
    codes = array("I", map(term_code, terms))
    if sys.byteorder == "big":
        codes.byteswap()
    return codes.tobytes()


def tallied(codes: bytes, most: int = 0) -> tuple[bytes, bytes]:
    """Return the distinct codes, and how often each is among `codes`, at most 255 times.

    Of more than `most` codes, if that is not 0, so many that are there most often.
    """
    numbers = memoryview(codes).cast("I")
    count = len(numbers)
    if (not most or count <= most) and len(set(numbers)) == count:
        return codes, b"\1" * count
    counted: Mapping[int, int] = Counter(numbers)
    if most and count > most:
        counted = dict(Counter(numbers).most_common(most))
    return array("I", counted).tobytes(), bytes(min(each, 255) for each in counted.values())


class Gathered:
    """Postings of many documents, to be noted at once: gathered as bytes, and put in order by numpy."""

    def __init__(self) -> None:
        self._codes = bytearray()
        self._counts = bytearray()
        self._terms = array("I")
        self._lows = array("I")
        self.vectors: list[tuple[int, bytes]] = []
        """What else was gathered of the documents, by slot."""

    def add(self, codes: bytes, counts: bytes, slot: int, length_class: int) -> None:
        """Add a document's: its terms' codes, little-endian, and how often each is in it, at most 255 times."""
        self._codes += codes
        self._counts += counts
        self._terms.append(len(counts))
        self._lows.append(slot << SLOT_SHIFT | first_tally(length_class))

    def add_all(self, documents: Sequence[bytes], length_classes: Sequence[int], first_slot: int) -> None:
        """Add documents in slots that follow each other: the codes of their terms, each as often as it is in one."""
        terms = [len(codes) // CODE_BYTES for codes in documents]
        self._codes += b"".join(documents)
        self._counts += b"\1" * sum(terms)
        self._terms.extend(terms)
        lows = enumerate(length_classes, first_slot)
        self._lows.extend([slot << SLOT_SHIFT | first_tally(each) for slot, each in lows])

    def ordered(self) -> array[int]:
        """Return the postings in order."""
        if len(self._counts) < _MANY_POSTINGS:
            return array("Q", _merged(sorted(self._keys())))
        try:
            import numpy as np
        except ModuleNotFoundError:
            return array("Q", _merged(sorted(self._keys())))
        lows = np.repeat(np.frombuffer(self._lows, np.uint32), np.frombuffer(self._terms, np.uint32))
        codes = np.frombuffer(self._codes, "<u4").astype(np.uint64)
        counts = np.minimum(np.frombuffer(self._counts, np.uint8), MAX_OCCURRENCES)
        keys = codes << np.uint64(_TERM_SHIFT) | (lows + counts - np.uint32(1)).astype(np.uint64)
        keys.sort()
        documents = keys >> np.uint64(SLOT_SHIFT)
        first = np.empty(len(keys), np.bool_)
        first[:1] = True
        np.not_equal(documents[1:], documents[:-1], out=first[1:])
        if not first.all():
            starts = np.flatnonzero(first)
            times = np.minimum(np.diff(starts, append=len(keys)), MAX_OCCURRENCES)
            keys = keys[starts] + (times - 1).astype(np.uint64)
        found = array("Q")
        found.frombytes(keys.tobytes())
        return found

    async def ordered_aside(self) -> array[int]:
        """Return the postings in order; of many, without holding up the event loop."""
        if len(self._counts) < _MANY_POSTINGS:
            return self.ordered()
        return await asyncio.to_thread(self.ordered)

    def _keys(self) -> Iterator[int]:
        codes = read_codes(self._codes)
        at = 0
        for low, terms in zip(self._lows, self._terms, strict=True):
            for number in range(at, at + terms):
                yield codes[number] << _TERM_SHIFT | low + min(self._counts[number], MAX_OCCURRENCES) - 1
            at += terms


def _merged(ordered: Iterable[int]) -> Iterator[int]:
    """Yield one posting for each that comes several times, with how often that is."""
    last = document = -1
    for key in ordered:
        if key >> SLOT_SHIFT == document:
            times = (last & TALLY_MASK) % MAX_OCCURRENCES
            last += times < MAX_OCCURRENCES - 1
            continue
        if last >= 0:
            yield last
        last, document = key, key >> SLOT_SHIFT
    if last >= 0:
        yield last


def read_codes(codes: bytes | bytearray) -> array[int]:
    """Return codes, little-endian, as numbers."""
    numbers = array("I", bytes(codes))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


class Postings:
    """The postings of one index, changed a document at a time."""

    def __init__(self) -> None:
        self._buckets: list[array[int]] = [array("Q")]
        self._bucket_shift = 64
        self._count = 0

    def add(self, codes: bytes, counts: bytes, slot: int, length_class: int) -> None:
        """Note how often each term is in the document at `slot`, of which there are no postings yet."""
        low = slot << SLOT_SHIFT | first_tally(length_class)
        buckets, shift = self._buckets, self._bucket_shift
        for code, count in zip(read_codes(codes), counts, strict=True):
            prefix = code << _TERM_SHIFT
            insort(buckets[prefix >> shift], prefix | low + (count if count < MAX_OCCURRENCES else MAX_OCCURRENCES) - 1)
        self._count += len(counts)
        while self._count > _BUCKET_POSTINGS * len(self._buckets):
            self._split_buckets()

    def add_all(self, ordered: Sequence[int]) -> None:
        """Note many postings at once, in order, of documents of which there are none yet."""
        self._count += len(ordered)
        while self._count > _BUCKET_POSTINGS * len(self._buckets):
            self._split_buckets()
        shift, buckets = self._bucket_shift, self._buckets
        start = 0
        while start < len(ordered):
            number = ordered[start] >> shift
            end = bisect_left(ordered, (number + 1) << shift, start)
            part = array("Q", ordered[start:end])
            buckets[number] = array("Q", sorted(buckets[number] + part)) if buckets[number] else part
            start = end

    def remove(self, codes: bytes, slot: int) -> None:
        """Forget the document at `slot`, which holds just these terms."""
        for code in read_codes(codes):
            key = code << _TERM_SHIFT | slot << SLOT_SHIFT
            bucket = self._buckets[key >> self._bucket_shift]
            del bucket[bisect_left(bucket, key)]
            self._count -= 1

    def of(self, term: str) -> TermPostings:
        """Return the postings of a term, perhaps none."""
        prefix = term_code(term) << _TERM_SHIFT
        bucket = self._buckets[prefix >> self._bucket_shift]
        start = bisect_left(bucket, prefix)
        return TermPostings(bucket, prefix, start, bisect_left(bucket, prefix + (1 << _TERM_SHIFT), start))

    def of_each(self, terms: Iterable[str]) -> dict[str, TermPostings]:
        """Return the postings of each term."""
        return {term: self.of(term) for term in terms}

    @property
    def size_bytes(self) -> int:
        # Not bucket by bucket: it is asked with every search.
        return sys.getsizeof(self._buckets) + len(self._buckets) * _BUCKET_BYTES + int(self._count * _POSTING_BYTES)

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

    def packed(self) -> array[int]:
        """Return the postings as they are: 64 bits each."""
        return self.bucket[self.start : self.stop]

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
