"""Calls on the configuration of a namespace, and of agents in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Unpack

from google.protobuf.field_mask_pb2 import FieldMask

from memsvc.v1 import config_pb2
from memsvc_client import rpcs
from memsvc_client.calls import Call, Subject, call
from memsvc_client.selection import Consistency, consistency_to_wire
from memsvc_client.settings import ConfigFields, MemorySettings, settings_of, written
from memsvc_client.shown import Shown
from memsvc_client.wire import request_id_or_new, time_of


@dataclass(frozen=True, slots=True, repr=False)
class MemoryConfig(Shown):
    """The configuration of a namespace, or of an agent in it."""

    namespace: str
    agent_id: str
    """Empty: the namespace's own."""
    settings: MemorySettings
    """What is configured here; None where it says nothing."""
    in_force: MemorySettings
    """What holds with it: of the agent, the namespace and the server."""
    etag: str
    """For the next update, to fail where another came first. Empty: nothing was ever configured."""
    config_revision: int
    """The revision of the namespace's configuration that last changed it."""
    update_time: datetime | None


def get(
    subject: Subject,
    *,
    agent_id: str = "",
    consistency: Consistency | None = None,
    timeout: float | None = None,
) -> Call[MemoryConfig]:
    """Get the configuration of the client's namespace, or of an agent in it."""
    request = config_pb2.GetMemoryConfigRequest(
        namespace=subject.namespace, agent_id=agent_id, consistency=consistency_to_wire(consistency)
    )
    return call(rpcs.GET_MEMORY_CONFIG, request, _config_of, timeout)


def update(
    subject: Subject,
    *,
    agent_id: str = "",
    etag: str = "",
    validate_only: bool = False,
    request_id: str | None = None,
    timeout: float | None = None,
    **fields: Unpack[ConfigFields],
) -> Call[MemoryConfig]:
    """Set what is named of the configuration of the client's namespace, or of an agent in it; None clears it.

        client.config.update(profile_schema=EngineerProfile, policies_prompt="...", enable_agentic_memory=True)

    It holds from the next call on. Raises Aborted where `etag` is no longer the configuration's.
    """
    settings, paths = written(fields)
    if not paths:
        raise ValueError("nothing is named to be set")
    request = config_pb2.UpdateMemoryConfigRequest(
        namespace=subject.namespace,
        agent_id=agent_id,
        settings=settings,
        update_mask=FieldMask(paths=paths),
        etag=etag,
        validate_only=validate_only,
        request_id=request_id_or_new(request_id),
    )
    return call(rpcs.UPDATE_MEMORY_CONFIG, request, _config_of, timeout)


def _config_of(reply: config_pb2.GetMemoryConfigResponse | config_pb2.UpdateMemoryConfigResponse) -> MemoryConfig:
    config = reply.config
    return MemoryConfig(
        namespace=config.namespace,
        agent_id=config.agent_id,
        settings=settings_of(config.settings),
        in_force=settings_of(reply.in_force),
        etag=config.etag,
        config_revision=config.config_revision,
        update_time=time_of(config, "update_time"),
    )
