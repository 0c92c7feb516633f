"""memsvc that writes how many tasks it has on SIGUSR1: `python -m tests.soak.counted FILE serve ...`."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from pathlib import Path

from memsvc.cli import main


def count_on_signal(file: Path) -> None:
    """From now on write the number of tasks that are not done to a file, whenever SIGUSR1 comes."""

    def write(*_: object) -> None:
        count = sum(1 for each in gc.get_objects() if isinstance(each, asyncio.Task) and not each.done())
        unfinished = file.with_suffix(".new")
        unfinished.write_text(str(count))
        os.replace(unfinished, file)

    signal.signal(signal.SIGUSR1, write)


if __name__ == "__main__":
    count_on_signal(Path(sys.argv.pop(1)))
    main()
