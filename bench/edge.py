"""What TLS, tokens, traces and the operator's port cost a read, against the same one without them, in turn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

from bench import http_port, requests
from bench.comparison import AT_ONCE
from bench.load import Calls, Load, Rounds, Turn
from bench.measuring import Figure, at_least, at_most
from bench.processes import Server, memsvc
from memsvc.access.caller import Right
from memsvc.access.token_file import TokenFile
from memsvc.access.tokens import Entry, new_token, token_hash
from tests.certificates import Authority

_USER: Final = "user-1"
_MEMORIES: Final = 100
_OTHER_TOKENS: Final = 200
_ON_TCP: Final = ("--listen", "127.0.0.1:0")


class _Pair(NamedTuple):
    base: Rounds
    measured: Rounds
    processor_ratio: float
    """What the server spends on a call, as a multiple of what the other one does."""


def measure(scratch: Path) -> Iterator[Figure]:
    authority = Authority()
    certificate, key = authority.write(scratch, "server", "127.0.0.1")
    token = _token(scratch / "tokens")
    tls = ("--tls-certificate-file", str(certificate), "--tls-key-file", str(key))
    with ExitStack() as stack:
        load = stack.enter_context(Load())
        plain = stack.enter_context(memsvc(scratch, *_ON_TCP))
        secured = stack.enter_context(memsvc(scratch, *_ON_TCP, *tls))
        requests.fill(load, plain, [(_USER, _MEMORIES)])
        requests.fill(load, secured, [(_USER, _MEMORIES)])
        _, ids = requests.list_pages(plain, _USER, 100)
        reads = {
            "get": (requests.GET_MEMORY, requests.gets(_USER, ids)),
            "context": (requests.COMPILE_CONTEXT, requests.contexts(_USER, ["What does she like?"])),
        }
        # The memories of the other server have other ids.
        _, other_ids = requests.list_pages(secured, _USER, 100)
        reads_secured = reads | {"get": (requests.GET_MEMORY, requests.gets(_USER, other_ids))}
        for name, (method, sent) in reads.items():
            base = Calls(plain.tcp_address, method, sent)
            measured = Calls(secured.tcp_address, method, reads_secured[name][1], ca=authority.pem)
            pair = _compared(load, base, measured, plain, secured)
            yield Figure(f"edge.tls.{name}.processor_ratio", pair.processor_ratio, "of a plain call's", at_most(1.35))
            yield Figure(f"edge.tls.{name}.rate_share", pair.measured.rate_share(pair.base), "of plain TCP's")

        # A server that asks who calls has memories before it asks, as nobody else could fill it here.
        storage = ("--storage-url", f"sqlite:///{scratch}/guarded.db")
        with memsvc(scratch, *storage) as filling:
            requests.fill(load, filling, [(_USER, _MEMORIES)])
            _, guarded_ids = requests.list_pages(filling, _USER, 100)
        guarded = stack.enter_context(
            memsvc(
                scratch, "--storage-url", f"sqlite:///{scratch}/guarded.db", "--tokens-file", str(scratch / "tokens")
            )
        )
        reads_guarded = reads | {"get": (requests.GET_MEMORY, requests.gets(_USER, guarded_ids))}
        for name, (method, sent) in reads.items():
            base = Calls(plain.address, method, sent)
            bearer = (("authorization", f"Bearer {token}"),)
            measured = Calls(guarded.address, method, reads_guarded[name][1], metadata=bearer)
            pair = _compared(load, base, measured, plain, guarded)
            yield Figure(
                f"edge.tokens.{name}.rate_share", pair.measured.rate_share(pair.base), "of no token's", at_least(0.95)
            )
            yield Figure(f"edge.tokens.{name}.processor_ratio", pair.processor_ratio, "of a call's without")
        # Traces are on, and nobody samples these calls: what is left is a look at each call's headers.
        traced = stack.enter_context(memsvc(scratch, "--traces"))
        requests.fill(load, traced, [(_USER, _MEMORIES)])
        _, traced_ids = requests.list_pages(traced, _USER, 100)
        base = Calls(plain.address, *reads["get"])
        measured = Calls(traced.address, requests.GET_MEMORY, requests.gets(_USER, traced_ids))
        pair = _compared(load, base, measured, plain, traced)
        yield Figure("edge.traces.get.rate_share", pair.measured.rate_share(pair.base), "of no traces'", at_least(0.98))
        yield Figure("edge.traces.get.processor_ratio", pair.processor_ratio, "of a call's without")
    yield from http_port.measure(scratch)


def _token(path: Path) -> str:
    """Return a token for everything; the file has others, too."""
    file = TokenFile(path)
    for number in range(_OTHER_TOKENS):
        token = new_token(f"t{number}")
        file.add(Entry(id=f"t{number}", token_sha256=token_hash(token), namespaces=["*"], rights=list(Right)))
    return token


def _compared(load: Load, base: Calls, measured: Calls, base_server: Server, server: Server) -> _Pair:
    first, second = load.add(base), load.add(measured)
    for source in (first, second):
        load.round(source, AT_ONCE, 0.5)
    before, before_base = server.processor_seconds, base_server.processor_seconds
    rounds_base, rounds = load.alternate([Turn(first, AT_ONCE), Turn(second, AT_ONCE)], rounds=15)
    spent, spent_base = server.processor_seconds - before, base_server.processor_seconds - before_base
    return _Pair(rounds_base, rounds, (spent / rounds.count) / (spent_base / rounds_base.count))
