from __future__ import annotations

from pathlib import Path

import pytest

from memsvc.errors import InvalidArgument
from memsvc.rpc.addresses import TcpAddress, UnixAddress, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("unix:///run/memsvc.sock", UnixAddress(Path("/run/memsvc.sock"))),
        ("unix:/run/memsvc.sock", UnixAddress(Path("/run/memsvc.sock"))),
        ("127.0.0.1:7432", TcpAddress("127.0.0.1", 7432)),
        ("127.1.2.3:0", TcpAddress("127.1.2.3", 0)),
        ("localhost:7432", TcpAddress("localhost", 7432)),
        ("[::1]:7432", TcpAddress("::1", 7432)),
    ],
)
def test_addresses_of_this_machine_are_read(text: str, address: object) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text", ["", "7432", "localhost", "localhost:x", "localhost:70000", "a:-1", "unix:", "unix://a"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="must"):
        parse_address(text)


@pytest.mark.parametrize(
    "text", ["0.0.0.0:7432", ":7432", "[::]:7432", "10.0.0.1:1", "example.com:1", "localhost.evil:1"]
)
def test_addresses_that_others_can_reach_need_to_be_said_aloud(text: str) -> None:
    with pytest.raises(InvalidArgument, match="--insecure"):
        parse_address(text)

    assert isinstance(parse_address(text, insecure=True), TcpAddress)


def test_a_path_too_long_for_a_socket_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="108 bytes; a socket's path has at most 107"):
        parse_address("unix:///" + "x" * 107)

    assert parse_address("unix:///" + "x" * 106) == UnixAddress(Path("/" + "x" * 106))
