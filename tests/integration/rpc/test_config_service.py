"""The configuration of a namespace and its agents, through gRPC."""

from __future__ import annotations

import json
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from rpc_harness import Harness, failing, new_request_id

from memsvc.v1 import common_pb2
from memsvc.v1 import config_pb2 as pb

SETTINGS = pb.MemorySettings(
    mode=common_pb2.LEARNING_MODE_BOTH,
    profile=pb.LayerSettings(schema_json='{"properties": {"role": {"type": "string"}}}', stated_only=True),
    policy=pb.LayerSettings(shown=False, prompt="Only wishes about code."),
    capture_instructions="Nothing of children.",
    operations=pb.OperationSettings(delete=False),
)
PATHS = ["mode", "profile", "policy.shown", "policy.prompt", "capture_instructions", "operations.delete"]


async def update(server: Harness, settings: pb.MemorySettings, paths: list[str], **rest: Any) -> Any:
    return await server.configs.UpdateMemoryConfig(
        pb.UpdateMemoryConfigRequest(settings=settings, update_mask=FieldMask(paths=paths), **rest)
    )


async def get(server: Harness, **request: Any) -> Any:
    return await server.configs.GetMemoryConfig(pb.GetMemoryConfigRequest(**request))


async def test_nothing_configured_is_the_default(each_server: Harness) -> None:
    reply = await get(each_server)
    assert (reply.config.namespace, reply.config.etag, reply.config.config_revision) == ("default", "", 0)
    assert reply.config.settings == pb.MemorySettings()
    in_force = reply.in_force
    assert in_force.enabled
    assert in_force.mode == common_pb2.LEARNING_MODE_AUTOMATIC
    for layer in (in_force.profile, in_force.policy, in_force.knowledge, in_force.feedback):
        assert layer == pb.LayerSettings(
            learned=True, shown=True, schema_json="", prompt="", capture_instructions="", stated_only=False
        )
    operations = in_force.operations
    assert (operations.add, operations.update, operations.delete, operations.clear) == (True, True, True, False)


async def test_an_update_sets_what_its_mask_names(each_server: Harness) -> None:
    updated = await update(each_server, SETTINGS, PATHS)
    assert updated.config.settings == SETTINGS
    assert updated.config.config_revision == 1
    read = await get(each_server)
    assert read.config == updated.config
    assert read.in_force == updated.in_force
    assert read.in_force.policy.learned
    assert not read.in_force.policy.shown
    again = await update(each_server, pb.MemorySettings(enabled=False), ["enabled", "policy.prompt"])
    assert again.config.settings.enabled is False
    assert not again.config.settings.policy.HasField("prompt")
    assert again.config.settings.policy.HasField("shown")
    assert again.config.settings.mode == common_pb2.LEARNING_MODE_BOTH
    whole = await update(each_server, pb.MemorySettings(profile=pb.LayerSettings(shown=False)), ["*"])
    assert whole.config.settings == pb.MemorySettings(profile=pb.LayerSettings(shown=False))
    assert whole.config.config_revision == 3


async def test_an_agent_has_what_it_says_itself_and_the_rest_from_its_namespace(each_server: Harness) -> None:
    await update(each_server, SETTINGS, PATHS)
    said = pb.MemorySettings(policy=pb.LayerSettings(shown=True), operations=pb.OperationSettings(clear=True))
    reply = await update(each_server, said, ["policy.shown", "operations"], agent_id="coder")
    assert reply.config.settings == said
    assert reply.in_force.policy.shown
    assert reply.in_force.policy.prompt == "Only wishes about code."
    assert (reply.in_force.operations.clear, reply.in_force.operations.delete) == (True, False)
    other = await get(each_server, agent_id="writer")
    assert other.config.settings == pb.MemorySettings()
    assert not other.in_force.policy.shown
    elsewhere = await get(each_server, namespace="elsewhere", agent_id="coder")
    assert elsewhere.in_force.mode == common_pb2.LEARNING_MODE_AUTOMATIC
    assert elsewhere.revision == 0


async def test_an_etag_guards_and_a_repeat_changes_nothing_again(each_server: Harness) -> None:
    request_id = new_request_id()
    first = await update(each_server, pb.MemorySettings(enabled=False), ["enabled"], request_id=request_id)
    same = await update(each_server, pb.MemorySettings(enabled=False), ["enabled"], request_id=request_id)
    assert same.config == first.config
    stale = first.config.etag
    second = await update(each_server, pb.MemorySettings(enabled=True), ["enabled"], etag=stale)
    assert second.config.etag != stale
    failure = await failing(update(each_server, pb.MemorySettings(), ["mode"], etag=stale))
    assert (failure.code, failure.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    failure = await failing(update(each_server, pb.MemorySettings(), ["mode"], request_id=request_id))
    assert failure.reason == "REQUEST_ID_REUSED"
    would = await update(
        each_server, pb.MemorySettings(mode=common_pb2.LEARNING_MODE_OFF), ["mode"], validate_only=True
    )
    assert would.in_force.mode == common_pb2.LEARNING_MODE_OFF
    assert (await get(each_server)).config == second.config


@pytest.mark.parametrize(
    ("settings", "paths", "field"),
    [
        (pb.MemorySettings(), [], "update_mask"),
        (pb.MemorySettings(), ["*", "mode"], "update_mask"),
        (pb.MemorySettings(), ["profile.schemaJson"], "update_mask.paths[0]"),
        (pb.MemorySettings(), ["mode", "layers"], "update_mask.paths[1]"),
        (pb.MemorySettings(mode=99), ["mode"], "settings.mode"),  # type: ignore[arg-type]
        (pb.MemorySettings(capture_instructions="x" * 8193), ["*"], "settings.capture_instructions"),
        (pb.MemorySettings(policy=pb.LayerSettings(prompt="a\0b")), ["*"], "settings.policy.prompt"),
        (pb.MemorySettings(profile=pb.LayerSettings(schema_json="{")), ["*"], "settings.profile.schema_json"),
        (
            pb.MemorySettings(
                feedback=pb.LayerSettings(schema_json=json.dumps({"properties": {"a": {"type": "int"}}}))
            ),
            ["*"],
            "settings.feedback.schema_json.properties.a.type",
        ),
    ],
)
async def test_what_is_wrong_is_named(
    server: Harness, settings: pb.MemorySettings, paths: list[str], field: str
) -> None:
    failure = await failing(update(server, settings, paths))
    assert (failure.code, failure.fields) == (grpc.StatusCode.INVALID_ARGUMENT, (field,))
    assert (await get(server)).revision == 0


async def test_the_reserved_user_is_no_user(each_server: Harness) -> None:
    await update(each_server, SETTINGS, PATHS)
    from memsvc.v1 import admin_pb2

    assert list((await each_server.admin.ListUsers(admin_pb2.ListUsersRequest())).user_ids) == []
