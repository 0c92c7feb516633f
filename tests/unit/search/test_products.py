from __future__ import annotations

import random
import sys

import pytest

from memsvc.search import products

np = pytest.importorskip("numpy")


@pytest.mark.parametrize("by", ["simsimd", "numpy"])
@pytest.mark.parametrize(("count", "length"), [(1, 1), (3, 8), (256, 256), (700, 256), (257, 31), (2, 1_040)])
def test_products_are_exact_whoever_makes_them(
    monkeypatch: pytest.MonkeyPatch, by: str, count: int, length: int
) -> None:
    if by == "numpy":
        monkeypatch.setattr(products, "_simsimd", lambda: None)
    else:
        pytest.importorskip("simsimd")
    source = random.Random(count * length)
    extremes = [-128, -127, 0, 127]
    rows = [[source.choice([source.randint(-128, 127), *extremes]) for _ in range(length)] for _ in range(count)]
    rows[0] = [-127] * length
    for vector in (source.choices(range(-128, 128), k=length), [-127] * length, [127] * length):
        found = products.products(np.array(rows, np.int8), np.array(vector, np.int8))

        assert found.dtype == np.float32
        assert found.tolist() == [sum(map(int.__mul__, row, vector)) for row in rows]


def test_products_take_no_reference_that_is_not_theirs() -> None:
    # CPython 3.11 ends the process with the last reference to None.
    pytest.importorskip("simsimd")
    rows, vector = np.ones((3, 8), np.int8), np.ones(8, np.int8)
    lent: tuple[object, ...] = (None, True, False, (), "dot", np.float32, rows, vector)
    products.products(rows, vector)
    before = [sys.getrefcount(each) for each in lent]

    for _ in range(1_000):
        products.products(rows, vector)

    changed = [sys.getrefcount(each) - count for each, count in zip(lent, before, strict=True)]
    assert max(map(abs, changed)) < 100


def test_without_simsimd_numpy_multiplies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "simsimd", None)
    products._simsimd.cache_clear()
    assert products._simsimd() is None
    products._simsimd.cache_clear()
