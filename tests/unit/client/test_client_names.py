"""The client says what the API says, and keeps all that a message holds."""

from __future__ import annotations

from memsvc.v1 import reason_pb2
from memsvc_client import Media, ProviderPart, Reason, ToolResult, create
from memsvc_client import memory_calls as calls
from memsvc_client.calls import Subject
from memsvc_client.message import history_of, message_of, messages_to_wire

SARAH = Subject(user_id="sarah")


def test_every_reason_of_the_protos_is_a_constant() -> None:
    described = reason_pb2.DESCRIPTOR.enum_types_by_name["Reason"].values
    assert [f"REASON_{reason}" for reason in Reason] == [value.name for value in described][1:]


def test_a_tools_answer_may_hold_images_and_parts_of_a_provider() -> None:
    shown = {"type": "image_url", "image_url": {"url": "https://example.com/snow.png"}}
    answer = {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "cold"}, shown, {"type": "x"}]}
    wire = messages_to_wire([answer])
    (part,) = message_of(wire[0]).parts

    assert part == ToolResult("c1", ("cold", Media(uri="https://example.com/snow.png"), ProviderPart('{"type":"x"}')))
    assert part.text == "cold"
    assert history_of(wire) == [answer]


def test_a_tools_answer_of_one_text_is_a_text() -> None:
    wire = messages_to_wire([{"role": "tool", "tool_call_id": "c1", "content": "cold"}])

    assert message_of(wire[0]).parts == (ToolResult("c1", "cold"),)


def test_a_write_may_expect_that_there_is_nothing_yet() -> None:
    for expected, is_set in ((None, False), (0, True), (7, True)):
        for call in (
            calls.add(SARAH, "Skis", expected_revision=expected),
            calls.delete(SARAH, "m1", expected_revision=expected),
            calls.batch(SARAH, [create("Skis")], expected_revision=expected),
        ):
            assert call.request.HasField("expected_revision") is is_set


def test_changes_are_asked_for_by_id_by_place_or_all() -> None:
    assert calls.changes(SARAH).request.WhichOneof("target") is None
    assert calls.changes(SARAH, "m1").request.memory_id == "m1"
    assert calls.changes(SARAH, layer="profile", key="role").request.address.key == "role"
