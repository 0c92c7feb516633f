"""Reading memories: get, list, search, topics, the document."""

from __future__ import annotations

import enum
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import islice

import msgspec
from msgspec import Struct

from memsvc.asking import Asker
from memsvc.budget import Budgets
from memsvc.document import build_document
from memsvc.errors import FailedPrecondition, Reason, ResourceExhausted, Unavailable, invalid
from memsvc.journal.draft import not_found
from memsvc.limits import REPLY_BYTES
from memsvc.meaning import Meaning
from memsvc.memories.choosing import MOST_SHOWN, chosen
from memsvc.memories.writing import Target
from memsvc.model import Layer, Memory, Scope, Usage, encode
from memsvc.paging import binding, make_token, read_token
from memsvc.search.embedders.contract import EmbeddingFailed
from memsvc.search.filter import ANY, MemoryFilter, matcher
from memsvc.search.hybrid import Asked, Ranked
from memsvc.search.scores import shown_scores
from memsvc.search.together import Part, nearest_together
from memsvc.users import LATEST, Consistency, HotUser, Users
from memsvc.users.world import with_past


class MemoryOrder(enum.Enum):
    """What a list is ordered by; ties by memory_id."""

    UPDATE_TIME_DESC = "update_time desc"
    UPDATE_TIME_ASC = "update_time asc"
    CREATE_TIME_DESC = "create_time desc"
    CREATE_TIME_ASC = "create_time asc"
    OBSERVE_TIME_DESC = "observe_time desc"
    OBSERVE_TIME_ASC = "observe_time asc"
    KEY = "key"


_ORDER_FIELDS: dict[MemoryOrder, Callable[[Memory], int | str]] = {
    MemoryOrder.UPDATE_TIME_DESC: lambda memory: memory.update_time,
    MemoryOrder.UPDATE_TIME_ASC: lambda memory: memory.update_time,
    MemoryOrder.CREATE_TIME_DESC: lambda memory: memory.create_time,
    MemoryOrder.CREATE_TIME_ASC: lambda memory: memory.create_time,
    MemoryOrder.OBSERVE_TIME_DESC: lambda memory: memory.observe_time,
    MemoryOrder.OBSERVE_TIME_ASC: lambda memory: memory.observe_time,
    MemoryOrder.KEY: lambda memory: memory.key or "~",
}
Entry = tuple[int | str, str]
"""What a memory is ordered by, and its id."""

_BY_UPDATE_TIME = (MemoryOrder.UPDATE_TIME_DESC, MemoryOrder.UPDATE_TIME_ASC)
_DESCENDING = tuple(order for order in MemoryOrder if order.value.endswith(" desc"))


class SearchMethod(enum.Enum):
    """How to search."""

    DEFAULT = "default"
    LEXICAL = "lexical"
    SEMANTIC = "semantic"
    HYBRID = "hybrid"
    AGENTIC = "agentic"
    LAST_N = "last_n"
    FIRST_N = "first_n"


class MemoryPage(Struct, frozen=True):
    """One page of a list: what each memory is ordered by, and its id."""

    entries: Sequence[Entry]
    next_page_token: str
    total: int
    user: HotUser


class Found(Struct, frozen=True):
    """A memory that was found, its score, and the shared user it is from (empty: the user itself)."""

    memory: Memory
    score: float
    """0 to 1: how sure it is."""
    shared_user_id: str = ""


class SearchResult(Struct, frozen=True):
    """Hits, best first, and how they were found."""

    hits: Sequence[Found]
    method: SearchMethod
    user: HotUser
    shared: Mapping[str, HotUser]
    """The shared users by id."""
    method_reason: str = ""
    """Why the method was less than asked."""
    vectors_pending: int = 0
    """How many memories had no vector yet."""
    usage: Usage = Usage()
    """What a model that searched has cost."""


class TopicCount(Struct, frozen=True):
    """A topic and how many memories have it."""

    topic: str
    count: int


class MemoryReader(Struct):
    """Reads memories from hot users."""

    users: Users
    asker: Asker | None = None
    """The model that searches; None: there is none."""
    meaning: Meaning | None = None
    budgets: Budgets | None = None
    """What the model may cost; None: there is none."""

    async def get(self, scope: Scope, target: Target, consistency: Consistency = LATEST) -> tuple[Memory, HotUser]:
        """Return a memory. Raises NotFound (MEMORY_NOT_FOUND)."""
        user = await self.users.read(scope, consistency)
        memory = user.get(target.memory_id) if target.memory_id else user.state.at(target.layer, target.key)
        if memory is None or not user.visible(memory):
            raise not_found(target.memory_id, target.layer, target.key)
        return memory, user

    async def list(
        self,
        scope: Scope,
        wanted: MemoryFilter,
        order: MemoryOrder,
        page_size: int,
        page_token: str,
        consistency: Consistency = LATEST,
    ) -> MemoryPage:
        """Return a page. What does not change while paging appears exactly once."""
        bound_to = _bound_to(scope, wanted, order) if page_token else ""
        position = read_token(page_token, bound_to, str if order is MemoryOrder.KEY else int, str)
        edge = (position[0], position[1]) if position is not None else None
        user = with_past(await self.users.read(scope, consistency), wanted)
        matches = None if wanted.empty else matcher(wanted)
        entries = _ordered(user, order, wanted, matches)
        if order in _DESCENDING:
            end = len(entries) if edge is None else bisect_left(entries, edge)
            page, more = entries[max(0, end - page_size) : end][::-1], end > page_size
        else:
            start = 0 if edge is None else bisect_right(entries, edge)
            page, more = entries[start : start + page_size], start + page_size < len(entries)
        token = make_token(bound_to or _bound_to(scope, wanted, order), *page[-1]) if more else ""
        return MemoryPage(page, token, len(entries), user)

    def token_after(self, scope: Scope, wanted: MemoryFilter, order: MemoryOrder, last: Entry) -> str:
        """Return the token for the page of a list that begins after `last`."""
        return make_token(_bound_to(scope, wanted, order), *last)

    async def search(
        self,
        scope: Scope,
        query: str,
        method: SearchMethod,
        top_k: int,
        wanted: MemoryFilter,
        shared_user_ids: Sequence[str] = (),
        consistency: Consistency = LATEST,
        min_score: float = 0.0,
    ) -> SearchResult:
        """Return the memories that fit best and score at least `min_score`, or the newest or oldest ones."""
        used = self._usable_method(method)
        if consistency.as_of is not None and used is SearchMethod.SEMANTIC:
            raise invalid("method", "must not be SEMANTIC for a past: that is searched by words")
        if (wanted.valid_at or wanted.include_superseded) and used is SearchMethod.SEMANTIC:
            raise invalid("method", "must not be SEMANTIC with facts of the past: these are searched by words")
        by_time = used in (SearchMethod.LAST_N, SearchMethod.FIRST_N)
        if by_time and query:
            raise invalid("query", "must be empty with LAST_N and FIRST_N, which search for nothing")
        if not by_time and not query.strip():
            raise invalid("query", "must not be empty")
        user = await self.users.read(scope, consistency)
        shared = await self.users.read_shared(scope, shared_user_ids, consistency)
        user, shared = with_past(user, wanted), {name: with_past(each, wanted) for name, each in shared.items()}
        sources = {"": user, **shared}
        matches = None if wanted.empty else matcher(wanted)
        if by_time:
            hits = [hit for name, source in sources.items() for hit in _by_time(source, used, top_k, matches, name)]
            if len(sources) > 1:
                hits.sort(key=lambda hit: hit.memory.update_time, reverse=used is SearchMethod.LAST_N)
            return SearchResult(hits[:top_k], used, user, shared)
        asked, reason = (Asked(query), "") if user.is_past else await self._ask(query, used)
        if user.is_past and used is SearchMethod.HYBRID:
            reason = "the past is searched by words"
        if reason and used is not SearchMethod.AGENTIC:
            used = SearchMethod.LEXICAL
        for source in sources.values():
            if not source.is_indexed:
                await source.prepare_search()
                self.users.recount(source)
            if asked.vector and self.meaning is not None:
                await self.meaning.prepare(source)
        if used is SearchMethod.AGENTIC:
            picked, usage = await self._agentic(scope.namespace, query, sources, asked, top_k, matches)
            # Somebody may have changed or deleted one while the model thought.
            present = [hit for hit in picked if sources[hit.shared_user_id].get(hit.memory.memory_id) is hit.memory]
            present = [hit for hit in present if hit.score >= min_score]
            return SearchResult(present, used, user, shared, usage=usage)
        found = _nearest(sources, asked, top_k, matches)
        pending = sum(map(self.meaning.pending, sources.values())) if asked.vector and self.meaning is not None else 0
        return SearchResult(_shown(found[:top_k], list(sources), min_score), used, user, shared, reason, pending)

    async def _ask(self, query: str, method: SearchMethod) -> tuple[Asked, str]:
        """Return what to look for, and why it is less than the method says.

        Raises Unavailable (EMBEDDER_UNAVAILABLE) where the method is nothing without a vector.
        """
        if method not in (SearchMethod.HYBRID, SearchMethod.SEMANTIC, SearchMethod.AGENTIC) or self.meaning is None:
            return Asked(query), ""
        try:
            return await self.meaning.ask(query, by_words=method is not SearchMethod.SEMANTIC), ""
        except EmbeddingFailed as error:
            if method is SearchMethod.SEMANTIC:
                raise Unavailable(
                    Reason.EMBEDDER_UNAVAILABLE, str(error), retry_after_seconds=max(1.0, error.retry_after_seconds)
                ) from error
            return Asked(query), f"embedder: {error}"

    def _usable_method(self, method: SearchMethod) -> SearchMethod:
        if method is SearchMethod.DEFAULT:
            return SearchMethod.LEXICAL if self.meaning is None else SearchMethod.HYBRID
        if method in (SearchMethod.SEMANTIC, SearchMethod.HYBRID) and self.meaning is None:
            raise FailedPrecondition(Reason.NO_EMBEDDER, "no embedder is configured")
        if method is SearchMethod.AGENTIC and self.asker is None:
            raise FailedPrecondition(Reason.NO_MODEL, "no model is configured")
        return method

    async def _agentic(
        self,
        namespace: str,
        query: str,
        sources: Mapping[str, HotUser],
        asked: Asked,
        limit: int,
        matches: Callable[[Memory], bool] | None,
    ) -> tuple[Sequence[Found], Usage]:
        """Return what the model picks among the nearest and then the newest, by rank.

        Raises as `Budgets.asking` does.
        """
        assert self.asker is not None
        assert self.budgets is not None
        names = list(sources)
        nearest = _nearest(sources, asked, MOST_SHOWN, matches)
        # By user as well: clients choose ids, and two users may have the same.
        candidates = {(each.source, each.item.memory_id): (names[each.source], each.item) for each in nearest}
        newest = [
            hit
            for name, source in sources.items()
            for hit in _by_time(source, SearchMethod.LAST_N, MOST_SHOWN, matches, name)
        ]
        for hit in sorted(newest, key=lambda each: -each.memory.update_time):
            place = names.index(hit.shared_user_id), hit.memory.memory_id
            candidates.setdefault(place, (hit.shared_user_id, hit.memory))
        async with self.budgets.asking(namespace) as bill:
            picked, bill.usage = await chosen(self.asker, query, list(candidates.values()), limit)
        count = len(picked)
        return [Found(each[1], (count - rank) / count, each[0]) for rank, each in enumerate(picked)], bill.usage

    async def topics(
        self, scope: Scope, wanted: MemoryFilter, page_size: int, page_token: str, consistency: Consistency = LATEST
    ) -> tuple[Sequence[TopicCount], str, HotUser]:
        """Return a page of topics, most frequent first, ties by name; case is ignored."""
        bound_to = binding("topics", scope, wanted)
        position = read_token(page_token, bound_to, int, str)
        user = with_past(await self.users.read(scope, consistency), wanted)
        memories: Iterable[Memory] = user.memories()
        if not wanted.empty:
            memories = filter(matcher(wanted), memories)
        counts: Counter[str] = Counter()
        spellings: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for memory in memories:
            folded = {topic.casefold(): topic for topic in memory.topics}
            counts.update(folded.keys())
            for key, topic in folded.items():
                spellings[key][topic] += 1
        ordered = sorted((-count, key) for key, count in counts.items())
        start = bisect_right(ordered, (int(position[0]), str(position[1]))) if position is not None else 0
        page = ordered[start : start + page_size]
        token = make_token(bound_to, *page[-1]) if start + page_size < len(ordered) else ""
        return [TopicCount(_usual(spellings[key]), -count) for count, key in page], token, user

    async def document(
        self, scope: Scope, layers: Sequence[Layer], consistency: Consistency = LATEST
    ) -> tuple[str, int, HotUser]:
        """Return the layers as one JSON document ("{}" when there is no memory), and how many memories are in it.

        Raises ResourceExhausted (RESULT_TOO_LARGE) when it passes 3 MiB.
        """
        user = await self.users.read(scope, consistency)
        layers = tuple(layers) or tuple(Layer)
        document = build_document(user, layers)
        text = msgspec.json.encode(document).decode()
        count = sum(len(user.layer(layer)) for layer in layers)
        if len(text) > REPLY_BYTES or len(text.encode()) > REPLY_BYTES:
            raise ResourceExhausted(Reason.RESULT_TOO_LARGE, f"document is {len(text.encode()) / 2**20:.1f} MiB")
        return text, count, user


def _usual(spellings: Counter[str]) -> str:
    """Return the spelling that is used most; of several, the first by code points."""
    return min(spellings, key=lambda topic: (-spellings[topic], topic))


def _bound_to(scope: Scope, wanted: MemoryFilter, order: MemoryOrder) -> str:
    """Return what ties a list's tokens to it."""
    return _of_all(scope, order) if wanted is ANY else binding("list", scope, wanted, order)


@lru_cache(1_000)
def _of_all(scope: Scope, order: MemoryOrder) -> str:
    return binding("list", scope, ANY, order)


def _ordered(
    user: HotUser, order: MemoryOrder, wanted: MemoryFilter, matches: Callable[[Memory], bool] | None
) -> Sequence[Entry]:
    if order in _BY_UPDATE_TIME and matches is None and not user.hides_some:
        return user.oldest()
    key = ("order", order in _BY_UPDATE_TIME or order, encode(wanted))
    if user.hides_some or key not in user.cache:
        field = _ORDER_FIELDS[order]
        chosen = user.memories() if matches is None else filter(matches, user.memories())
        if len(user.cache) > 32:
            user.cache.clear()
        user.cache[key] = sorted((field(memory), memory.memory_id) for memory in chosen)
    return user.cache[key]  # type: ignore[return-value]


def _by_time(
    user: HotUser,
    method: SearchMethod,
    limit: int,
    matches: Callable[[Memory], bool] | None,
    shared_user_id: str,
) -> list[Found]:
    if method is SearchMethod.LAST_N:
        memories: Iterable[Memory] = user.newest()
    else:
        visible = (user.get(memory_id) for _, memory_id in user.oldest())
        memories = (memory for memory in visible if memory is not None)
    if matches is not None:
        memories = filter(matches, memories)
    return [Found(memory, 0.0, shared_user_id) for memory in islice(memories, limit)]


def _nearest(
    sources: Mapping[str, HotUser], asked: Asked, limit: int, matches: Callable[[Memory], bool] | None
) -> list[Ranked[Memory]]:
    """Return what fits best of all users together, best first, each with whose it is; of equals the newest."""
    return nearest_together([Part(source, _allowed(source, matches)) for source in sources.values()], asked, limit)


def _allowed(source: HotUser, matches: Callable[[Memory], bool] | None) -> Callable[[str], bool] | None:
    if matches is None:
        return None

    def allowed(memory_id: str) -> bool:
        memory = source.state.memory(memory_id)
        return memory is not None and matches(memory)

    return allowed


def _shown(ranked: Sequence[Ranked[Memory]], user_ids: Sequence[str], min_score: float) -> Sequence[Found]:
    """Return hits with the scores that a reader sees, without those below the minimum."""
    scores = shown_scores([each.sure for each in ranked])
    return [
        Found(each.item, score, user_ids[each.source])
        for each, score in zip(ranked, scores, strict=True)
        if score >= min_score
    ]
