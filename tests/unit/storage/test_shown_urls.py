"""Whatever is wrong with a URL, no part of its credentials is in anything that is said of it."""

from __future__ import annotations

import asyncio
import traceback

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from memsvc.cli.findings import database_findings
from memsvc.config import Config
from memsvc.errors import Error
from memsvc.storage.registry import connect, shown

SCHEMES = (
    "sqlite",
    "postgresql",
    "postgres",
    "redis",
    "rediss",
    "redis+sentinel",
    "redis+cluster",
    "mongodb",
    "memory",
)
SIGNS = (
    "/",
    "//",
    "%",
    "%zz",
    "%2F",
    "@",
    "#",
    "?",
    ":",
    "[",
    "]",
    "[::",
    "=",
    "&",
    ",",
    " ",
    "\\",
    "\n",
    "ü",
    "℀",
    "+",
)
PLACES = ("h:1/0", "h", "h:port/db", "a:1,b:2/db", "[::1]:1/0", "h/db?sslmode", "h/db?x=y&z", "", "/", "h:99999/x")

secrets = st.lists(st.sampled_from(SIGNS), max_size=5).map(
    lambda signs: "".join(f"zq{number}{sign}" for number, sign in enumerate(signs)) + "zq"
)
"""Passwords in pieces of which each can be told in an output, with what parts a URL between them, not escaped."""


@st.composite
def urls(draw: st.DrawFn) -> str:
    user = draw(st.sampled_from(("", "zquser", "zq@user", "zq/user")))
    who = f"{user}:{draw(secrets)}@{draw(st.sampled_from(PLACES))}"
    before = draw(
        st.sampled_from([f"{scheme}://" for scheme in SCHEMES] + ["", "//", "redis:", "sqlite:///", "posgres://"])
    )
    return before + who


def said_of(error: BaseException) -> str:
    """Return all that a log could have of an error: its causes' texts too."""
    return "".join(traceback.format_exception_only(error)) + "".join(
        map(said_of, filter(None, (error.__cause__, None if error.__suppress_context__ else error.__context__)))
    )


@settings(deadline=None, max_examples=1_000)
@given(urls())
@example("redis://:zqp@sszq%w/rdzq#")
@example("sqlite://zqu:zqpw@h/x")
@example("zqu:zqpw@h/x")
@example("postgresql://zqu:zq/zq@h/x")
@example("mongodb://zqu:zq/zq@h/x?zq")
@example("memory://[zq")
def test_nothing_of_the_credentials_is_shown_or_in_what_is_refused(url: str) -> None:
    outputs = [shown(url)]
    try:
        outputs.append(repr(connect(url)))
    except Error as error:
        outputs += [said_of(error), repr(error), error.message]
    assert not any("zq" in output for output in outputs), outputs


OPTIONS = {
    "redis": {"connect_timeout_ms": "50"},
    "mongodb": {"connect_timeout_ms": "50"},
    "postgresql": {},
    "sqlite": {},
}
UNREACHABLE = ("127.0.0.1:1/0", "127.0.0.1:1/0?sslmode=require", "127.0.0.1:1")


@pytest.mark.parametrize("scheme", OPTIONS)
@settings(deadline=None, max_examples=15)
@given(secret=secrets, place=st.sampled_from(UNREACHABLE))
@example(secret="zq", place="127.0.0.1:1")
@example(secret="zq@zq", place="127.0.0.1:1/0")
def test_nothing_of_the_credentials_is_in_what_doctor_finds(scheme: str, secret: str, place: str) -> None:
    async def found() -> list[str]:
        config = Config(storage_url=f"{scheme}://zquser:{secret}@{place}", storage_options=OPTIONS[scheme])
        return [finding.detail async for finding in database_findings(config)]

    details = asyncio.run(found())
    assert details
    assert not any("zq" in detail for detail in details), details


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://ava:hush@db.example:5432/memories?sslmode=require", "postgresql://db.example:5432/memories"),
        ("postgresql+asyncpg://ava:hush@one:1111,two:2222/memories", "postgresql+asyncpg://one:1111,two:2222/memories"),
        ("rediss://:hush@cache:6379/3", "rediss://cache:6379/3"),
        ("redis+sentinel://me:hush@a:1,b:2/main/0", "redis+sentinel://a:1,b:2/main/0"),
        ("mongodb://[::1]:27017/memsvc", "mongodb://[::1]:27017/memsvc"),
        ("mongodb+srv://ava:hush@cluster0.example.net/memsvc", "mongodb+srv://cluster0.example.net/memsvc"),
        ("sqlite:////var/lib/my memories/memory.db", "sqlite:////var/lib/my memories/memory.db"),
        ("sqlite:///memory.db", "sqlite:///memory.db"),
        ("memory://shared", "memory://shared"),
    ],
)
def test_where_nothing_is_in_doubt_the_place_is_shown(url: str, said: str) -> None:
    assert shown(url) == said


@pytest.mark.parametrize("url", ["postgre://a/b", "http://localhost", "localhost:5432", "", "://", "sqlite"])
def test_a_url_that_no_driver_serves_is_told_what_to_begin_with(url: str) -> None:
    with pytest.raises(Error, match=r"storage_url: .*postgresql://.*sqlite://"):
        connect(url)


@pytest.mark.parametrize("url", ["sqlite:///x.db", "redis://h", "mongodb://h", "postgresql://h/x"])
@pytest.mark.parametrize("option", ["postgresql://zqu:zqpw@h/x?a", "zqu:zqpw@h", "zq pw"])
def test_a_url_in_the_place_of_an_option_is_not_repeated(url: str, option: str) -> None:
    with pytest.raises(Error, match="no such option") as refused:
        connect(url, {option: "b"})
    assert "zq" not in said_of(refused.value)
