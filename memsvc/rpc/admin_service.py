"""AdminService: from requests to use cases and back."""

from __future__ import annotations

from typing import Final

from memsvc.access.caller import current_caller
from memsvc.application import Application
from memsvc.errors import invalid
from memsvc.limits import check_id, page_size
from memsvc.model import ImportMode
from memsvc.rpc.calling import Context
from memsvc.rpc.draining import Draining
from memsvc.rpc.extractions import proto_extraction, proto_usage
from memsvc.rpc.fields import (
    LAYER_NUMBERS,
    MAX_WAIT_SECONDS,
    read_consistency,
    read_duration,
    read_enum,
    read_namespace,
    read_request,
    read_scope,
    timestamp,
)
from memsvc.rpc.interceptors import remaining_seconds
from memsvc.rpc.memories import proto_commit
from memsvc.rpc.records import IMPORT_MODES, proto_outcome, proto_records, read_records
from memsvc.rpc.room import Room
from memsvc.rpc.waiting import Waiting
from memsvc.v1 import admin_pb2 as pb

_ERASE_SECONDS: Final = 10.0
"""A call over a namespace goes on for so long; its token says where it stopped."""


_COUNTED_OVER_ALL: Final = (
    "waiting_extraction_count",
    "waiting_reason",
    "failed_extraction_count",
    "failed_reason",
    "redactions",
)


class AdminService:
    """Serves memsvc.v1.AdminService."""

    def __init__(self, application: Application, drain: Draining, room: Room) -> None:
        self._waiting = Waiting(application, drain, room)
        self._application = application
        self._administration = application.administration
        self._exporter = application.exporter
        self._importer = application.importer
        self._eraser = application.eraser

    async def list_users(self, request: pb.ListUsersRequest, context: Context) -> pb.ListUsersResponse:
        namespace = read_namespace("namespace", request.namespace)
        user_ids, token = await self._administration.list_users(
            namespace, page_size(request.page_size), request.page_token
        )
        return pb.ListUsersResponse(user_ids=user_ids, next_page_token=token)

    async def get_stats(self, request: pb.GetStatsRequest, context: Context) -> pb.GetStatsResponse:
        scope, consistency = read_scope(request.scope), read_consistency(request)
        stats = await self._administration.stats(scope, consistency)
        return pb.GetStatsResponse(
            memory_count=stats.memories,
            layers=[pb.LayerCount(layer=LAYER_NUMBERS[layer], count=count) for layer, count in stats.layers.items()],
            memory_quota=self._application.quotas.of(scope.namespace),
            run_count=stats.runs,
            pending_run_count=stats.pending_runs,
            open_extraction_count=stats.open_extractions,
            update_time=timestamp(stats.update_time),
            waiting_extraction_count=stats.waiting.count,
            waiting_reason=stats.waiting.reason,
            failed_extraction_count=stats.failed.count,
            failed_reason=stats.failed.reason,
            revision=stats.user.revision,
            read_time=timestamp(stats.user.checked_time),
        )

    async def export_user(self, request: pb.ExportUserRequest, context: Context) -> pb.ExportUserResponse:
        scope = read_scope(request.scope)
        page = await self._exporter.page(scope, page_size(request.page_size), request.page_token)
        return pb.ExportUserResponse(
            records=proto_records(page, scope),
            next_page_token=page.next_page_token,
            revision=page.revision,
            memory_count=page.memory_count,
            run_count=page.run_count,
        )

    async def import_memories(self, request: pb.ImportMemoriesRequest, context: Context) -> pb.ImportMemoriesResponse:
        scope, known = read_scope(request.scope), read_request(request)
        mode = read_enum("mode", request.mode, IMPORT_MODES, ImportMode.FAIL)
        importing = self._importer.bring_in(scope, read_records(request.records), mode, known)
        # It may be megabytes, which are there once more as records by now.
        del request
        outcomes, revision = await importing
        return pb.ImportMemoriesResponse(outcomes=map(proto_outcome, outcomes), revision=revision)

    async def erase_namespace(self, request: pb.EraseNamespaceRequest, context: Context) -> pb.EraseNamespaceResponse:
        check_id("namespace", request.namespace)
        if request.confirm_namespace != request.namespace:
            raise invalid("confirm_namespace", "must be the namespace once more")
        seconds = remaining_seconds(context, self._application.settings.default_deadline_seconds) / 2
        erased = await self._eraser.erase(request.namespace, request.page_token, min(seconds, _ERASE_SECONDS))
        return pb.EraseNamespaceResponse(
            erased_user_count=erased.users,
            erased_memory_count=erased.memories,
            erased_run_count=erased.runs,
            next_page_token=erased.next_page_token,
        )

    async def consolidate_memories(
        self, request: pb.ConsolidateMemoriesRequest, context: Context
    ) -> pb.ConsolidateMemoriesResponse:
        scope, known = read_scope(request.scope), read_request(request)
        wait = None
        if request.HasField("wait_for_consolidation"):
            wait = read_duration("wait_for_consolidation", request.wait_for_consolidation, MAX_WAIT_SECONDS)
        if request.validate_only:
            commit, usage, revision = await self._application.consolidator.preview(scope)
            return pb.ConsolidateMemoriesResponse(
                commit=proto_commit(commit, scope), usage=proto_usage(usage), revision=revision
            )
        extraction_id = await self._application.extractions.accept_consolidation(scope, known)
        reply = pb.ConsolidateMemoriesResponse(extraction_id=extraction_id)
        ended = None
        if wait is not None:
            ended = await self._waiting.until_ended(scope, extraction_id, wait, context)
        if ended is not None:
            extraction, made = ended
            reply.extraction.CopyFrom(proto_extraction(extraction))
            if made is not None:
                reply.commit.CopyFrom(proto_commit(made, scope))
        reply.revision = (await self._application.users.latest(scope)).revision
        return reply

    async def erase_user(self, request: pb.EraseUserRequest, context: Context) -> pb.EraseUserResponse:
        scope, known = read_scope(request.scope), read_request(request)
        erased = await self._administration.erase(scope, known)
        return pb.EraseUserResponse(
            erased_memory_count=erased.memories, erased_run_count=erased.runs, revision=erased.revision
        )

    async def get_server_info(self, request: pb.GetServerInfoRequest, context: Context) -> pb.GetServerInfoResponse:
        application = self._application
        capabilities = application.driver.capabilities()
        promises = {
            "DURABLE": capabilities.durable,
            "FAILOVER": capabilities.failover,
            "SHARED": capabilities.shared,
            "HINTS": capabilities.hints,
        }
        waiting, failed = application.worker.troubles.waiting(), application.worker.troubles.failed()
        info = pb.GetServerInfoResponse(
            version=application.version,
            driver=application.driver_name,
            capabilities=[
                pb.CapabilityInfo(name=name, supported=each.supported, reason=each.reason)
                for name, each in promises.items()
            ],
            engine=application.engine.name,
            model=application.model,
            embedder=application.meaning.embedder.name if application.meaning is not None else "",
            start_time=timestamp(application.start_time),
            memory_quota=application.settings.memory_quota,
            waiting_extraction_count=waiting.count,
            waiting_reason=waiting.reason,
            failed_extraction_count=failed.count,
            failed_reason=failed.reason,
            redactions=[
                pb.RedactionCount(kind=kind, count=count) for kind, count in sorted(application.redactor.counts.items())
            ],
            max_request_bytes=application.settings.max_request_bytes,
        )
        if not current_caller().administers_all:
            # How much others learn, or keep secret, is for nobody else to know.
            for counted in _COUNTED_OVER_ALL:
                info.ClearField(counted)
        return info
