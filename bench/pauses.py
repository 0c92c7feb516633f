"""memsvc, with a list of what its garbage collector took: `python -m bench.pauses <file> serve ...`.

The file is written when the server has ended. SIGUSR1 makes it collect everything at once.
"""

from __future__ import annotations

import atexit
import gc
import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

from memsvc.cli import main


def record(file: Path) -> None:
    """From now on record each collection: its milliseconds, and whether it was asked for."""
    pauses: list[tuple[float, bool]] = []
    started = 0.0
    forced = False

    def collecting(phase: str, info: dict[str, Any]) -> None:
        nonlocal started
        # The thread's own time: what a neighbour on the machine takes meanwhile is no fault of the collector.
        now = time.thread_time()
        if phase == "start":
            started = now
        elif gc.get_freeze_count():
            # Only from then on it serves: the start's own objects are frozen as its last step.
            pauses.append(((now - started) * 1e3, forced))

    def collect_all(*_: object) -> None:
        nonlocal forced
        # The next signal may come while the last is still being obeyed.
        before, forced = forced, True
        gc.collect()
        forced = before

    gc.callbacks.append(collecting)
    signal.signal(signal.SIGUSR1, collect_all)
    atexit.register(lambda: file.write_text(json.dumps(pauses)))


if __name__ == "__main__":
    record(Path(sys.argv.pop(1)))
    main()
