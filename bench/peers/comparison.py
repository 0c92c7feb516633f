"""Runs the comparison: servers, a process for each subject, rounds in turn."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench import sentences
from bench.environments import ROOT, integrations_tool
from bench.peers.peer import Operation, Place
from bench.peers.results import FILL, LEFT_OUT, Known, Results, Row
from bench.peers.subjects import SUBJECTS, Subject
from bench.processes import echo, memsvc
from bench.scripted_model import is_of_the_engine, scripted_model
from memsvc.testing.replies import Received
from tests.servers.postgres import Postgres

ENVIRONMENTS: Final = Path(__file__).parent / "environments"
WRITERS: Final = (1, 4, 16)
WRITERS_AT: Final = 1_000
"""So many memories are known of somebody else while writers write."""
_FIGURES: Final = (Operation.GET, Operation.LIST, Operation.SEARCH, Operation.CONTEXT, Operation.ADD, Operation.ECHO)
_MOST: Final = {Operation.ADD: 20, Operation.TURN: 4, Operation.TURN_WITHOUT: 4}
"""So many in a round: what is added is taken away after it, and what turns teach is little beside what is known."""
_MOST_READS: Final = 300
_QUESTIONS: Final = 4_000
"""More than are asked in all rounds."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured."""

    sizes: Sequence[int] = (100, 1_000, 10_000)
    rounds: int = 5
    seconds: float = 0.15
    """Of a round."""
    write_seconds: float = 0.5
    fill_seconds: float = 90.0
    """A subject that would need longer to be filled is left out, and said to be."""


SHORT: Final = Extent(sizes=(100, 1_000), rounds=3, seconds=0.08, write_seconds=0.3)


def compare(peers: Sequence[str], extent: Extent, scratch: Path) -> Iterator[str | Results]:
    """Measure memsvc and these peers; yield lines that say what goes on, and the results after each size."""
    subjects = [each for each in SUBJECTS if each.peer in ("memsvc", *peers)]
    machine = {"cores": os.cpu_count(), "load": os.getloadavg()[0]}
    with ExitStack() as stack:
        model_url, requests = stack.enter_context(scripted_model())
        server = _Servers(scratch, model_url, stack)
        workers = everybody = [stack.enter_context(_worker(subject, requests)) for subject in subjects]
        results = Results({**machine, **server.versions})
        for size in extent.sizes:
            texts = [memory.text for memory in sentences.memories(size, seed=size)]
            yield f"{size:,} memories: filling"
            workers = [worker for worker in workers if not _left_out(worker, results, size, extent)]
            for worker in workers:
                worker.open(server.place(worker.subject, size), texts)
            results.rows += _filled(workers, size)
            yield f"{size:,} memories: measuring"
            rows = list(_measured(workers, size, extent))
            if size == WRITERS_AT:
                rows += _written(workers, extent)
            results.rows += _with_ratios(rows)
            known = {each.subject.key: each.known for each in everybody if each.known}
            results.subjects = {key: replace(said, measured=date.today().isoformat()) for key, said in known.items()}
            yield results


class _Servers:
    """The databases, the servers of memsvc and the echo."""

    def __init__(self, scratch: Path, model_url: str, stack: ExitStack) -> None:
        self._scratch = scratch
        self._model_url = model_url
        self._postgres = Postgres(extension="vector")
        stack.callback(self._postgres.close)
        self._postgres.start()
        self._echo = stack.enter_context(echo())
        urls = {"sqlite": f"sqlite:///{scratch}/memsvc.db", "postgres": self._database("memsvc")}
        engine = ("--engine", "openai", "--openai-base-url", model_url, "--openai-api-key", "none")
        # What is said is learned at once, beside what is measured; the scripted model writes no summaries.
        how = ("--quiet-seconds", "0", "--summarize-every-runs", "0", "--memory-quota", "1000000", *engine)
        tcp = ("--listen", "127.0.0.1:0", "--insecure")
        self._memsvc = {
            database: stack.enter_context(memsvc(scratch, "--storage-url", url, *how, *tcp))
            for database, url in urls.items()
        }

    @property
    def versions(self) -> Mapping[str, str]:
        vector = "SELECT default_version FROM pg_available_extensions WHERE name = 'vector'"
        return {"PostgreSQL": self._postgres.sql("SHOW server_version"), "pgvector": self._postgres.sql(vector)}

    def place(self, subject: Subject, size: int) -> Place:
        """Return an empty place; of memsvc it is the same for all sizes, which are users there."""
        folder = self._scratch / f"{subject.key}-{size}"
        folder.mkdir()
        place = Place(folder, self._model_url)
        if subject.peer == "memsvc":
            server = self._memsvc[subject.database]
            target = server.tcp_address if subject.over_tcp else server.address
            return replace(place, target=target, echo_target=self._echo.address)
        if subject.database == "postgres":
            return replace(place, postgres_url=self._database(f"{subject.peer}_{size}"))
        return place

    def _database(self, name: str) -> str:
        self._postgres.sql(f"CREATE DATABASE {name}")
        return f"{self._postgres.url.rpartition('/')[0]}/{name}"


@dataclass(slots=True)
class _Worker:
    """The process of a subject."""

    subject: Subject
    process: subprocess.Popen[str]
    requests: list[Received]
    asked: list[Received] = field(default_factory=list)
    """What the model was asked in turns."""
    turns: int = 0
    known: Known | None = None

    def open(self, place: Place, texts: Sequence[str]) -> None:
        user = f"{self.subject.key}-{len(texts)}"
        questions = sentences.questions(_QUESTIONS, seed=5)
        given = {"place": {**asdict(place), "folder": str(place.folder)}}
        said = self.ask("open", **given, user=user, texts=texts, questions=questions)
        self.known = Known(said["durability"], said["versions"])

    def ask(self, what: str, **arguments: object) -> Any:
        self.tell(what, **arguments)
        return self.answer()

    def tell(self, what: str, **arguments: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": what, **arguments}) + "\n")
        self.process.stdin.flush()

    def answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.subject.key} ended; what it wrote is above")
        return json.loads(line)

    def measure(self, operation: Operation, seconds: float) -> float:
        """Return the median of a round, in seconds; nothing goes on in the background after it."""
        self.requests.clear()
        most = _MOST.get(operation, _MOST_READS)
        taken: list[float] = self.ask("measure", operation=operation, seconds=seconds, most=most)
        self.ask("settle")
        if operation is Operation.TURN:
            self.asked += self.requests
            self.turns += len(taken)
        return median(taken)

    def asking(self) -> Mapping[str, Any]:
        """Return what a turn has asked the model, and forget it."""
        background = [is_of_the_engine(request) for request in self.asked]
        answer = {
            "model_calls_waited_for": background.count(False) / self.turns,
            "model_calls_later": background.count(True) / self.turns,
            "model_kilobytes": sum(request.body_bytes for request in self.asked) / self.turns / 1e3,
        }
        self.asked.clear()
        self.turns = 0
        return answer


@contextmanager
def _worker(subject: Subject, requests: list[Received]) -> Iterator[_Worker]:
    command = [python_of(subject.peer), "-m", "bench.peers.worker", subject.peer]
    given = {**os.environ, "PYTHONWARNINGS": "ignore", "PYTHONDONTWRITEBYTECODE": "1", "AGNO_TELEMETRY": "false"}
    # The folder has no module that stands in the way of a peer's, as that of this file has.
    process = subprocess.Popen(command, cwd=ROOT, env=given, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield _Worker(subject, process, requests)
    finally:
        process.terminate()
        process.wait()


def python_of(peer: str) -> str:
    """Return the Python of a peer's environment: this one is memsvc's."""
    if peer == "memsvc":
        return sys.executable
    tool = integrations_tool()
    tool.CACHE.mkdir(parents=True, exist_ok=True)
    return str(tool.environment(tool.uv_command(), f"peer-{peer}", ENVIRONMENTS / peer / "pins.txt"))


def _left_out(worker: _Worker, results: Results, size: int, extent: Extent) -> bool:
    """Return whether filling would take too long, by how long it took before; then note it."""
    seconds = [row.seconds * size / row.memories for row in results.rows if row.place[:2] == (worker.subject.key, FILL)]
    if too_long := bool(seconds) and seconds[-1] > extent.fill_seconds:
        results.rows.append(Row(worker.subject.key, LEFT_OUT, size, seconds=seconds[-1]))
    return too_long


def _filled(workers: Sequence[_Worker], size: int) -> Sequence[Row]:
    """Fill all at once; look whether each does what it should."""
    for worker in workers:
        worker.tell("fill")
    rows = [Row(worker.subject.key, FILL, size, seconds=worker.answer()) for worker in workers]
    for worker in workers:
        worker.ask("check")
    return rows


def _measured(workers: Sequence[_Worker], size: int, extent: Extent) -> Iterator[Row]:
    for operation in _FIGURES:
        asked = [worker for worker in workers if operation is not Operation.ECHO or worker.subject is SUBJECTS[0]]
        for worker, rounds in zip(asked, _alternating(asked, [operation], extent), strict=True):
            yield Row(worker.subject.key, operation, size, seconds=median(each[operation] for each in rounds))
    turns = [Operation.TURN_WITHOUT, Operation.TURN]
    for worker, rounds in zip(workers, _alternating(workers, turns, extent), strict=True):
        added = median(each[Operation.TURN] - each[Operation.TURN_WITHOUT] for each in rounds)
        yield Row(worker.subject.key, "turn", size, seconds=added, **worker.asking())


def _alternating(
    workers: Sequence[_Worker], operations: Sequence[Operation], extent: Extent
) -> Sequence[Sequence[Mapping[Operation, float]]]:
    """Return the rounds of each worker, which take turns; the first one, in which all warm up, is left out."""
    rounds: list[list[Mapping[Operation, float]]] = [[] for _ in workers]
    for _ in range(extent.rounds + 1):
        for worker, measured in zip(workers, rounds, strict=True):
            measured.append({operation: worker.measure(operation, extent.seconds) for operation in operations})
    return [measured[1:] for measured in rounds]


def _written(workers: Sequence[_Worker], extent: Extent) -> Iterator[Row]:
    for writers in WRITERS:
        rounds: list[list[Mapping[str, Any]]] = [[] for _ in workers]
        for _ in range(extent.rounds):
            for worker, measured in zip(workers, rounds, strict=True):
                measured.append(worker.ask("write", writers=writers, seconds=extent.write_seconds))
        for worker, measured in zip(workers, rounds, strict=True):
            rate = median(each["rate"] for each in measured)
            failed = sum(each["failed"] for each in measured)
            yield Row(worker.subject.key, "write", WRITERS_AT, rate=rate, writers=writers, failed=failed)


def _with_ratios(rows: Sequence[Row]) -> list[Row]:
    """Divide by what memsvc took in the same run, on the same database."""
    found = {(row.subject, row.operation, row.memories, row.writers): row for row in rows}
    base_of = {subject.key: subject.base for subject in SUBJECTS}
    return [row.divided_by(found[(base_of[row.subject], row.operation, row.memories, row.writers)]) for row in rows]
