"""The call that tidies a user's memories: `user.memories.consolidate`."""

from __future__ import annotations

from dataclasses import dataclass

from memsvc.v1 import admin_pb2
from memsvc_client import rpcs
from memsvc_client.calls import Call, Subject, call
from memsvc_client.extraction import Extraction, extraction_of
from memsvc_client.memory import Commit, commit_of
from memsvc_client.session_calls import wait_seconds
from memsvc_client.shown import Shown
from memsvc_client.usage import Usage, usage_of
from memsvc_client.wire import duration, request_id_or_new


@dataclass(frozen=True, slots=True, repr=False)
class Consolidated(Shown):
    """What came of a consolidation."""

    extraction_id: str
    """The extraction that does it; empty with `validate_only`."""
    extraction: Extraction | None
    """The extraction as it is now; only with `wait`."""
    commit: Commit | None
    """What changed, or would; None: it has not ended yet, or failed."""
    usage: Usage
    """What the model cost with `validate_only`; else it is in the extraction."""
    revision: int


def consolidate(
    subject: Subject,
    *,
    validate_only: bool = False,
    wait: bool | float = True,
    request_id: str | None = None,
    timeout: float | None = None,
) -> Call[Consolidated]:
    """Merge memories that say the same, and retire what is over or contradicted: in one commit that `undo` takes back.

    `validate_only` shows what would change.
    """
    seconds = 0.0 if validate_only else wait_seconds(wait)
    request = admin_pb2.ConsolidateMemoriesRequest(
        scope=subject.scope,
        validate_only=validate_only,
        wait_for_consolidation=duration(seconds or None),
        request_id=request_id_or_new(request_id),
    )
    return call(rpcs.CONSOLIDATE_MEMORIES, request, _consolidated_of, timeout, seconds)


def _consolidated_of(reply: admin_pb2.ConsolidateMemoriesResponse) -> Consolidated:
    return Consolidated(
        extraction_id=reply.extraction_id,
        extraction=extraction_of(reply.extraction) if reply.HasField("extraction") else None,
        commit=commit_of(reply.commit) if reply.HasField("commit") else None,
        usage=usage_of(reply.usage),
        revision=reply.revision,
    )
