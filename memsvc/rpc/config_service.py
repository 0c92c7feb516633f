"""ConfigService: from requests to use cases and back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from memsvc.application import Application
from memsvc.configuration import GivenRetention
from memsvc.errors import invalid
from memsvc.limits import MAX_FILTER_VALUES, check_id
from memsvc.rpc.calling import Context
from memsvc.rpc.fields import read_consistency, read_namespace, read_request, timestamp
from memsvc.rpc.settings import RETENTION_FIELDS, proto_config, proto_in_force, read_settings
from memsvc.settings.updating import PATHS, UpdateConfig
from memsvc.v1 import config_pb2 as pb

_RETENTION: Final = {f"retention.{field}": f"retention.{name}" for field, name in RETENTION_FIELDS.items()}
_PATHS: Final = {path: path for path in PATHS if not path.startswith("retention.")} | _RETENTION
"""What a mask may name, and what that is in `PATHS`."""


class ConfigService:
    """Serves memsvc.v1.ConfigService."""

    def __init__(self, application: Application) -> None:
        self._reader = application.settings_reader
        self._writer = application.config_writer

    async def get_memory_config(
        self, request: pb.GetMemoryConfigRequest, context: Context
    ) -> pb.GetMemoryConfigResponse:
        namespace, agent_id = read_namespace("namespace", request.namespace), request.agent_id
        check_id("agent_id", agent_id, required=False)
        read = await self._reader.read(namespace, read_consistency(request))
        return pb.GetMemoryConfigResponse(
            config=proto_config(namespace, read.settings.configured(agent_id)),
            in_force=proto_in_force(read.settings.of(agent_id)),
            revision=read.settings.revision,
            read_time=timestamp(read.time),
        )

    async def update_memory_config(
        self, request: pb.UpdateMemoryConfigRequest, context: Context
    ) -> pb.UpdateMemoryConfigResponse:
        namespace, agent_id = read_namespace("namespace", request.namespace), request.agent_id
        known = read_request(request)
        for name in ("agent_id", "etag"):
            check_id(name, getattr(request, name), required=False)
        paths = _read_mask(request.update_mask.paths)
        given = read_settings(request.settings)
        if agent_id and given.retention != GivenRetention():
            raise invalid("settings.retention", "is of a namespace only")
        command = UpdateConfig(agent_id, given, paths, request.etag, None if request.validate_only else known)
        if request.validate_only:
            configured = await self._writer.would_be(namespace, command)
        else:
            configured = await self._writer.update(namespace, command)
        settings = (await self._reader.of(namespace)).with_configured(configured)
        return pb.UpdateMemoryConfigResponse(
            config=proto_config(namespace, configured), in_force=proto_in_force(settings.of(agent_id))
        )


def _read_mask(paths: Sequence[str]) -> frozenset[str] | None:
    """Return what an update sets; None: all."""
    if not paths:
        raise invalid("update_mask", "must not be empty")
    if len(paths) > MAX_FILTER_VALUES:
        raise invalid("update_mask", f"must be at most {MAX_FILTER_VALUES} paths")
    if "*" in paths:
        if len(paths) > 1:
            raise invalid("update_mask", '"*" must be alone')
        return None
    for index, path in enumerate(paths):
        if path not in _PATHS:
            in_snake_case = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", path).lower()
            wrong = f"is named {in_snake_case} here" if in_snake_case in _PATHS else "is not a setting"
            raise invalid(f"update_mask.paths[{index}]", wrong)
    return frozenset(_PATHS[path] for path in paths)
