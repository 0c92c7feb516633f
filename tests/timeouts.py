"""What becomes of a test that takes too long: it fails, at once and alone.

pytest-timeout raises pytest's own failure wherever the thread of the test happens to be. Inside Hypothesis that is one
more failing example, which is then tried again without a time limit; inside a hook it is an INTERNALERROR, which ends
the whole run. So the alarm raises what nobody catches but pytest, and only while pytest is ready to: in the set-up, the
call or the teardown of a test. A teardown has the same time once more.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest
from pytest_timeout import dump_stacks, is_debugging

_AGAIN_SECONDS = 0.05

_ready = False
"""Whether what is raised now is taken for the test's failure."""


class TimedOut(BaseException):
    """The test took longer than it may."""


@pytest.hookimpl(tryfirst=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> bool | None:
    if settings.method != "signal" or threading.current_thread() is not threading.main_thread():
        return None

    def ring(number: int, frame: FrameType | None) -> None:
        if not settings.disable_debugger_detection and is_debugging():
            return
        if not _ready:
            arm(_AGAIN_SECONDS)
            return
        dump_stacks(item.config.get_terminal_writer())
        raise TimedOut(f"{item.nodeid} took longer than {settings.timeout:g} s")

    def arm(seconds: float) -> None:
        signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, seconds)

    def cancel() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)

    item.cancel_timeout = cancel  # type: ignore[attr-defined]
    item.rearm_timeout = lambda: arm(settings.timeout)  # type: ignore[attr-defined]
    arm(settings.timeout)
    return True


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup() -> Iterator[None]:
    yield from _phase()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call() -> Iterator[None]:
    yield from _phase()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    rearm = getattr(item, "rearm_timeout", None)
    if rearm is not None:
        rearm()
    yield from _phase()


def _phase() -> Iterator[None]:
    global _ready
    _ready = True
    try:
        return (yield)
    finally:
        _ready = False
