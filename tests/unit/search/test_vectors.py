from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memsvc.search.vectors import VectorIndex

LENGTH = 8
vectors = st.lists(st.integers(-127, 127), min_size=LENGTH, max_size=LENGTH)
steps = st.lists(st.tuples(st.integers(0, 9), vectors | st.none()), max_size=40)


def packed(vector: list[int]) -> bytes:
    return bytes(each % 256 for each in vector)


def cosine(one: list[int], other: list[int]) -> float:
    lengths = math.hypot(*one) * math.hypot(*other)
    return sum(a * b for a, b in zip(one, other, strict=True)) / lengths if lengths else 0.0


@given(steps, vectors)
def test_similarities_are_the_cosines_of_what_is_there(
    changes: list[tuple[int, list[int] | None]], query: list[int]
) -> None:
    index, kept = VectorIndex[str](), dict[str, list[int]]()
    for number, vector in changes:
        if vector is None:
            index.remove(f"m{number}")
            kept.pop(f"m{number}", None)
        else:
            index.put_all([(f"m{number}", packed(vector))])
            kept[f"m{number}"] = vector

    similarities = index.similarities(packed(query))
    assert len(index) == len(kept)
    names = [f"m{number}" for number in range(10)]
    cosines = {name: max(0.0, cosine(kept[name], query)) if name in kept else 0.0 for name in names}
    assert similarities.of_each(names) == pytest.approx(cosines, abs=1e-5)
    found = similarities.nearest(0.2, len(kept))
    assert set(found) <= set(kept)
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert list(similarities.nearest(0.2, 3).items()) == list(found.items())[:3]


def test_of_many_the_nearest_come_first_and_none_is_left_out() -> None:
    source = random.Random(1)
    index = VectorIndex[str]()
    index.put_all([(f"m{n}", packed([source.randint(-127, 127) for _ in range(LENGTH)])) for n in range(3_000)])
    similarities = index.similarities(packed([100, 3, 5, -70, 20, 1, 0, 9]))

    found = similarities.nearest(0.05, 3_000)
    even = similarities.nearest(0.05, 700, lambda name: int(name[1:]) % 2 == 0)

    assert len(found) > 1_000
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert list(even.items()) == [each for each in found.items() if int(each[0][1:]) % 2 == 0][:700]
    assert list(similarities.nearest(0.05, 600).items()) == list(found.items())[:600]


def test_vectors_of_another_length_are_another_models_and_replace_what_there_was() -> None:
    index = VectorIndex[str]()
    index.put_all([("a", packed([1] * 8))])
    index.put_all([("b", packed([1] * 4))])
    assert "a" not in index
    assert index.similarities(packed([1] * 8)).of_each(["b"]) == {"b": 0.0}
    assert index.similarities(packed([1] * 4)).of_each(["b"]) == {"b": pytest.approx(1.0)}


def test_a_vector_of_zeros_is_near_nothing() -> None:
    index = VectorIndex[str]()
    index.put_all([("a", bytes(8)), ("b", packed([1] * 8))])
    assert list(index.similarities(packed([1] * 8)).nearest(0.1, 2)) == ["b"]
    assert index.similarities(bytes(8)).nearest(0.1, 2) == {}
