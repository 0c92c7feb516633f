from __future__ import annotations

import uuid

import grpc
import pytest
from fake_memory_service import FakeMemoryService

from memsvc_client import (
    Aborted,
    AlreadyExists,
    DeadlineExceeded,
    MemoryClient,
    MemoryServiceError,
    NotFound,
    Unavailable,
    Unimplemented,
    User,
)
from memsvc_client.errors import DETAILS_KEY, Unknown, error_from_status


def test_an_error_says_its_reason_fields_and_metadata(sarah: User) -> None:
    sarah.memories.add("Is an engineer", layer="profile", key="role")
    with pytest.raises(AlreadyExists) as raised:
        sarah.memories.add("Is a doctor", layer="profile", key="role")
    error = raised.value

    assert (error.code, error.reason) == (grpc.StatusCode.ALREADY_EXISTS, "KEY_TAKEN")
    assert [(each.field, each.description) for each in error.fields] == [("memory.key", "the key is taken")]
    assert error.metadata == {"memory_id": "m-1"}
    assert str(error) == "KEY_TAKEN: the key is taken"
    assert isinstance(error.__cause__, grpc.RpcError)


def test_an_error_says_when_to_come_back(sarah: User) -> None:
    memory_id = sarah.memories.add("Likes tea")
    with pytest.raises(Aborted) as raised:
        sarah.memories.update(memory_id, text="x", etag="old")
    assert raised.value.retry_after == 0.5


def test_what_is_not_there_and_what_is_not_offered(sarah: User) -> None:
    with pytest.raises(NotFound):
        sarah.memories.get("nothing")
    with pytest.raises(Unimplemented):
        sarah.session("s1")


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
def test_every_status_has_an_error_of_its_own(code: grpc.StatusCode) -> None:
    error = error_from_status(code, "why", None)
    assert isinstance(error, MemoryServiceError)
    assert error.code is code
    assert (type(error) is Unknown) == (code is grpc.StatusCode.UNKNOWN)


def test_details_that_cannot_be_read_do_not_hide_the_status() -> None:
    error = error_from_status(grpc.StatusCode.NOT_FOUND, "gone", [(DETAILS_KEY, b"\xff\xff\xff")])
    assert isinstance(error, NotFound)
    assert error.reason == ""


def test_a_write_whose_reply_was_lost_is_sent_again_with_its_request_id(
    sarah: User, service: FakeMemoryService
) -> None:
    service.faults.lose_reply["CreateMemory"] = 2
    sarah.memories.add("Likes tea")

    sent = [call.request.request_id for call in service.received("CreateMemory")]
    assert len(sent) == 3
    assert len(set(sent)) == 1
    assert uuid.UUID(sent[0])
    assert len(list(sarah.memories.list())) == 1


def test_a_large_run_is_sent_again_too(sarah: User, service: FakeMemoryService) -> None:
    service.faults.unavailable["AppendRun"] = 1
    sarah.append_run("s1", [("user", "x" * 250_000)] * 8)
    assert len(service.received("AppendRun")) == 2


def test_every_write_has_a_request_id_that_can_be_given(sarah: User, service: FakeMemoryService) -> None:
    mine = str(uuid.uuid4())
    memory_id = sarah.memories.add("Likes tea", request_id=mine)
    assert sarah.memories.add("Likes tea", request_id=mine) == memory_id
    sarah.memories.replace(memory_id, "Likes coffee")
    sarah.memories.delete(memory_id)
    sarah.append_run("s1", [("user", "Hi")])
    sarah.delete_session("s1")
    sarah.memories.clear(all=True)
    sarah.erase()

    ids = [call.request.request_id for call in service.calls]
    assert ids[:2] == [mine, mine]
    assert all(uuid.UUID(each) for each in ids)
    assert len(set(ids)) == len(ids) - 1


def test_only_unavailable_is_retried_and_not_for_ever(sarah: User, service: FakeMemoryService) -> None:
    with pytest.raises(NotFound):
        sarah.memories.get("nothing")
    assert len(service.received("GetMemory")) == 1

    service.faults.unavailable["GetStats"] = 100
    with pytest.raises(Unavailable):
        sarah.stats()
    assert len(service.received("GetStats")) == 5


def test_what_a_server_had_not_taken_as_it_stopped_is_sent_again(sarah: User, service: FakeMemoryService) -> None:
    service.faults.not_taken["CreateMemory"] = 2
    sarah.memories.add("Likes tea")
    assert len(service.received("CreateMemory")) == 3

    service.faults.not_taken["GetStats"] = 100
    with pytest.raises(Unavailable, match="stopped before it took the call"):
        sarah.stats()


def test_a_call_to_nobody_ends_as_unavailable(short_path: object) -> None:
    with MemoryClient(f"unix://{short_path}/nobody.sock") as client, pytest.raises(Unavailable) as raised:
        client.server_info()
    assert raised.value.reason == ""


def test_a_call_ends_by_its_deadline(sarah: User, service: FakeMemoryService) -> None:
    service.faults.hang.add("GetStats")
    with pytest.raises(DeadlineExceeded):
        sarah.stats(timeout=0.05)
