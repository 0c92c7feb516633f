"""What cannot be a server's address, or a database's file, is refused where the client is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from memsvc_client import AsyncMemoryClient, MemoryClient
from memsvc_client.channel import Endpoint
from memsvc_client.targets import checked_target, is_local


@pytest.mark.parametrize("kind", [MemoryClient, AsyncMemoryClient])
@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("", "unix:///run/memsvc/memsvc.sock"),
        ("sqlite:///x.db", "MemoryClient.local(path)"),
        ("postgresql://u:secret@db/x", "--storage-url"),
        ("mongodb+srv://u:secret@db/x", "--storage-url"),
        ("http://localhost:1", '"localhost:1"'),
        ("http://localhost", '"localhost:7432"'),
        ("https://memory.example.com/", "credentials="),
        ("grpc://u:secret@host:1", "user or password"),
        ("u:secret@host:7432", "user or password"),
        ("ftp://host", "not known"),
        ("localhost", '"localhost:7432"'),
        ("::1", '"[::1]:7432"'),
        ("[::1]", '"[::1]:7432"'),
        ("[::1", '"[::1]:7432"'),
        ("[::1:7432", '"[::1]:7432"'),
        ("[]:7432", '"[::1]:7432"'),
        ("[localhost]:7432", '"[::1]:7432"'),
        ("localhost]:7432", '"[::1]:7432"'),
        ("tls://[::1:7432", '"[::1]:7432"'),
        ("h" * 300 + ":7432", "at most 253 characters"),
        (":7432", '"127.0.0.1:7432"'),
        ("localhost:", "port must be"),
        ("localhost:70000", "port must be"),
        ("localhost:http", "port must be"),
        ("localhost:7432/v1", "path"),
        ("/run/memsvc.sock", "unix://"),
        ("memory.db", "MemoryClient.local(path)"),
        ("unix://run/memsvc.sock", "three slashes"),
        ("unix:///", "names no socket"),
        ("unix:///" + "x" * 200, "at most 107 bytes"),
        ("localhost :7432", "spaces"),
        ("localhost:7432\n", "spaces"),
        ("h\ud800:1", "half of a character"),
    ],
)
def test_a_wrong_target_says_what_to_write_instead(kind: Any, target: str, says: str) -> None:
    with pytest.raises(ValueError, match="target") as caught:
        kind(target)
    assert says in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("target", [None, 5, b"localhost:1", Path("/run/x.sock")])
def test_a_target_is_a_string(target: Any) -> None:
    with pytest.raises(TypeError, match="target must be a string"):
        MemoryClient(target)


@pytest.mark.parametrize(
    "target",
    ["unix:///a.sock", "unix:a.sock", "unix-abstract:a", "localhost:1", "[::1]:1", "dns:///db.local:1", "a.b-c:1"],
)
def test_addresses_are_taken_as_they_are(target: str) -> None:
    assert checked_target(target) == target


@pytest.mark.parametrize(
    ("target", "local"),
    [
        ("127.0.0.1:7432", True),
        ("127.8.9.1:7432", True),
        ("localhost:7432", True),
        ("LOCALHOST.:7432", True),
        ("a.localhost:1", True),
        ("[::1]:7432", True),
        ("[::ffff:127.0.0.1]:7432", True),
        ("dns:///localhost:7432", True),
        ("dns:localhost:7432", True),
        ("ipv4:127.0.0.1:7432", True),
        ("ipv6:[::1]:7432", True),
        ("unix:///a.sock", True),
        ("memory.example.com:7432", False),
        ("localhost.example.com:7432", False),
        ("10.0.0.1:7432", False),
        ("[2001:db8::1]:7432", False),
    ],
)
def test_what_is_local_goes_through_no_proxy(target: str, local: bool) -> None:
    assert is_local(target) is local
    assert (("grpc.enable_http_proxy", 0) in Endpoint(target).options) is local


@pytest.mark.parametrize(
    "name", ["", ":memory:", "sqlite:///x.db", "postgresql://u:secret@h/x", "a?b.db", "file:x", "a\0b", "x/"]
)
def test_a_wrong_path_is_refused_and_nothing_is_left_beside(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    for kind in (MemoryClient, AsyncMemoryClient):
        with pytest.raises(ValueError, match=r"^path ") as caught:
            kind.local(name)
        assert "secret" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_or_what_lies_below_a_file_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"is a folder: name a file in it, '.*memory\.db'"):
        MemoryClient.local(tmp_path)
    with pytest.raises(ValueError, match="goes through a file"):
        MemoryClient.local(tmp_path / "file" / "memory.db")
    for wrong in (5, b"x.db", [tmp_path]):
        with pytest.raises(TypeError, match="path must be"):
            MemoryClient.local(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"timeout_seconds": 0}, "timeout_seconds must be more than 0"),
        ({"timeout_seconds": float("nan")}, "timeout_seconds must be finite"),
        ({"context_timeout_seconds": "1"}, "context_timeout_seconds must be a number"),
        ({"context_or_empty": "yes"}, "context_or_empty must be True or False"),
        ({"token": "a\nb"}, "token must be printable"),
        ({"token": 5}, "token must be a string"),
        ({"namespace": 5}, "namespace must be a string"),
        ({"default_user": 5}, "default_user must be a string"),
        ({"credentials": "x"}, "credentials must be"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], says: str) -> None:
    with pytest.raises((TypeError, ValueError), match=says):
        MemoryClient("localhost:1", **settings)
