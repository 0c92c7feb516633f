"""The index of what was said in a user's conversations: message by message, by words.

It is made from numbers that were stored with each run, holds no text, and knows the newest messages only. What is found
is read from the runs themselves: what is deleted there is found nowhere.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Collection, Iterable, Sequence, Set
from operator import neg
from typing import TYPE_CHECKING

import msgspec

from memsvc.model import Role
from memsvc.search.bm25 import LENGTHS, Shares, length_class, rarity
from memsvc.search.corpus import Corpus
from memsvc.search.dense import holders_of
from memsvc.search.filter import ALWAYS, TimeRange
from memsvc.search.fusing import Slots, best_fused
from memsvc.search.hybrid import Ranked
from memsvc.search.neighbours import NONE, Neighbours, Place
from memsvc.search.postings import Gathered, Postings
from memsvc.search.ranking import QueryTerm, Ranking, nth_largest
from memsvc.search.said import SaidRun
from memsvc.search.scores import sure_score
from memsvc.search.speakers import Speakers
from memsvc.search.text import shared_analyzer
from memsvc.search.times import TIMED, asks_when
from memsvc.search.vectors import VectorIndex

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NEWEST_MESSAGES = 20_000
_SLACK = 2_000
"""So many more, or so many dead ones, are kept before the index is made anew."""
_ROLE_FACTORS = {Role.USER: 1.0, Role.ASSISTANT: 0.5, Role.TOOL: 0.25, Role.SYSTEM: 0.0}
"""What the user said counts more: long answers, and tools', would drown it."""
_ROLES = tuple(Role)
_FACTORS = tuple(map(_ROLE_FACTORS.__getitem__, _ROLES))
_CANDIDATES = 50
_CANDIDATES_A_RESULT = 5
_RUN_BYTES = 300
_OBJECTS_BYTES = 2_048


class HistoryFilter(msgspec.Struct, frozen=True):
    """Which messages are meant; empty: all."""

    session_ids: tuple[str, ...] = ()
    agent_ids: tuple[str, ...] = ()
    roles: tuple[Role, ...] = ()
    time: TimeRange = ALWAYS
    but_run_ids: tuple[str, ...] = ()


class Spot(msgspec.Struct, frozen=True, gc=False):
    """Where a message stands."""

    run_id: str
    position: int


class HistoryHit(msgspec.Struct, frozen=True, gc=False):
    """A message that was found."""

    spot: Spot
    score: float
    sure: float
    """How sure the score makes of it."""
    before: tuple[Spot, ...] = ()
    """What was said before it in its session, oldest first."""
    after: tuple[Spot, ...] = ()


class _IndexedRun(msgspec.Struct, frozen=True, gc=False):
    run_id: str
    index: int
    session_id: str
    agent_id: str
    slots: range


class _Asked(msgspec.Struct, frozen=True):
    """What a query looks for."""

    corpus: Corpus
    terms: Sequence[QueryTerm]
    """Of its words, as far as they are here."""
    ordered: Sequence[QueryTerm]
    """These, and what else it asks for, rarest first."""
    mean_length: int
    speakers: Set[int]


class HistoryIndex:
    """Messages by slot, in the order in which their runs came. Not for several threads at once."""

    def __init__(self, model: str = "") -> None:
        """`model` is that of the vectors that are compared; empty: none are."""
        self._runs: list[_IndexedRun | None] = []
        self._numbers: dict[str, int] = {}
        self._run_of = array("i")
        self._positions = array("i")
        self._roles = array("b")
        self._times = array("q")
        self._factors = array("d")
        self._lengths = array("B")
        self._speakers = Speakers()
        self._alive = 0
        self._total_length = 0
        self._postings = Postings()
        runs, run_of, positions = self._runs, self._run_of, self._positions

        def place_of(slot: int) -> Place:
            run = runs[run_of[slot]]
            assert run is not None
            return run.session_id, run.index, positions[slot]

        self._neighbours = Neighbours(place_of)
        self._model = model
        self._vectors = VectorIndex[int]()
        self._vector_rows = array("q")

    def add_all(self, runs: Iterable[tuple[str, int, SaidRun]]) -> None:
        """Take in runs, each with its id and index, oldest first."""
        gathered = Gathered()
        self.gather(runs, gathered)
        self.note(gathered.ordered(), gathered)

    def gather(self, runs: Iterable[tuple[str, int, SaidRun]], gathered: Gathered) -> None:
        """Take in runs but for their terms, which `note` then takes from what was gathered of all of them."""
        for run_id, index, said in runs:
            if run_id not in self._numbers:
                self._add(run_id, index, said, gathered)

    def note(self, ordered: Sequence[int], gathered: Gathered) -> None:
        """Take in the terms, in order, and the vectors of runs that were gathered."""
        self._postings.add_all(ordered)
        self._vectors.put_all(gathered.vectors)
        for slot, _ in gathered.vectors:
            self._vector_rows[slot] = self._vectors.row_of(slot)

    def remove(self, run_id: str) -> None:
        """Forget a run, if it is here."""
        number = self._numbers.pop(run_id, None)
        if number is None:
            return
        run = self._runs[number]
        assert run is not None
        for slot in run.slots:
            self._neighbours.remove(slot, (run.session_id, run.index, self._positions[slot]))
            # Its postings stay until the index is made anew, and count for nothing.
            self._factors[slot] = 0.0
            self._vectors.remove(slot)
            self._vector_rows[slot] = NONE
            self._total_length -= LENGTHS[self._lengths[slot]]
        self._alive -= len(run.slots)
        self._runs[number] = None

    def search(
        self, query: str, limit: int, wanted: HistoryFilter | None = None, beside: int = 0, vector: bytes = b""
    ) -> Sequence[HistoryHit]:
        """Return the messages that fit best, best first, of equals the newest; each with `beside` spots either side.

        `vector` is the query's, `without_names`: without it they are found by words alone.
        """
        if limit <= 0:
            return ()
        found = self._by_both(query, limit, wanted, vector) if vector else self._by_words(query, limit, wanted)
        return [self._hit(ranked, beside) for ranked in found]

    def without_names(self, query: str) -> str:
        """Return what of a query its vector is made of: who said something is no part of what it means."""
        return self._speakers.without_names(query)

    def _hit(self, ranked: Ranked[int], beside: int) -> HistoryHit:
        if not beside:
            return HistoryHit(self._spot(ranked.item), ranked.score, ranked.sure)
        return HistoryHit(
            self._spot(ranked.item),
            ranked.score,
            ranked.sure,
            tuple(self._beside(ranked.item, self._neighbours.before, beside))[::-1],
            tuple(self._beside(ranked.item, self._neighbours.after, beside)),
        )

    def _asked(self, query: str) -> _Asked:
        terms = self._postings.of_each(shared_analyzer.query_terms(query))
        holders = {term: len(postings) for term, postings in terms.items()}
        corpus = Corpus(max(len(self._run_of), *holders.values(), 1), self._total_length, holders)
        known = corpus.terms_in(terms)
        timed = self._timed(corpus) if known and asks_when(query) else ()
        return _Asked(
            corpus,
            known,
            sorted((*known, *timed), key=lambda term: len(term.postings)),
            max(1, round(self._total_length / max(1, self._alive))),
            self._speakers.asked(query, terms),
        )

    def _by_words(self, query: str, limit: int, wanted: HistoryFilter | None) -> list[Ranked[int]]:
        """Return the best by words alone, best first."""
        asked = self._asked(query)
        if not asked.terms:
            return []
        factors = self._speakers.preferred(asked.speakers, self._factors) if asked.speakers else self._factors
        permits = self._predicate(wanted)
        ranking = Ranking(asked.mean_length, self._neighbours, Shares(), limit, permits, factors)
        scores = ranking.scores(asked.ordered)
        least = nth_largest(scores.values(), limit) or 0.0
        reaching = ((score, self._times[slot], slot) for slot, score in scores.items() if score >= least and score > 0)
        best = [(score / asked.corpus.all_once, slot) for score, _, slot in sorted(reaching, reverse=True)[:limit]]
        return [
            Ranked(slot, score, sure_score(score, not ranking.holds_any(slot, asked.terms))) for score, slot in best
        ]

    def _by_both(self, query: str, limit: int, wanted: HistoryFilter | None, vector: bytes) -> list[Ranked[int]]:
        """Return the best by words and by meaning, best first: of all slots at once, as there is numpy."""
        import numpy as np

        asked, count = self._asked(query), len(self._run_of)
        # Views of arrays, which cannot grow meanwhile: they are gone when this returns.
        factors = np.frombuffer(self._factors)
        allowed = self._allowed(wanted)
        if asked.speakers:
            factors = self._speakers.preferred_at_once(asked.speakers, factors)
        words, holds = np.zeros(count), np.zeros(count, np.bool_)
        if asked.terms:
            ranking = Ranking(asked.mean_length, self._neighbours, Shares(), count, None)
            words, holders = ranking.all_sums(asked.ordered)
            words *= factors
            words /= asked.corpus.all_once
            words[~allowed] = 0.0
            holds[holders if len(asked.ordered) == len(asked.terms) else holders_of(asked.terms)] = True
        nearness = self._vectors.similarities(vector).of_rows(np.frombuffer(self._vector_rows, np.int64))
        nearness[~allowed] = 0.0
        slots = Slots(
            words=words,
            holds=holds,
            nearness=nearness,
            factors=factors,
            times=np.frombuffer(self._times, np.int64),
            tie=neg,
        )
        return best_fused(slots, max(_CANDIDATES, _CANDIDATES_A_RESULT * limit), limit, int)

    def _timed(self, corpus: Corpus) -> Sequence[QueryTerm]:
        """Return what a question for a time looks for besides its words, if any message says one."""
        holding = self._postings.of(TIMED)
        return [QueryTerm(holding, rarity(corpus.count, len(holding)), lent=False)] if holding else []

    @property
    def is_stale(self) -> bool:
        """Whether so much came or went that it is better made anew."""
        kept = len(self._run_of)
        return kept > NEWEST_MESSAGES + _SLACK or kept - self._alive > max(_SLACK, self._alive // 2)

    @property
    def size_bytes(self) -> int:
        """The bytes that it takes, about."""
        arrays = (
            *(self._run_of, self._positions, self._roles, self._times, self._factors, self._lengths),
            self._vector_rows,
        )
        flat = sum(map(sys.getsizeof, arrays)) + self._postings.size_bytes + self._neighbours.size_bytes
        flat += self._vectors.size_bytes + self._speakers.size_bytes
        return _OBJECTS_BYTES + flat + len(self._runs) * _RUN_BYTES

    def __len__(self) -> int:
        return self._alive

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._numbers

    def _add(self, run_id: str, index: int, said: SaidRun, gathered: Gathered) -> None:
        number, first = len(self._runs), len(self._run_of)
        slots = range(first, first + len(said.messages))
        session_id, agent_id = sys.intern(said.session_id), sys.intern(said.agent_id)
        self._runs.append(_IndexedRun(run_id, index, session_id, agent_id, slots))
        self._numbers[run_id] = number
        self._alive += len(slots)
        for slot, message in zip(slots, said.messages, strict=True):
            its_class, role = length_class(message.length), _ROLES.index(message.role)
            self._run_of.append(number)
            self._positions.append(message.position)
            self._roles.append(role)
            self._times.append(message.time)
            self._factors.append(_FACTORS[role])
            self._lengths.append(its_class)
            self._vector_rows.append(NONE)
            self._speakers.append(message.speaker, message.role)
            self._total_length += LENGTHS[its_class]
            gathered.add(message.codes, message.counts, slot, its_class)
            self._neighbours.insert(slot, (session_id, index, message.position))
        if self._model and said.model == self._model:
            pairs = zip(slots, said.messages, strict=True)
            gathered.vectors += [(slot, message.vector) for slot, message in pairs if message.vector]

    def _allowed(self, wanted: HistoryFilter | None) -> NDArray[np.bool_]:
        """Return which slots are meant."""
        import numpy as np

        allowed = np.frombuffer(self._factors) > 0
        if wanted is None or wanted == _ALL:
            return allowed
        for run_id in wanted.but_run_ids:
            run = self._runs[self._numbers[run_id]] if run_id in self._numbers else None
            if run is not None:
                allowed[run.slots.start : run.slots.stop] = False
        if wanted.roles:
            allowed &= np.isin(np.frombuffer(self._roles, np.int8), [_ROLES.index(role) for role in wanted.roles])
        if wanted.time != ALWAYS:
            times, never = np.frombuffer(self._times, np.int64), np.iinfo(np.int64)
            allowed &= (times >= (wanted.time.start or never.min)) & (times < (wanted.time.end or never.max))
        if wanted.session_ids or wanted.agent_ids:
            of_runs = np.fromiter((_is_among(run, wanted) for run in self._runs), np.bool_, len(self._runs))
            allowed &= of_runs[np.frombuffer(self._run_of, np.intc)]
        return allowed

    def _predicate(self, wanted: HistoryFilter | None) -> Callable[[int], bool]:
        runs, run_of, factors = self._runs, self._run_of, self._factors
        if wanted is None or wanted == _ALL:
            return lambda slot: factors[slot] > 0
        roles: Collection[int] = {_ROLES.index(role) for role in wanted.roles} or range(len(_ROLES))
        sessions, agents, left_out = set(wanted.session_ids), set(wanted.agent_ids), set(wanted.but_run_ids)

        def permits(slot: int) -> bool:
            run = runs[run_of[slot]]
            return (
                run is not None
                and self._roles[slot] in roles
                and (not sessions or run.session_id in sessions)
                and (not agents or run.agent_id in agents)
                and run.run_id not in left_out
                and wanted.time.holds(self._times[slot])
            )

        return permits

    def _spot(self, slot: int) -> Spot:
        run = self._runs[self._run_of[slot]]
        assert run is not None
        return Spot(run.run_id, self._positions[slot])

    def _beside(self, slot: int, step: Sequence[int], count: int) -> Iterable[Spot]:
        for _ in range(count):
            slot = step[slot]
            if slot == NONE:
                return
            yield self._spot(slot)


def _is_among(run: _IndexedRun | None, wanted: HistoryFilter) -> bool:
    return (
        run is not None
        and (not wanted.session_ids or run.session_id in wanted.session_ids)
        and (not wanted.agent_ids or run.agent_id in wanted.agent_ids)
    )


_ALL = HistoryFilter()
