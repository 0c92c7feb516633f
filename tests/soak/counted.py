"""memsvc that writes what it holds on SIGUSR1: `python -m tests.soak.counted FILE serve ...`."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
from pathlib import Path

from memsvc.cli import main


def count_on_signal(file: Path) -> None:
    """From now on write what is held to a file, whenever SIGUSR1 comes.

    `tasks` are those that are not done; `objects` those that the collector looks at; the others are how many references
    there are. Native code that takes away references which are not its own ends the interpreter when it has the last.
    """

    def write(*_: object) -> None:
        objects = gc.get_objects()
        held = {
            "tasks": sum(1 for each in objects if isinstance(each, asyncio.Task) and not each.done()),
            "objects": len(objects),
            "none": sys.getrefcount(None),
            "true": sys.getrefcount(True),
            "false": sys.getrefcount(False),
        }
        unfinished = file.with_suffix(".new")
        unfinished.write_text(json.dumps(held))
        os.replace(unfinished, file)

    signal.signal(signal.SIGUSR1, write)


if __name__ == "__main__":
    count_on_signal(Path(sys.argv.pop(1)))
    main()
