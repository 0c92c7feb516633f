"""What a score tells a reader: how sure it may be of a hit."""

from __future__ import annotations

from collections.abc import Sequence

CONTEXT_ALONE = 0.5
"""What counts of a lexical score where only what stands beside it holds the words."""


def sure_score(score: float, by_context: bool) -> float:
    """Return what of a lexical score makes sure of a hit: half of it where only its context holds the words."""
    return score * CONTEXT_ALONE if by_context else score


def shown_scores(sure_scores: Sequence[float]) -> list[float]:
    """Return the scores, 0 to 1, that are shown of hits that come best first, from how sure each is.

    What only its context fits keeps its place, since the answer often stands beside the words of its question; but it
    is shown no surer than it is, or than the next hit.
    """
    shown: list[float] = []
    least = 0.0
    for sure in reversed(sure_scores):
        if sure > least:
            least = sure if sure < 1.0 else 1.0
        shown.append(least)
    return shown[::-1]
