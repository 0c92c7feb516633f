"""A memory service on dicts, over a real socket: what a client needs to be tested without the server.

It stores memories and runs, remembers request ids, answers errors with details, and breaks calls on demand. As a
program it stands in for `memsvc serve`, with the flags that a sidecar is started with.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import signal
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2

from memsvc.v1 import (
    admin_pb2,
    admin_pb2_grpc,
    common_pb2,
    context_pb2,
    context_pb2_grpc,
    extraction_pb2,
    extraction_pb2_grpc,
    memory_pb2,
    memory_pb2_grpc,
    session_pb2,
    session_pb2_grpc,
)


@dataclass
class Received:
    """A call as it came in."""

    method: str
    request: Any
    metadata: dict[str, Any]
    seconds_left: float


@dataclass
class Faults:
    """What goes wrong next."""

    unavailable: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """How often each method is still to fail, before it does anything."""
    not_taken: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """The same, as gRPC ends calls that a server had not taken yet as it stopped."""
    lose_reply: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """The same, after it did it."""
    limited: set[str] = field(default_factory=set)
    """Methods that are called more often than they may be."""
    hang: set[str] = field(default_factory=set)
    """Methods that do not answer until the caller has gone."""
    cut_streams_after: list[int] = field(default_factory=list)
    """For each leg of a stream: how many messages go through before it breaks."""


class FakeMemoryService(
    memory_pb2_grpc.MemoryServiceServicer,
    session_pb2_grpc.SessionServiceServicer,
    extraction_pb2_grpc.ExtractionServiceServicer,
    context_pb2_grpc.ContextServiceServicer,
    admin_pb2_grpc.AdminServiceServicer,
):
    """All services at once; state is kept per user."""

    def __init__(self) -> None:
        self.calls: list[Received] = []
        self.faults = Faults()
        self.events: list[extraction_pb2.ExtractionEvent] = []
        """What an extraction tells, stored events and hints in their order."""
        self.watched: list[memory_pb2.WatchMemoriesResponse] = []
        self._memories: dict[str, dict[str, memory_pb2.Memory]] = defaultdict(dict)
        self._runs: dict[str, list[session_pb2.Run]] = defaultdict(list)
        self._replies: dict[tuple[str, str], Any] = {}
        self._revision = 0
        self._lock = threading.Lock()

    def received(self, method: str) -> list[Received]:
        return [call for call in self.calls if call.method == method]

    def CreateMemory(self, request: Any, context: Any) -> Any:  # noqa: N802
        def write() -> Any:
            memory = memory_pb2.Memory()
            memory.CopyFrom(request.memory)
            held = self._memories[request.scope.user_id]
            memory.memory_id = memory.memory_id or f"m-{len(held) + 1}"
            memory.layer = memory.layer or 3
            if any(memory.key and (each.layer, each.key) == (memory.layer, memory.key) for each in held.values()):
                refuse(context, grpc.StatusCode.ALREADY_EXISTS, "KEY_TAKEN", "the key is taken", memory_id="m-1")
            self._put(request.scope, memory)
            return memory_pb2.CreateMemoryResponse(memory=memory, revision=self._revision)

        return self._once("CreateMemory", request, context, write)

    def BatchWriteMemories(self, request: Any, context: Any) -> Any:  # noqa: N802
        def write() -> Any:
            commit = memory_pb2.Commit(revision=self._revision + 1, request_id=request.request_id)
            for index, operation in enumerate(request.operations):
                if operation.HasField("create"):
                    memory = operation.create.memory
                    memory.memory_id = memory.memory_id or f"b-{index}"
                    self._put(request.scope, memory)
                    commit.changes.add(kind=1, after=memory, cause=1)
                elif operation.HasField("delete"):
                    before = self._memories[request.scope.user_id].pop(operation.delete.memory_id)
                    commit.changes.add(kind=3, before=before, cause=1)
            return memory_pb2.BatchWriteMemoriesResponse(commit=commit, revision=self._revision)

        return self._once("BatchWriteMemories", request, context, write)

    def GetMemory(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._note("GetMemory", request, context)
        return memory_pb2.GetMemoryResponse(memory=self._find(request, context), revision=self._revision)

    def UpdateMemory(self, request: Any, context: Any) -> Any:  # noqa: N802
        def write() -> Any:
            given = request.memory
            held = self._memories[request.scope.user_id]
            by_key = next((each for each in held.values() if each.key and each.key == given.key), None)
            memory = held.get(given.memory_id) or by_key
            if memory is None and request.allow_missing:
                memory = memory_pb2.Memory(memory_id=f"m-{len(held) + 1}", layer=given.layer, key=given.key)
            if memory is None:
                refuse(context, grpc.StatusCode.NOT_FOUND, "MEMORY_NOT_FOUND", f"no memory {given.memory_id}")
            if given.etag and given.etag != memory.etag:
                refuse(context, grpc.StatusCode.ABORTED, "ETAG_MISMATCH", "the memory changed", retry_seconds=0.5)
            for path in request.update_mask.paths:
                memory.ClearField(path)
            partial = memory_pb2.Memory()
            request.update_mask.MergeMessage(given, partial)
            memory.MergeFrom(partial)
            self._put(request.scope, memory)
            return memory_pb2.UpdateMemoryResponse(memory=memory, revision=self._revision)

        return self._once("UpdateMemory", request, context, write)

    def DeleteMemory(self, request: Any, context: Any) -> Any:  # noqa: N802
        def write() -> Any:
            if not request.allow_missing:
                self._find(request, context)
            self._memories[request.scope.user_id].pop(request.memory_id, None)
            self._revision += 1
            return memory_pb2.DeleteMemoryResponse(revision=self._revision)

        return self._once("DeleteMemory", request, context, write)

    def ListMemories(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._note("ListMemories", request, context)
        everything = list(self._memories[request.scope.user_id].values())
        wanted = set(request.filter.topics_any)
        chosen = [each for each in everything if not wanted or wanted & set(each.topics)]
        start = int(request.page_token or 0)
        end = start + request.page_size
        token = str(end) if end < len(chosen) else ""
        return memory_pb2.ListMemoriesResponse(memories=chosen[start:end], next_page_token=token)

    def SearchMemories(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._note("SearchMemories", request, context)
        words = request.query.lower().split()
        held = list(self._memories[request.scope.user_id].values())
        if request.method == memory_pb2.SEARCH_METHOD_LAST_N:
            scored = [(0.0, each) for each in reversed(held)]
        else:
            scored = [(float(sum(word in each.text.lower() for word in words)), each) for each in held]
            scored = sorted((pair for pair in scored if pair[0]), key=lambda pair: -pair[0])
        hits = [memory_pb2.SearchHit(memory=each, score=score) for score, each in scored[: request.top_k]]
        return memory_pb2.SearchMemoriesResponse(hits=hits, method=request.method or 1, revision=self._revision)

    def ClearMemories(self, request: Any, context: Any) -> Any:  # noqa: N802
        def write() -> Any:
            held = self._memories[request.scope.user_id]
            gone = [each for each in held if request.all or each in request.filter.memory_ids]
            for each in () if request.validate_only else gone:
                del held[each]
            return memory_pb2.ClearMemoriesResponse(cleared_count=len(gone), revision=self._revision)

        return self._once("ClearMemories", request, context, write)

    def GetUserMemory(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._note("GetUserMemory", request, context)
        held = self._memories[request.scope.user_id].values()
        document = json.dumps({"knowledge": {"notes": [each.text for each in held]}}) if held else ""
        return memory_pb2.GetUserMemoryResponse(document_json=document, memory_count=len(held), revision=7)

    def ListTopics(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._note("ListTopics", request, context)
        counts: dict[str, int] = defaultdict(int)
        for memory in self._memories[request.scope.user_id].values():
            for topic in memory.topics:
                counts[topic] += 1
        return memory_pb2.ListTopicsResponse(
            topics=[memory_pb2.TopicCount(topic=topic, count=count) for topic, count in counts.items()]
        )

    def ListMemoryChanges(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._note("ListMemoryChanges", request, context)
        return memory_pb2.ListMemoryChangesResponse(
            commits=[memory_pb2.Commit(revision=revision) for revision in range(self._revision, 0, -1)]
        )

    def WatchMemories(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: N802
        self._note("WatchMemories", request, context)
        seen = [each.resume_token for each in self.watched]
        start = seen.index(request.resume_token) + 1 if request.resume_token else 0
        yield from self._cut(self.watched[start:], context)

    def AppendRun(self, request: Any, context: Any) -> Any:  # noqa: N802
        def write() -> Any:
            runs = self._runs[request.scope.user_id]
            run = session_pb2.Run()
            run.CopyFrom(request.run)
            if any(each.run_id == run.run_id for each in runs):
                refuse(context, grpc.StatusCode.ALREADY_EXISTS, "RUN_EXISTS", "run_id: is taken")
            run.run_id = run.run_id or f"r-{len(runs) + 1}"
            run.index = len(runs) + 1
            runs.append(run)
            reply = session_pb2.AppendRunResponse(run_id=run.run_id, index=run.index, extraction_id="x-1", learning=2)
            if request.HasField("wait_for_learning"):
                reply.learning = common_pb2.LEARNING_STATE_LEARNED
                reply.commit.revision = 3
            return reply

        return self._once("AppendRun", request, context, write)

    def GetHistory(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._note("GetHistory", request, context)
        runs = [run for run in self._runs[request.scope.user_id] if run.session_id == request.session_id]
        messages = [message for run in runs[-request.last_runs :] for message in run.messages]
        return session_pb2.GetHistoryResponse(messages=messages, run_count=len(runs))

    def ListRuns(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._note("ListRuns", request, context)
        return session_pb2.ListRunsResponse(runs=self._runs[request.scope.user_id])

    def ListSessions(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._note("ListSessions", request, context)
        names = dict.fromkeys(run.session_id for run in self._runs[request.scope.user_id])
        return session_pb2.ListSessionsResponse(sessions=[session_pb2.Session(session_id=name) for name in names])

    def DeleteSession(self, request: Any, context: Any) -> Any:  # noqa: N802
        def write() -> Any:
            runs = self._runs[request.scope.user_id]
            kept = [run for run in runs if run.session_id != request.session_id]
            self._runs[request.scope.user_id] = kept
            return session_pb2.DeleteSessionResponse(deleted_run_count=len(runs) - len(kept))

        return self._once("DeleteSession", request, context, write)

    def CompileContext(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._note("CompileContext", request, context)
        held = self._memories[request.scope.user_id]
        if request.etag == "e-1":
            return context_pb2.CompileContextResponse(unchanged=True, etag="e-1")
        text = "".join(f"{memory.text}\n" for memory in held.values())
        sections = [context_pb2.ContextSection(layer=3, text=text, stable=True)]
        return context_pb2.CompileContextResponse(text=text, sections=sections, etag="e-1", memory_ids=list(held))

    def ExtractMemories(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: N802
        self._note("ExtractMemories", request, context)
        replies = [extraction_pb2.ExtractMemoriesResponse(event=event) for event in self.events]
        yield from self._cut(replies, context)

    def WatchExtraction(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: N802
        """Stored events after the token, and all hints: as a server that tells some things again."""
        self._note("WatchExtraction", request, context)
        tokens = [event.resume_token for event in self.events if event.number]
        after = tokens.index(request.resume_token) + 1 if request.resume_token else 0
        events = [event for event in self.events if not event.number or event.number > after]
        yield from self._cut([extraction_pb2.WatchExtractionResponse(event=event) for event in events], context)

    def GetExtraction(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._note("GetExtraction", request, context)
        extraction = extraction_pb2.Extraction(extraction_id=request.extraction_id, state=3, kind=99)
        return extraction_pb2.GetExtractionResponse(extraction=extraction)

    def GetStats(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._note("GetStats", request, context)
        count = len(self._memories[request.scope.user_id])
        layers = [admin_pb2.LayerCount(layer=3, count=count)]
        return admin_pb2.GetStatsResponse(memory_count=count, layers=layers, memory_quota=10_000)

    def EraseUser(self, request: Any, context: Any) -> Any:  # noqa: N802
        def write() -> Any:
            erased = len(self._memories.pop(request.scope.user_id, {}))
            return admin_pb2.EraseUserResponse(erased_memory_count=erased, revision=self._revision)

        return self._once("EraseUser", request, context, write)

    def ListUsers(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._note("ListUsers", request, context)
        return admin_pb2.ListUsersResponse(user_ids=sorted(self._memories))

    def GetServerInfo(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._note("GetServerInfo", request, context)
        return admin_pb2.GetServerInfoResponse(version=str(os.getpid()), driver="fake")

    def _put(self, scope: Any, memory: memory_pb2.Memory) -> None:
        self._revision += 1
        memory.etag = f"e{self._revision}"
        memory.scope.CopyFrom(scope)
        memory.update_time.GetCurrentTime()
        self._memories[scope.user_id][memory.memory_id] = memory

    def _find(self, request: Any, context: Any) -> memory_pb2.Memory:
        for memory in self._memories[request.scope.user_id].values():
            by_key = (memory.layer, memory.key) == (request.address.layer, request.address.key)
            if memory.memory_id == request.memory_id or (by_key and memory.key):
                return memory
        return refuse(context, grpc.StatusCode.NOT_FOUND, "MEMORY_NOT_FOUND", f"no memory {request.memory_id}")

    def _once(self, method: str, request: Any, context: Any, write: Any) -> Any:
        """Do a write the first time its request id comes, and answer the same again after that."""
        self._note(method, request, context)
        with self._lock:
            key = (method, request.request_id)
            if key not in self._replies:
                self._replies[key] = write()
        if self.faults.lose_reply[method]:
            self.faults.lose_reply[method] -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "the reply was lost")
        return self._replies[key]

    def _note(self, method: str, request: Any, context: Any) -> None:
        kept = type(request)()
        kept.CopyFrom(request)
        metadata = dict(context.invocation_metadata())
        self.calls.append(Received(method, kept, metadata, context.time_remaining() or 0.0))
        if method in self.faults.hang:
            gone = threading.Event()
            if context.add_callback(gone.set):
                gone.wait()
        if self.faults.unavailable[method]:
            self.faults.unavailable[method] -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        if method in self.faults.limited:
            refuse(context, grpc.StatusCode.RESOURCE_EXHAUSTED, "LIMIT_REACHED", "2 calls a second", retry_seconds=0.5)
        if self.faults.not_taken[method]:
            self.faults.not_taken[method] -= 1
            context.abort(grpc.StatusCode.CANCELLED, "CANCELLED")

    def _cut(self, replies: list[Any], context: Any) -> Iterator[Any]:
        after = self.faults.cut_streams_after.pop(0) if self.faults.cut_streams_after else None
        yield from replies[:after]
        if after is not None:
            context.abort(grpc.StatusCode.UNAVAILABLE, "the stream was cut")


def refuse(
    context: Any, code: grpc.StatusCode, reason: str, message: str, *, retry_seconds: float = 0.0, **metadata: str
) -> Any:
    """End the call with a status and its details."""
    status = status_pb2.Status(code=code.value[0], message=message)
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason=reason, domain="memsvc", metadata=metadata))
    violation = error_details_pb2.BadRequest.FieldViolation(field="memory.key", description=message)
    status.details.add().Pack(error_details_pb2.BadRequest(field_violations=[violation]))
    if retry_seconds:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(int(retry_seconds * 1000))
        status.details.add().Pack(retry)
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    return context.abort(code, message)


@dataclass(frozen=True)
class Running:
    """A service that is being served, and where."""

    service: FakeMemoryService
    target: str


def start(service: FakeMemoryService, address: str) -> tuple[grpc.Server, int]:
    """Serve on an address; returns the server and its port, where it has one."""
    server = grpc.server(futures.ThreadPoolExecutor(8))
    memory_pb2_grpc.add_MemoryServiceServicer_to_server(service, server)
    session_pb2_grpc.add_SessionServiceServicer_to_server(service, server)
    extraction_pb2_grpc.add_ExtractionServiceServicer_to_server(service, server)
    context_pb2_grpc.add_ContextServiceServicer_to_server(service, server)
    admin_pb2_grpc.add_AdminServiceServicer_to_server(service, server)
    port = server.add_insecure_port(address)
    server.start()
    return server, port


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("command")
    parser.add_argument("--storage-url", required=True)
    parser.add_argument("--listen", required=True)
    parser.add_argument("--ready-file", type=Path, required=True)
    parser.add_argument("--exit-when-unlocked", type=Path, required=True)
    parser.add_argument("--fail-with")
    given = parser.parse_args()
    if given.fail_with:
        sys.exit(given.fail_with)
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    with Path(given.storage_url.removeprefix("sqlite:///")).open("a") as starts:
        starts.write(f"{os.getpid()}\n")
    service = FakeMemoryService()
    extraction = extraction_pb2.Extraction(extraction_id="x-1", state=3)
    accepted, completed = (
        extraction_pb2.ExtractionAccepted(extraction=extraction),
        extraction_pb2.ExtractionCompleted(extraction=extraction),
    )
    service.events = [
        extraction_pb2.ExtractionEvent(number=1, resume_token="t1", accepted=accepted),
        extraction_pb2.ExtractionEvent(number=2, resume_token="t2", completed=completed),
    ]
    server, _ = start(service, given.listen)
    given.ready_file.write_text(given.listen)
    with given.exit_when_unlocked.open("a") as users:
        while not stopping.wait(0.05):
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                continue
        server.stop(1).wait()


if __name__ == "__main__":
    main()
