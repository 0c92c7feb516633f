"""A process in the environment of one peer: it does what a line of JSON tells it, and says how long that took.

    python -m bench.peers.worker agno

Answers go to what was its standard output; whatever a peer prints goes to its standard error.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, TextIO

from bench.peers.peer import PAGE, Operation, Peer, Place


def main(name: str, answers: TextIO) -> None:
    module = import_module(f"bench.peers.of_{name}")
    with ExitStack() as stack:
        work: Work | None = None
        for line in sys.stdin:
            command = json.loads(line)
            what = command.pop("do")
            if what == "open":
                stack.close()
                place = command.pop("place")
                peer = stack.enter_context(module.opened(Place(**{**place, "folder": Path(place["folder"])})))
                work = Work(peer, **command)
                versions = {package: metadata.version(package) for package in module.PACKAGES}
                answer: object = {"durability": peer.durability, "versions": versions}
            else:
                answer = getattr(work, what)(**command)
            answers.write(json.dumps(answer) + "\n")
            answers.flush()


class Work:
    """What is done with a peer: each method is a command."""

    def __init__(self, peer: Peer, user: str, texts: Sequence[str], questions: Sequence[str]) -> None:
        self.peer = peer
        self.user = user
        self._texts = texts
        self._ids: Sequence[str] = ()
        self._questions = itertools.cycle(questions)
        self._numbers = itertools.count()
        self._added: list[str] = []

    def fill(self) -> float:
        """Add all texts; return the seconds that it took."""
        began = time.perf_counter()
        self._ids = self.peer.fill(self.user, self._texts)
        return time.perf_counter() - began

    def check(self) -> None:
        """Look whether the peer does what will be timed. Raises AssertionError."""
        peer, user, text = self.peer, self.user, self._texts[7]
        assert peer.get(user, self._ids[7]) == text
        assert len(peer.list(user)) == PAGE
        assert peer.search(user, text)
        assert any(known in peer.context(user, text) for known in self._texts)
        added = peer.add(user, "The user keeps three goats in the garden")
        assert peer.get(user, added) == "The user keeps three goats in the garden"
        peer.remove(user, [added])
        peer.turn(user, "I like goats number 3.")
        peer.turn_without(user, "I like goats number 3.")
        self.settle()

    def measure(self, operation: str, seconds: float, most: int) -> Sequence[float]:
        """Do it for a while, once at least and `most` times at most; return what each took, in seconds."""
        call = self._calls()[Operation(operation)]
        taken: list[float] = []
        until = time.perf_counter() + seconds
        while len(taken) < most and (not taken or time.perf_counter() < until):
            prepared = call()
            began = time.perf_counter()
            prepared()
            taken.append(time.perf_counter() - began)
        if self._added:
            self.peer.remove(self.user, self._added)
            self._added.clear()
        return taken

    def write(self, writers: int, seconds: float) -> Mapping[str, Any]:
        """Let as many threads add memories, each to a user of its own; return adds a second, and how many failed."""
        began = time.perf_counter()

        def writer(number: int) -> tuple[int, int]:
            done = failed = 0
            for text in self._new_texts():
                try:
                    self.peer.add(f"writer-{number}", text)
                    done += 1
                except Exception:
                    failed += 1
                if time.perf_counter() >= began + seconds:
                    break
            return done, failed

        with ThreadPoolExecutor(writers) as threads:
            counts = list(threads.map(writer, range(writers)))
        taken = time.perf_counter() - began
        return {"rate": sum(done for done, _ in counts) / taken, "failed": sum(failed for _, failed in counts)}

    def settle(self) -> None:
        self.peer.settle(self.user)

    def _calls(self) -> Mapping[Operation, Callable[[], Callable[[], object]]]:
        """Return what makes the next call of each operation; arguments are made before the time is taken."""
        peer, user, new = self.peer, self.user, self._new_texts()

        def add() -> Callable[[], object]:
            text = next(new)
            return lambda: self._added.append(peer.add(user, text))

        def asking(ask: Callable[[str, str], object], given: Iterator[str]) -> Callable[[], Callable[[], object]]:
            def prepare() -> Callable[[], object]:
                argument = next(given)
                return lambda: ask(user, argument)

            return prepare

        # Neighbours in the database are not asked for one after the other.
        ids = itertools.cycle(self._ids[::7])
        said = (f"I like tea number {number}." for number in self._numbers)
        return {
            Operation.GET: asking(peer.get, ids),
            Operation.LIST: lambda: lambda: peer.list(user),
            Operation.SEARCH: asking(peer.search, self._questions),
            Operation.CONTEXT: asking(peer.context, self._questions),
            Operation.ADD: add,
            Operation.TURN: asking(peer.turn, said),
            Operation.TURN_WITHOUT: asking(peer.turn_without, said),
            Operation.ECHO: lambda: getattr(peer, "echo", lambda: None),
        }

    def _new_texts(self) -> Iterator[str]:
        """Yield texts that were not added before."""
        return (f"{text}, as of day {next(self._numbers)}" for text in itertools.cycle(self._texts))


if __name__ == "__main__":
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    main(sys.argv[1], answers)
