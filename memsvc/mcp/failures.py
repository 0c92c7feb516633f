"""What a host is told where something fails: a sentence that names what to do, and never a value that was given."""

from __future__ import annotations

from memsvc import errors
from memsvc.log import Log
from memsvc_client import MemoryServiceError, PermissionDenied, Reason, ResourceExhausted, Unauthenticated
from memsvc_client.errors import service_is_down

log = Log(__name__)

DOWN = "The memory service cannot be reached now. Go on without it, and try again later."
_REFUSED = "This connection has no right to do that with the memory service."
_FULL = "This user's memory is full: forget what is no longer needed, then try again."
_BUSY = "The memory service takes no more calls now: try again in a while."


def limit_reached(error: errors.ResourceExhausted) -> str:
    """Return what a host is told whose token makes more calls than it may."""
    log.warning("call_refused", reason=error.reason)
    return f"This connection may make no {error.message}: try again in {error.retry_after_seconds:.1f} s."


def sentence(failure: MemoryServiceError) -> str:
    """Return what became of a call that failed; the log says more."""
    log.warning("call_failed", kind=type(failure).__name__, reason=failure.reason or "-")
    if isinstance(failure, (PermissionDenied, Unauthenticated)):
        return _REFUSED
    if isinstance(failure, ResourceExhausted):
        match failure.reason:
            case Reason.QUOTA_EXCEEDED:
                return _FULL
            case Reason.RESULT_TOO_LARGE | Reason.REQUEST_TOO_LARGE:
                return f"That is too much at once ({failure.reason}): ask for less."
            case _:
                return _BUSY
    if service_is_down(failure):
        return DOWN
    # Paths of fields, not what is in them.
    fields = ", ".join(each.field for each in failure.fields)
    about = f" Look at {fields}." if fields else ""
    return f"The memory service did not do that ({failure.reason or type(failure).__name__}).{about}"
