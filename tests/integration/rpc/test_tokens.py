"""Tokens over their life: made, changed, expired, revoked, guessed."""

from __future__ import annotations

import asyncio
import logging
import re
import statistics
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from callers import Callers, bearer, token_id
from rpc_harness import SARAH, Failure, Harness, failing, failure_of, served
from valid_requests import VALID

from memsvc.access.files import LOOK_SECONDS
from memsvc.access.tokens import new_token, read_known
from memsvc.storage.driver import Driver
from memsvc.v1 import admin_pb2, common_pb2, extraction_pb2, memory_pb2

UNAUTHENTICATED, DENIED = grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED


@pytest.fixture
def callers(folder: Path) -> Callers:
    return Callers(folder)


@pytest.fixture
async def guarded(driver: Driver, folder: Path, callers: Callers) -> AsyncIterator[Harness]:
    async with served(driver, folder, tokens_file=str(callers.path)) as harness:
        yield harness


async def until_refused(call: Callable[[], Any]) -> Failure:
    """Call until it is refused: what was taken out of a file is gone some milliseconds later."""
    async with asyncio.timeout(30):
        while True:
            try:
                await call()
            except grpc.aio.AioRpcError as error:
                return failure_of(error)
            await asyncio.sleep(LOOK_SECONDS)


def listing(harness: Harness, token: str) -> Any:
    return harness.memories.ListMemories(VALID["ListMemories"], metadata=bearer(token), timeout=30)


async def test_a_token_works_from_the_moment_it_is_made_to_that_in_which_it_is_revoked(
    guarded: Harness, callers: Callers
) -> None:
    for _ in range(20):
        token = callers.token()
        await listing(guarded, token)
        callers.file.remove([token_id(token)])
        since = time.monotonic()
        assert (await until_refused(partial(listing, guarded, token))).code is UNAUTHENTICATED
        assert time.monotonic() - since < 5, "a hundredth of a second, on a machine that has nothing else to do"


async def test_a_file_that_is_gone_lets_nobody_in_until_it_is_back(guarded: Harness, callers: Callers) -> None:
    token = callers.token()
    kept = callers.path.read_bytes()
    callers.path.unlink()
    assert (await until_refused(lambda: listing(guarded, token))).code is UNAUTHENTICATED
    callers.path.write_bytes(kept)
    await listing(guarded, token)


async def test_a_line_that_makes_no_sense_lets_nobody_in_and_harms_no_other(
    guarded: Harness, callers: Callers, caplog: pytest.LogCaptureFixture
) -> None:
    good, spoilt = callers.token(), callers.token()
    lines = callers.path.read_bytes().splitlines()
    for wrong in (
        b"{",
        lines[1][:-1],
        b'{"id": "x"}',
        lines[1].replace(b"read", b"reed"),
        lines[1] + b"}",
        b"\xff",
        b"[]",
    ):
        callers.path.write_bytes(b"\n".join([wrong, lines[0], b"", b"# a remark"]))
        assert (await until_refused(lambda: listing(guarded, spoilt))).code is UNAUTHENTICATED
        await listing(guarded, good)
    assert "token_line_ignored" in caplog.text


async def test_a_token_ends_when_it_expires(guarded: Harness, callers: Callers) -> None:
    now = datetime.now(UTC)
    await listing(guarded, callers.token(expire_time=now + timedelta(hours=1)))
    gone = callers.token(expire_time=now - timedelta(seconds=1))
    assert (await failing(listing(guarded, gone))).code is UNAUTHENTICATED


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer x",
        "memsvc_a_b",
        "Basic {token}",
        "Bearer {token} x",
        "Bearer {token}0",
        "{token}",
    ],
)
async def test_what_is_not_quite_a_token_is_none(guarded: Harness, callers: Callers, authorization: str) -> None:
    given = (("authorization", authorization.format(token=callers.token())),)
    call = guarded.memories.ListMemories(VALID["ListMemories"], metadata=given)
    assert (await failing(call)).code is UNAUTHENTICATED


async def test_of_two_tokens_none_counts(guarded: Harness, callers: Callers) -> None:
    twice = bearer(callers.token()) + bearer(callers.token())
    call = guarded.memories.ListMemories(VALID["ListMemories"], metadata=twice)
    assert (await failing(call)).code is UNAUTHENTICATED


async def open_stream(harness: Harness, token: str) -> Any:
    stream = harness.memories.WatchMemories(memory_pb2.WatchMemoriesRequest(scope=SARAH), metadata=bearer(token))
    await stream.read()
    return stream


async def test_open_streams_of_a_revoked_token_end_within_a_second_and_others_go_on(
    guarded: Harness, callers: Callers
) -> None:
    revoked, kept, narrowed = callers.token(), callers.token(), callers.token(entry_id="n")
    ending, lasting, changed = [await open_stream(guarded, each) for each in (revoked, kept, narrowed)]
    callers.file.remove([token_id(revoked), "n"])
    narrower = callers.token(("write",), entry_id="n")
    # The line of `n` names another secret now: that caller is not known any more either.
    assert narrower != narrowed
    since = time.monotonic()
    for stream in (ending, changed):
        failure = await failing(stream)
        assert (failure.code, failure.reason) == (UNAUTHENTICATED, "UNAUTHENTICATED")
    assert time.monotonic() - since < 5, "a second, on a machine that has nothing else to do"
    await guarded.memories.CreateMemory(VALID["CreateMemory"], metadata=bearer(kept))
    assert (await lasting.read()).commit.revision == 1
    lasting.cancel()


async def test_open_streams_end_when_the_token_loses_the_right_or_expires(guarded: Harness, callers: Callers) -> None:
    token = callers.token(entry_id="n")
    stream = await open_stream(guarded, token)
    callers.path.write_text(callers.path.read_text().replace('"read"', '"write"'))
    assert (await failing(stream)).code is DENIED
    soon = callers.token(expire_time=datetime.now(UTC) + timedelta(seconds=1))
    assert (await failing(await open_stream(guarded, soon))).code is UNAUTHENTICATED


async def test_tokens_are_exchanged_under_load_without_a_failed_call(guarded: Harness, callers: Callers) -> None:
    tokens = [callers.token(actor="bot")]
    stopped = asyncio.Event()
    calls = 0

    async def caller() -> None:
        nonlocal calls
        while not stopped.is_set():
            await listing(guarded, tokens[-1])
            calls += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(caller())
        for _ in range(10):
            tokens.append(callers.token(actor="bot"))
            seen = calls
            # Those under way still have the token before.
            while calls < seen + 20:
                await asyncio.sleep(0.001)
            callers.file.remove([token_id(tokens[-2])])
        stopped.set()
    assert (await until_refused(lambda: listing(guarded, tokens[-2]))).code is UNAUTHENTICATED


async def test_who_guesses_tokens_takes_nothing_from_others(driver: Driver, folder: Path, callers: Callers) -> None:
    # There is room for one call at a time, and for half of what one guess brings.
    small = {"max_calls": 1, "max_bytes_in_flight": 1 << 20}
    async with served(driver, folder, tokens_file=str(callers.path), **small) as harness:
        await _guess(harness, callers.token())


async def _guess(guarded: Harness, token: str) -> None:
    stopped = asyncio.Event()
    guesses = 0
    large = memory_pb2.CreateMemoryRequest(scope=SARAH, memory=memory_pb2.Memory(text="x" * 2_000_000))

    async def guess() -> None:
        nonlocal guesses
        while not stopped.is_set():
            call = guarded.memories.CreateMemory(large, metadata=bearer(new_token(token_id(token))), timeout=30)
            assert (await failing(call)).code is UNAUTHENTICATED
            guesses += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(guess())
        while guesses < 40:
            await listing(guarded, token)
        stopped.set()


def test_a_wrong_secret_takes_as_long_whether_its_id_or_its_beginning_is_right(folder: Path) -> None:
    callers = Callers(folder)
    right = callers.token()
    known = read_known(callers.path.read_bytes())
    wrong = {
        "nothing is right": new_token("unknown"),
        "the id is right": new_token(token_id(right)),
        "all but the end is right": right[:-1] + ("0" if right[-1] != "0" else "1"),
    }
    taken: dict[str, list[int]] = {name: [] for name in wrong}
    for _ in range(3_000):
        for name, token in wrong.items():
            began = time.perf_counter_ns()
            assert known.with_token(token) is None
            taken[name].append(time.perf_counter_ns() - began)
    medians = [statistics.median(each) for each in taken.values()]
    # Comparing digit by digit would tell apart what differs at the first from what differs at the last by more.
    assert max(medians) < 1.5 * min(medians), dict(zip(taken, medians, strict=True))


async def test_commits_say_who_asked(guarded: Harness, callers: Callers) -> None:
    one, two = callers.token(actor="support-bot"), callers.token(entry_id="plain")
    for token in (one, two):
        request = memory_pb2.CreateMemoryRequest(scope=SARAH, memory=memory_pb2.Memory(text=f"by {token_id(token)}"))
        await guarded.memories.CreateMemory(request, metadata=bearer(token))
    changes = await guarded.memories.ListMemoryChanges(VALID["ListMemoryChanges"], metadata=bearer(one))
    assert sorted(commit.actor for commit in changes.commits) == ["plain", "support-bot"]


async def test_what_is_counted_over_all_namespaces_is_for_admins_of_all_of_them(
    guarded: Harness, callers: Callers
) -> None:
    text = "my key is AKIAIOSFODNN7EXAMPLE"
    request = memory_pb2.CreateMemoryRequest(scope=SARAH, memory=memory_pb2.Memory(text=text))
    await guarded.memories.CreateMemory(request, metadata=bearer(callers.token()))
    seen = {}
    for name, described in {
        "of all": {},
        "of some users": {"users": ("cust-*",)},
        "of one namespace": {"namespaces": ("support",)},
        "no admin": {"rights": ("read", "write")},
    }.items():
        token = callers.token(**described)  # type: ignore[arg-type]
        info = await guarded.admin.GetServerInfo(admin_pb2.GetServerInfoRequest(), metadata=bearer(token))
        seen[name] = bool(info.redactions)
        assert info.version
    assert seen == {"of all": True, "of some users": False, "of one namespace": False, "no admin": False}


async def test_without_a_file_of_tokens_nobody_is_asked(server: Harness) -> None:
    for metadata in ((), bearer("whatever")):
        await server.memories.ListMemories(VALID["ListMemories"], metadata=metadata)


def events(caplog: pytest.LogCaptureFixture, event: str) -> Sequence[dict[str, Any]]:
    return [vars(record)["fields"] for record in caplog.records if record.message == event]


async def test_administrative_acts_and_denials_are_written_down_without_content(
    guarded: Harness, callers: Callers, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "memsvc")
    admin = bearer(callers.token(actor="ops"))
    await guarded.admin.EraseUser(admin_pb2.EraseUserRequest(scope=SARAH), metadata=admin)
    await guarded.admin.ListUsers(admin_pb2.ListUsersRequest(), metadata=admin)
    await guarded.extractions.RetryExtractions(extraction_pb2.RetryExtractionsRequest(all_users=True), metadata=admin)
    await guarded.memories.CreateMemory(VALID["CreateMemory"], metadata=admin)
    acts = events(caplog, "administrative_act")
    assert [(act["actor"], act["method"], act["outcome"]) for act in acts] == [
        ("ops", "EraseUser", "OK"),
        ("ops", "ListUsers", "OK"),
        ("ops", "RetryExtractions", "OK"),
    ]
    reader = bearer(callers.token(("read",), ("support",), actor="reader"))
    secret = memory_pb2.CreateMemoryRequest(
        scope=common_pb2.Scope(namespace="support", user_id="ben"), memory=memory_pb2.Memory(text="He sails")
    )
    assert (await failing(guarded.memories.CreateMemory(secret, metadata=reader))).code is DENIED
    assert (await failing(guarded.memories.CreateMemory(secret, metadata=bearer("x")))).code is UNAUTHENTICATED
    known, unknown = events(caplog, "denied")
    assert (known["actor"], known["method"], known["scope"].namespace) == ("reader", "CreateMemory", "support")
    assert (unknown["actor"], unknown["method"]) == ("", "CreateMemory")
    assert "sails" not in caplog.text


async def test_an_act_without_tokens_is_anybodys(server: Harness, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "memsvc")
    await server.admin.EraseUser(admin_pb2.EraseUserRequest(scope=SARAH))
    assert [act["actor"] for act in events(caplog, "administrative_act")] == ["anybody"]


async def test_refusals_without_number_do_not_fill_the_log(guarded: Harness, caplog: pytest.LogCaptureFixture) -> None:
    calls = [failing(guarded.memories.ListMemories(VALID["ListMemories"])) for _ in range(300)]
    await asyncio.gather(*calls)
    assert 0 < len(events(caplog, "denied")) < 200


async def test_no_part_of_a_token_is_written_to_the_log(
    guarded: Harness, callers: Callers, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    tokens = [callers.token(), new_token("unknown"), "hush hush"]
    for token in tokens:
        await asyncio.gather(listing(guarded, token), return_exceptions=True)
    callers.path.write_bytes(callers.path.read_bytes() + tokens[0].encode() + b"\n")
    async with asyncio.timeout(30):
        while "token_line_ignored" not in caplog.text:
            await listing(guarded, tokens[0])
    written = "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    assert "denied" in written
    assert "token_line_ignored" in written
    for token in tokens:
        assert token.rpartition("_")[2] not in written
    assert not re.search(r"[0-9a-f]{64}", written)
