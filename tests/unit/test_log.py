from __future__ import annotations

import ast
import io
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from memsvc.errors import Internal, Reason
from memsvc.log import JsonLines, Log, TextLines, start_logging, user_digest
from memsvc.model import Scope

ROOT = Path(__file__).parents[2]
FOLDERS = ("memsvc", "drivers", "clients/python")
SARAH = Scope("acme", "sarah@example.com")


@pytest.fixture
def output() -> Iterator[io.StringIO]:
    """What is written; the process's own logging is put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers, root.level = handlers, level
    for name in ("memsvc", "memsvc_drivers"):
        logging.getLogger(name).setLevel(logging.NOTSET)


def test_an_event_is_a_line_with_its_fields(output: io.StringIO) -> None:
    start_logging("INFO", "text", output)
    Log("memsvc.extraction").warning("extraction_failed", scope=SARAH, session="s 1", attempt=2, detail="", model=None)
    time, rest = output.getvalue().split(" ", 1)
    assert time.endswith("Z")
    expected = f'namespace=acme user={user_digest(SARAH)} session="s 1" attempt=2\n'
    assert rest == f"WARNING memsvc.extraction extraction_failed {expected}"


def test_as_json_a_line_is_one_object(output: io.StringIO) -> None:
    start_logging("INFO", "json", output)
    Log("memsvc.extraction").info("extracted", scope=SARAH, operations=3, note='a "quoted"\nline')
    (line,) = output.getvalue().splitlines()
    said = json.loads(line)
    assert said.pop("time").endswith("Z")
    assert said == {
        "level": "INFO",
        "logger": "memsvc.extraction",
        "event": "extracted",
        "namespace": "acme",
        "user": user_digest(SARAH),
        "operations": 3,
        "note": 'a "quoted"\nline',
    }


@pytest.mark.parametrize("form", [TextLines(), JsonLines()])
def test_a_failure_is_printed_with_its_causes_and_without_their_words(
    form: logging.Formatter, output: io.StringIO
) -> None:
    start_logging("INFO", "text", output)
    logging.getLogger().handlers[0].setFormatter(form)
    words = "she lives in Lyon"
    try:
        try:
            raise KeyError(words)
        except KeyError as cause:
            raise Internal(Reason.INTERNAL, words) from cause
    except Internal as error:
        Log("memsvc").error("broke", error)
    assert "Lyon" not in output.getvalue()
    assert "memsvc.errors.Internal" in output.getvalue()
    assert "builtins.KeyError" in output.getvalue()
    assert "test_log.py" in output.getvalue()


def test_a_user_is_named_by_a_digest_of_its_own() -> None:
    others = [Scope("acme", "sarah"), Scope("other", "sarah@example.com"), Scope("a" * 200, "sarah@example.com")]
    assert len({user_digest(scope) for scope in [SARAH, *others]}) == 4
    assert "sarah" not in user_digest(SARAH)


@pytest.mark.parametrize("level", ["DEBUG", "INFO"])
def test_others_are_quiet_below_warning(level: str, output: io.StringIO) -> None:
    start_logging(level, "text", output)
    for name in ("httpx", "httpcore.connection", "openai._base_client", "grpc", "asyncio", "pymongo.command"):
        logging.getLogger(name).info("HTTP Request: POST http://user:pw@host")
        logging.getLogger(name).debug("Request options: secret")
    assert output.getvalue() == ""
    logging.getLogger("grpc").warning("look here")
    assert "WARNING grpc look here" in output.getvalue()


def parsed() -> Iterator[tuple[Path, ast.Module]]:
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "v1" not in path.parts:
                yield path, ast.parse(path.read_text(encoding="utf-8"))


LOGGING = (ROOT / "memsvc" / "log.py", ROOT / "clients" / "python" / "memsvc_client" / "turn.py")
"""The second is a library in somebody else's program, whose own logging it uses."""


def test_there_is_one_way_to_log() -> None:
    for path, tree in parsed():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import) and any(alias.name == "logging" for alias in node.names):
                assert path in LOGGING, f"{path} imports logging: use memsvc.log"
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id="log"), attr=level), args=[ast.Constant(event), *_]):
                    if level in ("debug", "info", "warning", "error") and path not in LOGGING:
                        assert re.fullmatch("[a-z_]+", str(event)), f"{path}:{node.lineno}: an event is a word"


def test_no_exception_is_swallowed_without_a_line() -> None:
    """Who catches everything raises, logs, or keeps the exception for somebody who will."""
    for path, tree in parsed():
        for node in ast.walk(tree):
            if isinstance(node, ast.ExceptHandler) and isinstance(node.type, ast.Name):
                if node.type.id not in ("Exception", "BaseException"):
                    continue
                names = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
                raises = any(isinstance(each, ast.Raise) for each in ast.walk(node))
                assert raises or "log" in names or node.name in names, f"{path}:{node.lineno}"
