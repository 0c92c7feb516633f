"""How far learning from a run has come: it follows from the run's extraction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from memsvc.journal.state import State
from memsvc.model import Extraction, ExtractionState, LearningState, Run, Scope, decode
from memsvc.storage.driver import RowKind
from memsvc.users import Users

_OF_STATE: Final[Mapping[ExtractionState, LearningState]] = {
    ExtractionState.SUCCEEDED: LearningState.LEARNED,
    ExtractionState.FAILED: LearningState.FAILED,
    ExtractionState.CANCELLED: LearningState.SKIPPED,
}


def learning_of(state: ExtractionState) -> LearningState:
    """Return how far learning is when its extraction is in `state`."""
    return _OF_STATE.get(state, LearningState.PENDING)


async def learnings_of(users: Users, scope: Scope, runs: Sequence[Run]) -> Sequence[LearningState]:
    """Return how far learning from each run has come; of an extraction that is no longer kept, that it was learned."""
    followed = {run.extraction_id for run in runs if run.learning is None} - {""}
    if not followed:
        return [run.learning or LearningState.OFF for run in runs]
    state = (await users.latest(scope)).state
    ended = followed - state.core.open.keys()
    rows = await users.driver.get(scope, RowKind.EXTRACTION, sorted(ended)) if ended else {}
    states = {key: decode(row.body, Extraction).state for key, row in rows.items()}
    return [
        run.learning or learning_of(_state(run.extraction_id, state, states))
        if run.learning or run.extraction_id
        else LearningState.OFF
        for run in runs
    ]


def _state(extraction_id: str, state: State, ended: Mapping[str, ExtractionState]) -> ExtractionState:
    if extraction_id in state.core.open:
        return ExtractionState.WAITING
    return ended.get(extraction_id, ExtractionState.SUCCEEDED)
