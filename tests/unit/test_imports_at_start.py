"""What a server has loaded once it serves: nothing that only few servers, or only some calls, need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LATER = {
    "Stemmer",
    "click.shell_completion",
    "difflib",
    "email",
    "google.protobuf.descriptor_pb2",
    "google.protobuf.internal.decoder",
    "google.protobuf.text_format",
    "httptools",
    "importlib.metadata",
    "importlib.resources",
    "numpy",
    "openai",
    "tempfile",
    "tomllib",
    "unicodedata",
    "zipfile",
}


def test_a_server_starts_without_what_few_calls_need(tmp_path: Path) -> None:
    program = (
        "import sys, memsvc.cli.serve, memsvc.server, memsvc.extraction.rules, memsvc.search.embedders.static\n"
        "from memsvc.rpc.services import SERVICES, rpcs\n"
        "from memsvc.storage.registry import connect, shown\n"
        "assert [*map(list, map(rpcs, SERVICES))]\n"
        f"url = 'sqlite:///{tmp_path}/memory.db'\n"
        "shown(url), connect(url)\n"
        "print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()
    assert "memsvc_drivers.sqlite.driver" in loaded
    assert LATER.isdisjoint(loaded)


def test_protobufs_python_is_there_for_who_asks_for_it() -> None:
    program = (
        "import memsvc.rpc.services\n"
        "from google.protobuf import text_format\n"
        "from google.protobuf.internal import python_message\n"
        "from memsvc.v1 import memory_pb2\n"
        "print(python_message.GeneratedProtocolMessageType.__name__, memory_pb2.TopicCount(count=7))\n"
        "print(text_format.Parse('count: 7', memory_pb2.TopicCount()).count)"
    )
    said = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert said.split() == ["GeneratedProtocolMessageType", "count:", "7", "7"]
