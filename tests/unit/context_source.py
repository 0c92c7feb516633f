"""A user's memories as `memsvc.context` reads them, kept in dicts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from typing import Any

from memsvc.model import Layer, Memory, Polarity, Trust
from memsvc.search.corpus import Corpus
from memsvc.search.hybrid import Asked, Candidates, candidates
from memsvc.search.lexical import LexicalIndex


class UserSource:
    def __init__(self, memories: Iterable[Memory], user_id: str = "sarah", revision: int = 1) -> None:
        ordered = sorted(memories, key=lambda memory: memory.number)
        self.user_id = user_id
        self.revision = revision
        self.cache: MutableMapping[object, object] = {}
        self.written: MutableMapping[object, dict[str, Any]] = {}
        self.searches: list[str] = []
        self.layers_read = 0
        self._layers = {layer: {m.memory_id: m for m in ordered if m.layer is layer} for layer in Layer}
        self._newest = sorted(ordered, key=lambda memory: (memory.update_time, memory.number), reverse=True)
        self._index: LexicalIndex | None = None

    def layer(self, layer: Layer) -> Mapping[str, Memory]:
        self.layers_read += 1
        return self._layers[layer]

    def newest(self) -> Iterable[Memory]:
        return iter(self._newest)

    def get(self, memory_id: str) -> Memory | None:
        return next((layer[memory_id] for layer in self._layers.values() if memory_id in layer), None)

    def corpus(self, query: str) -> Corpus:
        return self._searched().corpus(query)

    def candidates(
        self,
        asked: Asked,
        limit: int,
        allowed: Callable[[str], bool] | None = None,
        corpus: Corpus | None = None,
    ) -> Candidates[str]:
        self.searches.append(asked.text)
        return candidates(self._searched(), None, asked, limit, allowed, corpus)

    def best(self, asked: Asked, limit: int) -> None:
        return None

    def _searched(self) -> LexicalIndex:
        if self._index is None:
            self._index = LexicalIndex.build(self._newest)
        return self._index


class Notebook:
    """Makes memories with numbers, ids (`m1`, ...) and times in the order in which they are written down."""

    def __init__(self) -> None:
        self.memories: list[Memory] = []

    def add(
        self,
        layer: Layer,
        text: str,
        key: str = "",
        value: object = None,
        *,
        polarity: Polarity = Polarity.NONE,
        trust: Trust = Trust.STATED,
        topics: Sequence[str] = (),
        expire_time: int = 0,
    ) -> Memory:
        number = len(self.memories) + 1
        memory = Memory(
            memory_id=f"m{number}",
            number=number,
            layer=layer,
            text=text,
            key=key,
            value_json="" if value is None else json.dumps(value),
            polarity=polarity,
            trust=trust,
            topics=tuple(topics),
            update_time=number,
            expire_time=expire_time,
        )
        self.memories.append(memory)
        return memory

    def policy(self, text: str, key: str = "", value: object = None, **fields: object) -> Memory:
        return self.add(Layer.POLICY, text, key, value, **fields)  # type: ignore[arg-type]

    def profile(self, text: str, key: str = "", value: object = None, **fields: object) -> Memory:
        return self.add(Layer.PROFILE, text, key, value, **fields)  # type: ignore[arg-type]

    def knows(self, text: str, key: str = "", value: object = None, **fields: object) -> Memory:
        return self.add(Layer.KNOWLEDGE, text, key, value, **fields)  # type: ignore[arg-type]

    def feedback(self, text: str, polarity: Polarity = Polarity.NONE, key: str = "", value: object = None) -> Memory:
        return self.add(Layer.FEEDBACK, text, key, value, polarity=polarity)

    def source(self, user_id: str = "sarah", revision: int = 1) -> UserSource:
        return UserSource(self.memories, user_id, revision)
