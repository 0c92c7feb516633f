"""The products of a vector of int8 with many others: exact as far as floats of 32 bits are, up to 1,040 dimensions."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_ROWS_A_BLOCK = 256


def products(rows: NDArray[np.int8], vector: NDArray[np.int8]) -> NDArray[np.float32]:
    """Return the product of each row with a vector."""
    import numpy as np

    distances = _simsimd()
    if distances is None:
        return _multiplied(rows, vector)
    # Not by its `out`: with that it takes a reference to None away that is not its own (6.5.16), and thousands of
    # searches later CPython 3.11 ends the process, as None is gone.
    found: NDArray[np.float32] = np.asarray(distances(vector.reshape(1, -1), rows, "dot", out_dtype="f32"))[0]
    return found


@cache
def _simsimd() -> Callable[..., Any] | None:
    """Return what multiplies int8 as they are, in the processor's widest registers; None: it is not installed."""
    try:
        from simsimd import cdist
    except ImportError:
        return None
    return cdist


def _multiplied(rows: NDArray[np.int8], vector: NDArray[np.int8]) -> NDArray[np.float32]:
    """Do it by numpy, which is fast with floats alone: most of the time goes into making them."""
    import numpy as np

    factors, floats, out = vector.astype(np.float32), _block(len(vector)), np.empty(len(rows), np.float32)
    for first in range(0, len(rows), _ROWS_A_BLOCK):
        some = rows[first : first + _ROWS_A_BLOCK]
        block = floats[: len(some)]
        np.copyto(block, some)
        np.dot(block, factors, out=out[first : first + len(some)])
    return out


@cache
def _block(length: int) -> NDArray[np.float32]:
    """Return room for a block of rows as floats. Taken from the system for each search, it costs more than the search.

    One for all: searches run on the event loop, and none waits in the midst.
    """
    import numpy as np

    return np.empty((_ROWS_A_BLOCK, length), np.float32)
