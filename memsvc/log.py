"""The log: events with fields, on stderr, as text or as a JSON object a line.

    log = Log(__name__)
    log.warning("extraction_failed", scope=scope, extraction_id=extraction.extraction_id, attempt=2)

prints `2026-11-28T21:27:09.123Z WARNING memsvc.extraction extraction_failed namespace=default user=1f0c… attempt=2 …`.
No field holds what somebody said or is remembered: not a text, not a value, not the words of an exception. A user is
named by a digest, which is the same on every replica: lines about one user can be found, and do not say who it is.
"""

from __future__ import annotations

import json
import logging
import math
import sys
import time
import traceback
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any, Final, Literal, TextIO

from memsvc.clock import in_words
from memsvc.model import Scope

OURS: Final = ("memsvc", "memsvc_drivers")
"""The loggers whose level is `log_level`. Others speak up from WARNING on: at INFO, HTTP clients log URLs."""
_GRPC: Final = "grpc._cython.cygrpc"
_QUOTES_A_HEADER: Final = "Invalid encoding"
_DIGEST_BYTES: Final = 6
_MOST_CAUSES: Final = 5
_SPELL_SECONDS: Final = 60.0

Format = Literal["text", "json"]


class Log:
    """Where a module says what happened. An event is a word in snake case; all else is fields."""

    def __init__(self, module: str) -> None:
        self._logger = logging.getLogger(module)

    def debug(self, event: str, **fields: object) -> None:
        self._write(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: object) -> None:
        self._write(logging.INFO, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        self._write(logging.WARNING, event, fields)

    def error(self, event: str, failure: BaseException | None = None, **fields: object) -> None:
        """Say what should not have happened; `failure` is printed with its traceback, without its words."""
        self._write(logging.ERROR, event, fields, failure)

    def _write(self, level: int, event: str, fields: dict[str, object], failure: BaseException | None = None) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, event, extra={"fields": fields, "failure": failure}, stacklevel=3)


class Spell:
    """A time in which something fails: said when it begins and when it is over, at most once a minute each.

    Thousands of calls a second may find that the disk is full.
    """

    def __init__(self, log: Log, begins: str, ends: str, **fields: object) -> None:
        """`begins`, `ends`: the events; `fields` are of both."""
        self._log = log
        self._begins, self._ends = begins, ends
        self._fields = fields
        self._said_at = -math.inf
        self.is_said = False
        """Whether it was said that it fails."""

    def failed(self, **fields: object) -> None:
        """It failed: say so, unless that was said."""
        if self.is_said or time.monotonic() - self._said_at < _SPELL_SECONDS:
            return
        self.is_said, self._said_at = True, time.monotonic()
        self._log.warning(self._begins, **self._fields, **fields)

    def went_well(self) -> None:
        """It works: say so, if it was said that it does not."""
        if self.is_said:
            self.is_said = False
            self._log.warning(self._ends, **self._fields, seconds=round(time.monotonic() - self._said_at, 1))


def start_logging(level: str, log_format: Format, stream: TextIO | None = None) -> None:
    """Print the events of this process from `level` on. Called once, by whoever starts it."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if log_format == "json" else TextLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in OURS:
        logging.getLogger(name).setLevel(level)
    logging.getLogger(_GRPC).addFilter(_quotes_nobody)


def _quotes_nobody(record: logging.LogRecord) -> bool:
    """Tell whether what gRPC says may be written down: of a header that is no UTF-8 it quotes all, be it a token."""
    return not str(record.msg).startswith(_QUOTES_A_HEADER)


def stay_silent() -> None:
    """Print nothing of what is logged, where nobody has started to: a command says it in words of its own."""
    for name in OURS:
        logging.getLogger(name).addHandler(logging.NullHandler())


def end_logging() -> None:
    """Write what was not written yet: for a process that ends without the interpreter's own ending."""
    logging.shutdown()


def user_digest(scope: Scope) -> str:
    """Return what names a user in the log."""
    key = scope.namespace.encode("utf-8", "replace")[:64]
    return blake2b(scope.user_id.encode("utf-8", "replace"), digest_size=_DIGEST_BYTES, key=key).hexdigest()


class TextLines(logging.Formatter):
    """A line an event, for people; a traceback follows."""

    def format(self, record: logging.LogRecord) -> str:
        fields = " ".join(f"{name}={_shown(value)}" for name, value in _fields(record).items())
        line = f"{_time(record)} {record.levelname} {record.name} {record.getMessage()}"
        return "\n".join(part for part in (f"{line} {fields}".rstrip(), _trace(record)) if part)


class JsonLines(logging.Formatter):
    """A JSON object a line, for machines."""

    def format(self, record: logging.LogRecord) -> str:
        head = {"time": _time(record), "level": record.levelname, "logger": record.name, "event": record.getMessage()}
        trace = _trace(record)
        return json.dumps({**head, **_fields(record), **({"traceback": trace} if trace else {})}, default=str)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in getattr(record, "fields", {}).items():
        if isinstance(value, Scope):
            fields |= {"namespace": value.namespace, "user": user_digest(value)}
        elif value not in (None, ""):
            fields[name] = value
    return fields


def _trace(record: logging.LogRecord) -> str:
    failure = getattr(record, "failure", None)
    if failure is not None:
        return "\nfrom ".join(_frames(each) for each in _causes(failure))
    return "".join(traceback.format_exception(*record.exc_info)).rstrip() if record.exc_info else ""


def _causes(failure: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = failure
    for _ in range(_MOST_CAUSES):
        if cause is not None:
            yield cause
            cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)


def _frames(failure: BaseException) -> str:
    """Return what failed and where, without its words: they may quote what somebody said."""
    frames = "".join(traceback.format_tb(failure.__traceback__))
    return f"{type(failure).__module__}.{type(failure).__qualname__}\n{frames}".rstrip()


def _shown(value: object) -> str:
    text = str(value)
    return text if text.isprintable() and not any(sign in text for sign in ' "=') else json.dumps(text)


def _time(record: logging.LogRecord) -> str:
    return in_words(int(record.created * 1_000_000))
