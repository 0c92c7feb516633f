"""Which extraction error each failure of a model endpoint is.

What is mended outside waits and counts no attempt: a refused key, an unknown model, a proxy or an endpoint that is not
there, a web page where the API should be. Details name status codes and error codes only: messages of endpoints may
repeat the key or the prompt.
"""

from __future__ import annotations

import email.utils
import math
import os
import re
import time
from collections.abc import Mapping
from typing import Any, Final

from memsvc.errors import ExtractionError, Permanent, Reason, Retryable, Unusable

_LONGEST_WAIT_SECONDS: Final = 24 * 3600.0
_MOST_CAUSES: Final = 12
_CODE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,47}")
_NO_BUDGET: Final = frozenset({402, 429})
_TRY_AGAIN: Final = frozenset({408, 409, 425})
_FAULT_OF_THE_REQUEST: Final = frozenset({400, 413, 422})
_NOT_REFUSED_FIELDS: Final = frozenset({401, 402, 403, 407, 408, 409, 413, 425, 429})
_KEY_OR_MODEL: Final = re.compile(
    r"api[ _-]?key|invalid[ _]token|unauthori[sz]ed|authenticat|credential|permission"
    r"|model[^.]{0,60}(?:not[ _]found|does not exist|not exist|unknown|not supported|not available)"
    r"|(?:unknown|invalid|no such|unsupported)[ _]model|billing|quota|credit",
    re.IGNORECASE,
)
"""Some endpoints answer 400 to what others answer 401, 402, 403 or 404."""


def failure_of(error: Exception, *, answering: bool, wanted: str = "a chat completion") -> ExtractionError | None:
    """Return the extraction error for what the client raised; None: it is no failure of the endpoint.

    `answering`: the endpoint had begun to answer. Until then a broken connection costs nothing and counts no attempt.
    `wanted`: what it was asked for.
    """
    import openai

    if isinstance(error, openai.APIStatusError):
        rejection = _rejection(error)
        rejection.endpoint_message = " ".join(error.response.text[:_REFUSAL_CHARACTERS].split())[:_MESSAGE_CHARACTERS]
        return rejection
    transport = _transport_failures(error)
    if not transport.isdisjoint({"ConnectTimeout", "PoolTimeout"}):
        return Retryable(Reason.MODEL_UNAVAILABLE, "model endpoint cannot be reached", counts=False)
    if isinstance(error, openai.APITimeoutError | TimeoutError) or "TimeoutException" in transport:
        return Retryable(Reason.MODEL_TIMEOUT, "model endpoint went silent or took too long")
    if isinstance(error, openai.APIConnectionError) or "TransportError" in transport:
        detail = "model endpoint broke off its answer" if answering else "model endpoint cannot be reached"
        return Retryable(Reason.MODEL_UNAVAILABLE, detail, counts=answering, endpoint_message=_network_says(error))
    if isinstance(error, openai.APIResponseValidationError | ValueError) or "DecodingError" in transport:
        return Unusable(Reason.MODEL_OUTPUT_UNUSABLE, f"model endpoint sent something else than {wanted}")
    return reported_failure({"code": error.code, "type": error.type}) if isinstance(error, openai.APIError) else None


def setup_failure(error: Exception) -> ExtractionError:
    """Return the extraction error for a client that cannot be made: a missing certificate, a malformed proxy."""
    detail = f"the model endpoint's client cannot be set up ({type(error).__name__})"
    return Retryable(Reason.MODEL_UNAVAILABLE, detail, counts=False)


def reported_failure(reported: object) -> ExtractionError | None:
    """Return the extraction error for an error that an endpoint reports in a body that began well; None: no error."""
    if not reported:
        return None
    fields: Mapping[str, Any] = reported if isinstance(reported, Mapping) else {}
    code, kind, status = fields.get("code"), fields.get("type"), fields.get("status")
    detail = f"model endpoint reported an error in its answer{_in_brackets(code)}"
    words = f"{code} {kind} {status}"
    if re.search(r"rate_?limit|429|402|quota|RESOURCE_EXHAUSTED", words):
        return Retryable(Reason.MODEL_RATE_LIMITED, detail, counts=False)
    if re.search(r"\b40[134]\b|api_key|authentication|permission|model_not_found", words):
        return Retryable(Reason.MODEL_REJECTED, detail, counts=False)
    return Retryable(Reason.MODEL_UNAVAILABLE, detail)


def refusal_text(error: Exception) -> str:
    """Return what an endpoint says of a request that it refuses, where it may be about a field of it; else nothing."""
    import openai

    if not isinstance(error, openai.APIStatusError) or error.status_code in _NOT_REFUSED_FIELDS:
        return ""
    return error.response.text[:_REFUSAL_CHARACTERS]


def is_too_long(error: Exception) -> bool:
    """Tell whether an endpoint refuses a request because the model has no room for so long a prompt."""
    import openai

    if not isinstance(error, openai.APIStatusError) or error.status_code not in _FAULT_OF_THE_REQUEST:
        return False
    return error.status_code == 413 or _TOO_LONG.search(error.response.text[:_REFUSAL_CHARACTERS]) is not None


_TOO_LONG: Final = re.compile(
    r"context[ _-]?(?:length|size|window)|maximum (?:context|input)|too many (?:input )?tokens|input[ _]too[ _]long"
    r"|(?:prompt|input|request|message)s? (?:is|are) too (?:long|large)|reduce the length|token limit|tokens? exceeds?",
    re.IGNORECASE,
)
_REFUSAL_CHARACTERS: Final = 8_000
_MESSAGE_CHARACTERS: Final = 500


def retry_after_seconds(headers: Mapping[str, str], now: float) -> float:
    """Return how long an endpoint asks to wait, from `Retry-After-Ms` or `Retry-After` (RFC 9110, 10.2.3); 0: no word.

    `now` is in seconds since the epoch; `headers` are looked up in lower case.
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "").strip()
        if not value:
            continue
        try:
            seconds = float(value) * unit
        except ValueError:
            seconds = _seconds_until(value, now)
        if math.isfinite(seconds) and seconds > 0:
            return min(seconds, _LONGEST_WAIT_SECONDS)
    return 0.0


def _rejection(error: Any) -> ExtractionError:
    status, code = error.status_code, error.code
    detail = f"model endpoint answered {status}{_in_brackets(code)}"
    wait = retry_after_seconds(error.response.headers, time.time())
    if status in _NO_BUDGET:
        return Retryable(Reason.MODEL_RATE_LIMITED, detail, retry_after_seconds=wait, counts=False)
    if status >= 500:
        return Retryable(Reason.MODEL_UNAVAILABLE, detail, retry_after_seconds=wait, counts=False)
    if status in _TRY_AGAIN:
        reason = Reason.MODEL_TIMEOUT if status == 408 else Reason.MODEL_UNAVAILABLE
        return Retryable(reason, detail, retry_after_seconds=wait)
    if code == "content_filter":
        return Permanent(Reason.MODEL_REFUSED, detail)
    said = error.response.text[:_REFUSAL_CHARACTERS]
    if status in _FAULT_OF_THE_REQUEST and not _KEY_OR_MODEL.search(said):
        return Permanent(Reason.MODEL_REJECTED, detail)
    return Retryable(Reason.MODEL_REJECTED, detail, retry_after_seconds=wait, counts=False)


def _seconds_until(date: str, now: float) -> float:
    try:
        return email.utils.parsedate_to_datetime(date).timestamp() - now
    except (ValueError, OverflowError):
        return 0.0


def _transport_failures(error: Exception) -> set[str]:
    """Return the classes of the transport's error, by name: the client brings httpx or httpx2 and may wrap them."""
    return {kind.__name__ for each in (error, error.__cause__) for kind in type(each).__mro__}


def _network_says(error: Exception) -> str:
    """Return what the network said, as far down as it said something: "all attempts failed" says nothing."""
    said, cause = str(error.__cause__ or error), error.__cause__
    for _ in range(_MOST_CAUSES):
        if cause is None:
            break
        if isinstance(cause, OSError) and cause.errno:
            # asyncio has words of its own for a refused connection: "Connect call failed ('127.0.0.1', 1)".
            said = os.strerror(cause.errno) if isinstance(cause, ConnectionError) else cause.strerror or said
        cause = cause.__cause__ or cause.__context__
    return said


def _in_brackets(code: object) -> str:
    return f" ({code})" if isinstance(code, str) and _CODE.fullmatch(code) else ""
