"""What a score tells a reader: how sure it may be of a hit."""

from __future__ import annotations

from collections.abc import Sequence

_CONTEXT_ALONE = 0.5


def shown_scores(ranked: Sequence[tuple[float, bool]]) -> list[float]:
    """Return the scores, 0 to 1, of hits that come best first, each with whether only its context fits the query.

    Such a hit keeps its place, since the answer often stands beside the words of its question; but it is no more sure
    than half of its score says, or than the next hit is.
    """
    shown: list[float] = []
    least = 0.0
    for score, by_context in reversed(ranked):
        least = max(least, min(1.0, score * _CONTEXT_ALONE if by_context else score))
        shown.append(least)
    return shown[::-1]
