from __future__ import annotations

import pytest
from fake_memory_service import FakeMemoryService, Running

from memsvc.v1 import extraction_pb2, memory_pb2
from memsvc_client import (
    Accepted,
    AsyncMemoryClient,
    Changed,
    Committed,
    Completed,
    DeadlineExceeded,
    ExtractionEvent,
    ExtractionFailed,
    ExtractionState,
    Failed,
    MemoryClient,
    Progress,
    Proposed,
    Unavailable,
    User,
)
from memsvc_client.calls import Subject
from memsvc_client.extraction_calls import ExtractionStream, extract
from memsvc_client.streams import LEG_SECONDS, RECONNECT_SECONDS


def event(number: int, **what: object) -> extraction_pb2.ExtractionEvent:
    token = f"t{number}" if number else ""
    return extraction_pb2.ExtractionEvent(number=number, resume_token=token, **what)  # type: ignore[arg-type]


EXTRACTION = extraction_pb2.Extraction(extraction_id="x-1", state=3)
ACCEPTED = event(1, accepted=extraction_pb2.ExtractionAccepted(extraction=EXTRACTION))
COMMITTED = event(2, committed=extraction_pb2.ExtractionCommitted(commit=memory_pb2.Commit(revision=4)))
COMPLETED = event(3, completed=extraction_pb2.ExtractionCompleted(extraction=EXTRACTION))
FAILED = event(2, failed=extraction_pb2.ExtractionFailed(state=4, reason="MODEL_REFUSED", detail="it would not"))
HEARTBEAT = event(0, heartbeat=extraction_pb2.ExtractionHeartbeat())


def progress(attempt: int) -> extraction_pb2.ExtractionEvent:
    return event(0, progress=extraction_pb2.ExtractionProgress(attempt=attempt, state=2))


def proposed(attempt: int) -> extraction_pb2.ExtractionEvent:
    return event(
        0, proposed=extraction_pb2.ExtractionProposed(attempt=attempt, kind=1, memory=memory_pb2.Memory(text="Skis"))
    )


def numbers(events: list[ExtractionEvent]) -> list[int]:
    return [each.number for each in events if isinstance(each, (Accepted, Committed, Failed, Completed))]


def test_learning_can_be_watched(sarah: User, service: FakeMemoryService) -> None:
    service.events = [ACCEPTED, HEARTBEAT, progress(1), proposed(1), COMMITTED, COMPLETED]
    events = list(sarah.extract([("user", "I ski")]))

    assert [type(each) for each in events] == [Accepted, Progress, Proposed, Committed, Completed]
    assert isinstance(events[2], Proposed)
    assert events[2].memory.memory == "Skis"


def test_learning_answers_the_commit(sarah: User, service: FakeMemoryService) -> None:
    service.events = [ACCEPTED, COMMITTED, COMPLETED]
    assert sarah.learn("My name is Sarah and I ski").revision == 4
    sent = service.received("ExtractMemories")[0].request
    assert sent.messages.messages[0].parts[0].text.text == "My name is Sarah and I ski"
    assert sent.agent_id == "support"


def test_learning_that_fails_raises_why(sarah: User, service: FakeMemoryService) -> None:
    service.events = [ACCEPTED, FAILED, COMPLETED]
    with pytest.raises(ExtractionFailed) as raised:
        sarah.learn("I ski")
    error = raised.value
    assert (error.reason, error.message, error.extraction_id) == ("MODEL_REFUSED", "it would not", "x-1")
    assert error.state is ExtractionState.FAILED


@pytest.mark.parametrize("cuts", [[0], [1], [2], [3], [4], [0, 0, 0], [1, 0, 1, 1], [2, 2, 2]])
def test_a_broken_stream_loses_and_doubles_no_stored_event(
    sarah: User, service: FakeMemoryService, cuts: list[int]
) -> None:
    service.events = [ACCEPTED, progress(1), COMMITTED, COMPLETED]
    service.faults.cut_streams_after = list(cuts)
    events = list(sarah.extract("I ski"))

    assert numbers(events) == [1, 2, 3]
    assert len({call.request.request_id for call in service.received("ExtractMemories")}) == 1


def test_hints_of_an_attempt_that_is_over_are_left_out(sarah: User, service: FakeMemoryService) -> None:
    service.events = [ACCEPTED, progress(1), progress(2), proposed(1), progress(2), COMMITTED, COMPLETED]
    hints = [each.attempt for each in sarah.extract("I ski") if isinstance(each, (Progress, Proposed))]
    assert hints == [1, 2, 2]


def test_an_extraction_is_taken_up_after_an_event_that_somebody_kept(sarah: User, service: FakeMemoryService) -> None:
    service.events = [ACCEPTED, COMMITTED, COMPLETED]
    first = next(sarah.extract("I ski"))
    assert isinstance(first, Accepted)
    rest = sarah.extractions.watch(first.extraction.extraction_id, resume_token=first.resume_token)
    assert numbers(list(rest)) == [2, 3]


def test_a_stream_that_ends_too_early_is_asked_for_the_rest(sarah: User, service: FakeMemoryService) -> None:
    service.events = [ACCEPTED, COMMITTED]
    events = sarah.extract("I ski")
    seen = [next(events), next(events)]
    service.events.append(COMPLETED)
    assert numbers([*seen, *events]) == [1, 2, 3]
    assert len(service.received("WatchExtraction")) >= 1


def test_changes_are_watched_over_a_broken_connection(sarah: User, service: FakeMemoryService) -> None:
    commits = [memory_pb2.Commit(revision=revision) for revision in (1, 2, 3)]
    service.watched = [
        memory_pb2.WatchMemoriesResponse(resume_token="t0", initial_done=memory_pb2.WatchInitialDone(revision=0)),
        *(memory_pb2.WatchMemoriesResponse(resume_token=f"t{each.revision}", commit=each) for each in commits),
        memory_pb2.WatchMemoriesResponse(resume_token="t4", erased=memory_pb2.WatchErased(revision=4)),
    ]
    service.faults.cut_streams_after = [2, 1]
    events = list(sarah.watch(send_initial=True))

    assert [each.commit.revision for each in events if isinstance(each, Changed)] == [1, 2, 3]
    assert [call.request.resume_token for call in service.received("WatchMemories")] == ["", "t1", "t2"]
    assert [call.request.send_initial for call in service.received("WatchMemories")] == [True, False, False]


def test_a_stream_looks_for_its_server_as_long_as_a_call_would(running: Running) -> None:
    nobody = running.target + ".gone"
    with MemoryClient(nobody, timeout_seconds=0.3) as client, pytest.raises(Unavailable):
        list(client.user("sarah").extract("I ski"))


def test_learning_that_takes_too_long_ends_by_its_timeout(sarah: User, service: FakeMemoryService) -> None:
    service.events = [ACCEPTED]
    with pytest.raises(DeadlineExceeded) as raised:
        sarah.learn("I ski", timeout=0.5)
    assert raised.value.metadata == {"extraction_id": "x-1"}


def test_a_stream_gives_up_when_nothing_was_heard_for_too_long() -> None:
    now = 0.0
    stream = ExtractionStream(Subject(user_id="sarah"), None, extraction_id="x-1", clock=lambda: now)
    stream.begin_leg()
    stream.take(extraction_pb2.WatchExtractionResponse(event=ACCEPTED))
    assert stream.retry_delay(Unavailable("cut"), 10) is not None
    now = RECONNECT_SECONDS - 5
    assert stream.retry_delay(Unavailable("cut"), 10) is not None
    now = RECONNECT_SECONDS
    assert stream.retry_delay(Unavailable("cut"), 10) is None


def test_a_silent_server_is_noticed_and_a_living_one_keeps_its_stream() -> None:
    now = 0.0
    stream = ExtractionStream(Subject(user_id="sarah"), None, extraction_id="x-1", clock=lambda: now)
    for _ in range(100):
        assert stream.begin_leg().timeout == LEG_SECONDS
        stream.take(extraction_pb2.WatchExtractionResponse(event=HEARTBEAT))
        now += LEG_SECONDS
        assert stream.retry_delay(DeadlineExceeded("leg"), 10) == 0.0
    stream.begin_leg()
    now += LEG_SECONDS
    assert stream.retry_delay(DeadlineExceeded("leg"), 10) is not None
    stream.begin_leg()
    now += LEG_SECONDS
    assert stream.retry_delay(DeadlineExceeded("leg"), 10) is None


def test_an_error_of_the_server_ends_a_stream(sarah: User, service: FakeMemoryService) -> None:
    stream = extract(Subject(user_id="sarah"), "I ski")
    stream.begin_leg()
    assert stream.retry_delay(ExtractionFailed("no"), 10) is None


async def test_an_async_stream_resumes_alike(running: Running) -> None:
    running.service.events = [ACCEPTED, progress(1), COMMITTED, COMPLETED]
    running.service.faults.cut_streams_after = [2, 0, 1]
    async with AsyncMemoryClient(running.target) as client:
        sarah = client.user("sarah")
        events = [each async for each in sarah.extract("I ski")]
        assert numbers(events) == [1, 2, 3]
        assert (await sarah.learn("I ski")).revision == 4
