"""Named places at which a process can be told to die: how tests ask, step by step, what survives.

Off unless MEMSVC_CRASH_POINT names one: with `sqlite.before_commit` the process kills itself (SIGKILL) when it first
gets there, with `sqlite.before_commit:3` the third time; `sqlite.before_commit:3:SIGSTOP` freezes it instead. Where it
is off a place costs one comparison.
"""

from __future__ import annotations

import os
import signal
import threading

_chosen, _, _how = os.environ.get("MEMSVC_CRASH_POINT", "").partition(":")
_nth, _, _signal = _how.partition(":")
_passes_left = int(_nth or 1)


def reach(name: str) -> None:
    """Say that the process is now at this place, just before or after a durable step."""
    if name == _chosen:
        _die_if_due()


def _die_if_due() -> None:
    global _passes_left
    _passes_left -= 1
    if _passes_left == 0:
        # Sent to this thread: one that is sent to the process may stop it only after this thread has gone on.
        signal.pthread_kill(threading.get_ident(), signal.Signals[_signal or "SIGKILL"])
