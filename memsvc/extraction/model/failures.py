"""Which extraction error each failure of a model endpoint is.

Details name status codes and error codes only: messages of endpoints may repeat the key or the prompt.
"""

from __future__ import annotations

import email.utils
import math
import re
import time
from collections.abc import Mapping
from typing import Final

from memsvc.errors import ExtractionError, Permanent, Reason, Retryable, Unusable

_LONGEST_WAIT_SECONDS: Final = 24 * 3600.0
_CODE: Final = re.compile(r"[a-z_]{1,48}")
_NO_BUDGET: Final = frozenset({402, 429})
_TRY_AGAIN: Final = frozenset({408, 409, 425})


def failure_of(error: Exception, *, answering: bool) -> ExtractionError | None:
    """Return the extraction error for what the client raised; None: it is no failure of the endpoint.

    `answering`: the endpoint had begun to answer. Until then a broken connection costs nothing and counts no attempt.
    """
    import openai

    if isinstance(error, openai.APIStatusError):
        return _rejection(error.status_code, error.response.headers, error.code)
    transport = _transport_failures(error)
    if not transport.isdisjoint({"ConnectTimeout", "PoolTimeout"}):
        return Retryable(Reason.MODEL_UNAVAILABLE, "model endpoint cannot be reached", counts=False)
    if isinstance(error, openai.APITimeoutError | TimeoutError) or "TimeoutException" in transport:
        return Retryable(Reason.MODEL_TIMEOUT, "model endpoint went silent or took too long")
    if isinstance(error, openai.APIConnectionError) or "TransportError" in transport:
        detail = "model endpoint broke off its answer" if answering else "model endpoint cannot be reached"
        return Retryable(Reason.MODEL_UNAVAILABLE, detail, counts=answering)
    if isinstance(error, openai.APIResponseValidationError | ValueError):
        return Unusable(Reason.MODEL_OUTPUT_UNUSABLE, "model endpoint sent something else than a chat completion")
    if isinstance(error, openai.APIError):
        detail = f"model endpoint reported an error in its answer{_in_brackets(error.code)}"
        if "rate_limit" in f"{error.code} {error.type}":
            return Retryable(Reason.MODEL_RATE_LIMITED, detail, counts=False)
        return Retryable(Reason.MODEL_UNAVAILABLE, detail)
    return None


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


def _rejection(status: int, headers: Mapping[str, str], code: object) -> ExtractionError:
    detail = f"model endpoint answered {status}{_in_brackets(code)}"
    wait = retry_after_seconds(headers, time.time())
    if status in _NO_BUDGET:
        return Retryable(Reason.MODEL_RATE_LIMITED, detail, retry_after_seconds=wait, counts=False)
    if status >= 500:
        return Retryable(Reason.MODEL_UNAVAILABLE, detail, retry_after_seconds=wait, counts=False)
    if status in _TRY_AGAIN:
        reason = Reason.MODEL_TIMEOUT if status == 408 else Reason.MODEL_UNAVAILABLE
        return Retryable(reason, detail, retry_after_seconds=wait)
    if code == "content_filter":
        return Permanent(Reason.MODEL_REFUSED, detail)
    return Permanent(Reason.MODEL_REJECTED, detail)


def _seconds_until(date: str, now: float) -> float:
    try:
        return email.utils.parsedate_to_datetime(date).timestamp() - now
    except (ValueError, OverflowError):
        return 0.0


def _transport_failures(error: Exception) -> set[str]:
    """Return the classes of the transport's error, by name: the client brings httpx or httpx2 and may wrap them."""
    return {kind.__name__ for each in (error, error.__cause__) for kind in type(each).__mro__}


def _in_brackets(code: object) -> str:
    return f" ({code})" if isinstance(code, str) and _CODE.fullmatch(code) else ""
