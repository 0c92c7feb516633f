"""The life of an extraction: each change of its state, once, as a pure function.

WAITING -> RUNNING -> SUCCEEDED, and back to WAITING where an attempt ended without effect. FAILED and CANCELLED end it
too, until somebody retries it. What is due when is decided by `Moment.now`, what is recorded as having happened by
`Moment.time`. For example, an attempt that met a model that was down:

    waiting = waiting_again(running, moment, delay_seconds=4.0, counts=False)
"""

from __future__ import annotations

from msgspec.structs import replace

from memsvc.errors import Reason
from memsvc.journal.draft import Moment
from memsvc.journal.records import Claim
from memsvc.journal.state import State
from memsvc.model import Ending, Extraction, ExtractionState, Refusal, Usage

_MICROS = 1_000_000
_ENDINGS_KEPT = 16


def started(extraction: Extraction, moment: Moment) -> Extraction:
    """Return it as RUNNING its next attempt."""
    return replace(
        extraction,
        state=ExtractionState.RUNNING,
        attempt=extraction.attempt + 1,
        start_time=moment.time,
        next_attempt_time=0,
    )


def waiting_again(
    extraction: Extraction, moment: Moment, *, delay_seconds: float = 0.0, counts: bool = True
) -> Extraction:
    """Return it as WAITING after an attempt without effect; one that does not count is not numbered."""
    return replace(
        extraction,
        state=ExtractionState.WAITING,
        attempt=extraction.attempt if counts else extraction.attempt - 1,
        next_attempt_time=moment.now + int(delay_seconds * _MICROS),
    )


def explained(extraction: Extraction, reason: str, detail: str, usage: Usage) -> Extraction:
    """Return it with why its attempt had no effect, and with what that cost."""
    return replace(extraction, reason=reason, detail=detail, usage=extraction.usage + usage)


def hastened(extraction: Extraction, moment: Moment) -> Extraction:
    """Return it as due now."""
    return replace(extraction, next_attempt_time=moment.now)


def succeeded(
    extraction: Extraction,
    state: State,
    moment: Moment,
    *,
    revision: int,
    change_count: int,
    refusals: tuple[Refusal, ...] = (),
) -> Extraction:
    """Return it as SUCCEEDED with the commit it made; `refusals` are what was proposed and not done."""
    return _ended(
        replace(
            extraction,
            revision=revision,
            change_count=change_count,
            refusals=refusals,
        ),
        ExtractionState.SUCCEEDED,
        state,
        moment,
        reason=refusals[0].reason if refusals else "",
        detail=refusals[0].detail if refusals else "",
    )


def failed(extraction: Extraction, state: State, moment: Moment, reason: str, detail: str) -> Extraction:
    """Return it as FAILED."""
    return _ended(extraction, ExtractionState.FAILED, state, moment, reason, detail)


def cancelled(extraction: Extraction, state: State, moment: Moment, reason: Reason, detail: str) -> Extraction:
    """Return it as CANCELLED."""
    return _ended(extraction, ExtractionState.CANCELLED, state, moment, reason, detail)


def retried(extraction: Extraction, moment: Moment) -> Extraction:
    """Return one that FAILED or was CANCELLED as WAITING, under the same id, as if it had just been accepted."""
    ending = Ending(extraction.state, extraction.reason, extraction.detail)
    return replace(
        extraction,
        state=ExtractionState.WAITING,
        reason="",
        detail="",
        attempt=0,
        retries=extraction.retries + 1,
        next_attempt_time=moment.now,
        wait_time=moment.now,
        endings=(*extraction.endings, ending)[-_ENDINGS_KEPT:],
        end_time=0,
        end_seq=0,
    )


def standing(state: State, claim: Claim) -> list[Extraction] | None:
    """Return the extractions that `claim` still holds; None: it no longer stands."""
    current = state.core.claim
    if current is None or current.epoch != claim.epoch or current.owner != claim.owner:
        return None
    held = [state.core.open.get(extraction_id) for extraction_id in claim.extraction_ids]
    return [each for each in held if each is not None and each.state is ExtractionState.RUNNING]


def has_waited_since(extraction: Extraction) -> int:
    """Return when it began to wait for its effect: when it was accepted, or last retried."""
    return extraction.wait_time or extraction.create_time


def _ended(
    extraction: Extraction, ending: ExtractionState, state: State, moment: Moment, reason: str, detail: str
) -> Extraction:
    return replace(
        extraction,
        state=ending,
        reason=reason,
        detail=detail,
        next_attempt_time=0,
        end_time=moment.time,
        end_seq=state.tip.seq + 1,
    )
