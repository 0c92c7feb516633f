"""Who may import whom."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

LAYERS = [
    {"__init__", "v1"},
    {"model"},
    {"errors"},
    {"allocator", "clock", "ids", "invisible", "foreground", "json_text"},
    {"configuration", "limits", "log", "paging", "periods", "redaction"},
    {"asking", "endpoint", "spoken_times", "stopping", "storage"},
    {"config", "metrics", "ready_file", "waits"},
    {"tracing"},
    {"access", "kubernetes", "tls"},
    {"document", "journal", "search"},
    {"users"},
    {"writing"},
    {"budget", "purge", "settings"},
    {"meaning", "retention"},
    {"context", "copying", "memories"},
    {"sessions"},
    {"consolidation", "summaries"},
    {"extraction"},
    {"administration", "foreign", "tools"},
    {"application"},
    {"rpc"},
    {"http"},
    {"opening", "place", "testing"},
    {"mcp", "server"},
    {"processes"},
    {"cli"},
    {"__main__"},
]
"""From the bottom up: a module or folder imports from those below its layer, and from none beside it."""

LAYERS_OF_EXTRACTION = [
    {"__init__", "engine"},
    {"authority", "members", "saved", "schemas", "zones"},
    {"model", "rules"},
    {"reconcile", "engines"},
    {"conversation"},
    {"jobs"},
    {"observing"},
]

EDGE = {"rpc", "http", "cli", "mcp", "testing"}
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
    return path.relative_to(ROOT / "memsvc").with_suffix("").parts[0]


def rooms(folder: str) -> set[str]:
    return {
        path.stem
        for path in (ROOT / folder).iterdir()
        if path.suffix == ".py" or (path.is_dir() and any(path.rglob("*.py")))
    }


FOLDERS = [("memsvc", LAYERS), ("memsvc/extraction", LAYERS_OF_EXTRACTION)]


@pytest.mark.parametrize(("folder", "layers"), FOLDERS)
def test_every_module_has_one_layer(folder: str, layers: list[set[str]]) -> None:
    assert sorted(name for layer in layers for name in layer) == sorted(rooms(folder))


@pytest.mark.parametrize(("folder", "layers"), FOLDERS)
def test_a_module_imports_only_from_the_layers_below(folder: str, layers: list[set[str]]) -> None:
    height = {name: index for index, layer in enumerate(layers) for name in layer}
    above = folder.split("/")
    for path, name in all_imports(folder):
        here = path.relative_to(ROOT / folder).with_suffix("").parts[0]
        *parents, there = name.split(".")[: len(above) + 1]
        if parents == above and there in height and there != here:
            assert height[there] < height[here], f"{path} imports {name}"


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
