"""memsvc, with a list of what its garbage collector took: `python -m bench.pauses <file> serve ...`.

The file is written when the server has ended. SIGUSR1 makes it collect everything at once, as Python does now and then.
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
    """From now on record each collection: its generation and its milliseconds."""
    pauses: list[tuple[int, float]] = []
    started = 0.0

    def collecting(phase: str, info: dict[str, Any]) -> None:
        nonlocal started
        # The thread's own time: what a neighbour on the machine takes meanwhile is no fault of the collector.
        now = time.thread_time()
        if phase == "start":
            started = now
        else:
            pauses.append((info["generation"], (now - started) * 1e3))

    gc.callbacks.append(collecting)
    signal.signal(signal.SIGUSR1, lambda *_: gc.collect())
    atexit.register(lambda: file.write_text(json.dumps(pauses)))


if __name__ == "__main__":
    record(Path(sys.argv.pop(1)))
    main()
