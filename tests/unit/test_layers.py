"""Who may import whom."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]

LAYERS = [
    {"model", "errors", "clock", "log", "v1", "__init__"},
    {"storage", "config", "ids", "limits", "paging"},
    {"journal", "search"},
    {"users", "writing"},
    {"meaning", "memories", "sessions", "context", "document", "extraction", "administration", "purge", "copying"},
    {"application"},
    {"rpc"},
    {"server", "stopping", "cli", "testing", "__main__"},
]
"""From the bottom up: a module imports from its own layer and those below."""

EDGE = {"rpc", "cli", "testing"}
"""Only these may use protobuf or gRPC, or the client."""


def all_imports(folder: str) -> Iterator[tuple[Path, str]]:
    for path in sorted((ROOT / folder).rglob("*.py")):
        if "v1" not in path.parts:
            yield from ((path, name) for name in imports(path))


def imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def room(path: Path) -> str:
    parts = path.relative_to(ROOT / "memsvc").with_suffix("").parts
    return parts[0]


def layer_of(name: str) -> int:
    return next(index for index, layer in enumerate(LAYERS) if name in layer)


def test_a_module_imports_only_from_its_layer_and_below() -> None:
    for path, name in all_imports("memsvc"):
        parts = name.split(".")
        if parts[0] == "memsvc" and len(parts) > 1 and parts[1] in set.union(*LAYERS):
            assert layer_of(parts[1]) <= layer_of(room(path)), f"{path} imports {name}"


def test_protobuf_and_grpc_stop_at_the_edge() -> None:
    for path, name in all_imports("memsvc"):
        if room(path) not in EDGE:
            assert name.split(".")[0] not in ("grpc", "google", "memsvc_client"), f"{path} imports {name}"
            # The reasons are generated, but plain Python.
            assert not name.startswith("memsvc.v1") or name.startswith("memsvc.v1.reasons"), f"{path} imports {name}"


def test_nothing_imports_a_driver() -> None:
    for path, name in all_imports("memsvc"):
        assert name.split(".")[0] != "memsvc_drivers", f"{path} imports {name}"


def test_a_driver_imports_only_the_port_the_words_and_the_errors() -> None:
    allowed = ("memsvc.storage", "memsvc.model", "memsvc.errors", "memsvc.log")
    for path, name in all_imports("drivers"):
        if name.split(".")[0] == "memsvc" and name != "memsvc":
            assert name.startswith(allowed), f"{path} imports {name}"
            assert not name.startswith("memsvc.storage.memory"), f"{path} imports {name}"


def test_the_client_imports_only_the_generated_code() -> None:
    for path, name in all_imports("clients"):
        if name.split(".")[0] == "memsvc":
            assert name.startswith("memsvc.v1"), f"{path} imports {name}"
