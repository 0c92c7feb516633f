"""The executor of Python: does with `memsvc_client` what clients/contract/README.md says, line by line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from memsvc_client import MemoryClient, MemoryServiceError, User
from memsvc_client.context_calls import ContextHistory
from tests.contract import python_forms as forms

_RENAMED = {
    "appendRun": "append_run",
    "searchHistory": "search_history",
    "deleteSession": "delete_session",
    "callTool": "call_tool",
    "runToolCalls": "run_tool_calls",
    "serverInfo": "server_info",
}
_OF_THE_CLIENT = ("serverInfo", "users", "config.get", "config.update")
_LISTS = ("users", "memories.list", "topics", "changes", "runs", "sessions", "extractions.list")
_STREAMS = ("watch", "extract", "extractions.watch")
_REPLIES: Mapping[str, Callable[[Any], Any]] = {
    "memories.add": lambda memory_id: {"memoryId": memory_id},
    "memories.delete": lambda revision: {"revision": revision},
    "memories.clear": lambda count: {"clearedCount": count},
    "searchHistory": lambda passages: {"passages": forms.shown(passages)},
    "extractions.retry": lambda extractions: {"extractions": forms.shown(extractions)},
    "tools": lambda definitions: {"definitions": definitions},
    "runToolCalls": lambda messages: {"messages": messages},
    "get": lambda document: {} if document is None else forms.shown(document),
}
"""How answers are written that are no messages."""


class Executor:
    """Clients and streams by the names that the harness gave them."""

    def __init__(self) -> None:
        self._clients: dict[str, MemoryClient] = {}
        self._streams: dict[str, Iterator[Any]] = {}

    def answer(self, line: Mapping[str, Any]) -> dict[str, Any]:
        """Do what a line says."""
        try:
            return self._do(line)
        except MemoryServiceError as failure:
            return {"error": forms.failed(failure)}
        except (ValueError, TypeError) as wrong:
            return {"error": {"code": "WRONG_ARGUMENT", "message": str(wrong)}}

    def _do(self, line: Mapping[str, Any]) -> dict[str, Any]:
        match line["do"]:
            case "connect":
                self._clients[line["client"]] = _connected(line)
            case "close":
                self._clients.pop(line["client"]).close()
            case "call":
                answer = self._called(line)
                if line["call"] in (*_LISTS, *_STREAMS):
                    return {"reply": {"items": [forms.shown(each) for each in answer]}}
                return {"reply": _REPLIES.get(line["call"], forms.shown)(answer)}
            case "open":
                self._streams[line["stream"]] = iter(self._called(line))
            case "next":
                for item in self._streams[line["stream"]]:
                    return {"item": forms.shown(item)}
                return {"ended": True}
            case "leave":
                stream = self._streams.pop(line["stream"])
                if hasattr(stream, "close"):
                    stream.close()
        return {"reply": {}}

    def _called(self, line: Mapping[str, Any]) -> Any:
        client, call = self._clients[line["client"]], line["call"]
        handle: Any = client if call in _OF_THE_CLIENT else _user(client, line)
        group, _, name = call.rpartition(".")
        if group:
            handle = getattr(handle, group)
        return getattr(handle, _RENAMED.get(name, name))(**_arguments(call, line["args"]))


def _connected(line: Mapping[str, Any]) -> MemoryClient:
    named = {forms.snake(key): value for key, value in line.items() if key not in ("id", "do", "client", "target")}
    return MemoryClient(line["target"], **named)


def _user(client: MemoryClient, line: Mapping[str, Any]) -> User:
    return client.user(line["user"], agent_id=line.get("agentId", ""), team_id=line.get("teamId", ""))


def _arguments(call: str, args: Mapping[str, Any]) -> dict[str, Any]:
    match call:
        case "memories.update":
            left = {key: value for key, value in args.items() if key not in ("set", "clear")}
            cleared = {"value" if name == "valueJson" else forms.snake(name): None for name in args.get("clear", ())}
            return {**forms.arguments({**left, **args.get("set", {})}), **cleared}
        case "memories.batch":
            rest = {key: value for key, value in args.items() if key != "operations"}
            return {**forms.arguments(rest), "operations": forms.operations(args["operations"])}
        case "config.update":
            rest = {key: value for key, value in args.items() if key not in ("settings", "updateMask")}
            return {**forms.arguments(rest), **forms.settings(args.get("settings", {}), args["updateMask"])}
        case "context" if "history" in args:
            history = {forms.snake(key): value for key, value in args["history"].items()}
            rest = {key: value for key, value in args.items() if key != "history"}
            return {**forms.arguments(rest), "history": ContextHistory(**history)}
        case "extract" | "learn" if "text" in args:
            rest = {key: value for key, value in args.items() if key != "text"}
            return {**forms.arguments(rest), "messages": args["text"]}
        case "callTool":
            rest = {key: value for key, value in args.items() if key != "arguments"}
            return {**forms.arguments(rest), "arguments": args.get("arguments", {})}
        case _:
            return forms.arguments(args)


def main() -> None:
    """Answer lines until there are no more."""
    executor = Executor()
    for line in sys.stdin:
        asked = json.loads(line)
        sys.stdout.write(json.dumps({"id": asked["id"], **executor.answer(asked)}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
