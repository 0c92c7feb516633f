"""How much the garbage collector looks at while a server serves: each look is a pause for everybody."""

from __future__ import annotations

import subprocess
import sys

_MAKES_OBJECTS_THAT_STAY = """
import gc
from memsvc.server import tune_interpreter

looked_at = []

def note(phase, info):
    if phase == "start":
        looked_at.append(sum(len(gc.get_objects(generation=each)) for each in range(info["generation"] + 1)))

tune_interpreter()
gc.callbacks.append(note)
kept = [[] for _ in range(1_000_000)]
print(len(looked_at), max(looked_at))
"""


def test_no_collection_looks_at_much_however_much_there_is() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _MAKES_OBJECTS_THAT_STAY], check=True, stdout=subprocess.PIPE, text=True
    )
    collections, most = map(int, ran.stdout.split())
    assert collections > 10
    assert most <= 20_000
