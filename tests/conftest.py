"""Database servers and stores for any test: each is started when the first test asks for it.

- `store_url` runs a test on every driver, all on stores that other tests use too; `fresh_store` on an empty one.
- `postgres.server`, `redis.server`, `mongodb_server` are shared by all tests: to be used, not to be harmed.
- `own_postgres`, `own_redis`, `own_mongodb` make servers that belong to the test, to be killed and frozen.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NoReturn, TypeVar

import pytest
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("memsvc.storage.conformance")

from memsvc.storage.conformance import Place  # noqa: E402
from memsvc.storage.registry import scheme_of  # noqa: E402
from tests.collecting import pytest_xdist_node_collection_finished  # noqa: E402, F401
from tests.servers import ferretdb  # noqa: E402
from tests.servers.ferretdb import FerretDB  # noqa: E402
from tests.servers.given import VARIABLES, GivenServer, given_server, given_urls  # noqa: E402
from tests.servers.postgres import Postgres  # noqa: E402
from tests.servers.process import DatabaseServer, ServerMissing  # noqa: E402
from tests.servers.redis import Redis  # noqa: E402
from tests.timeouts import (  # noqa: E402, F401
    pytest_runtest_call,
    pytest_runtest_setup,
    pytest_runtest_teardown,
    pytest_timeout_set_timer,
)
from tests.torture.databases import DATABASES, Database  # noqa: E402

# No example is judged by the clock: other work of the machine is no defect.
settings.register_profile("memsvc", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("memsvc")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell that starts the tests in the background has them ignore it, and so would what they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)

_Server = TypeVar("_Server", bound=DatabaseServer)
_Made = TypeVar("_Made")

FIXTURES = {"postgresql": "postgres_server", "redis": "redis_server", "mongodb": "mongodb_server"}
OWN_FIXTURES = {"postgresql": "own_postgres", "redis": "own_redis", "mongodb": "own_mongodb"}
NETWORKED = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in FIXTURES]
"""The drivers that talk to a server, as parameters of a test."""
MEASURED = pytest.StashKey[list[str]]()
STORES = ["memory", "sqlite", *NETWORKED, *given_urls()]


def pytest_configure(config: pytest.Config) -> None:
    for name in FIXTURES:
        config.addinivalue_line("markers", f"{name}: needs a server of this kind")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build FerretDB before the first test: no test has time to wait for it."""
    wanted = {FIXTURES["mongodb"], OWN_FIXTURES["mongodb"]}
    if session.config.option.collectonly or given_server("mongodb") is not None:
        return
    if any(item.get_closest_marker("mongodb") or wanted & set(_fixtures_of(item)) for item in session.items):
        if not ferretdb.cached_binary().exists():
            print("\nbuilding FerretDB, this once: it takes a minute or two", flush=True)
        # Where it cannot be had, the tests that need it say so.
        with contextlib.suppress(ServerMissing):
            ferretdb.binary()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what tests measured and could not judge: how long something takes depends on the machine."""
    if config.stash.get(MEASURED, None):
        terminalreporter.section("measured")
        for line in config.stash[MEASURED]:
            terminalreporter.line(line)


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Takes lines for the end of the report."""
    return request.config.stash.setdefault(MEASURED, []).append


def _fixtures_of(item: pytest.Item) -> Sequence[str]:
    return getattr(item, "fixturenames", ())


@pytest.fixture(scope="session", params=STORES)
def store_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store of each driver in turn. One serves all tests, so that each meets what the others left."""
    name: str = request.param
    if name == "memory":
        return "memory://conformance"
    if name == "sqlite":
        return f"sqlite:///{tmp_path_factory.getbasetemp()}/conformance.db"
    if name in FIXTURES:
        server: DatabaseServer | GivenServer = request.getfixturevalue(FIXTURES[name])
        return server.url
    return given_urls()[name]


@pytest.fixture
async def fresh_store(store_url: str, tmp_path: Path) -> AsyncIterator[Place]:
    """An empty store of each driver in turn, for this test alone."""
    async with _fresh(store_url, tmp_path) as place:
        yield place


@pytest.fixture
async def fresh_stores(
    postgres_server: Postgres | GivenServer,
    redis_server: Redis | GivenServer,
    mongodb_server: FerretDB | GivenServer,
    tmp_path: Path,
) -> AsyncIterator[Mapping[str, Place]]:
    """An empty store of every driver, by the driver's name."""
    urls = {"memory": "memory:", "sqlite": "sqlite:", "postgresql": postgres_server.url}
    urls |= {"redis": redis_server.url, "mongodb": mongodb_server.url}
    async with AsyncExitStack() as stack:
        yield {name: await stack.enter_async_context(_fresh(url, tmp_path)) for name, url in urls.items()}


@asynccontextmanager
async def _fresh(url: str, folder: Path) -> AsyncIterator[Place]:
    """Make an empty store beside the one at `url`."""
    scheme = scheme_of(url)
    if scheme == "memory":
        yield Place(f"memory://{secrets.token_hex(8)}", {})
    elif scheme == "sqlite":
        yield Place(f"sqlite:///{folder}/fresh.db", {})
    else:
        place = Place(url, {})
        async with place.bench().scratch(place) as scratch:
            yield scratch


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres | GivenServer]:
    yield from _shared("postgresql", Postgres)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis | GivenServer]:
    yield from _shared("redis", Redis)


@pytest.fixture(scope="session")
def mongodb_server() -> Iterator[FerretDB | GivenServer]:
    yield from _shared("mongodb", FerretDB)


@pytest.fixture
def own_postgres() -> Iterator[Callable[..., Postgres]]:
    """Makes and starts servers that belong to the test, and ends them with it."""
    yield from _own("postgresql", Postgres)


@pytest.fixture
def own_redis() -> Iterator[Callable[..., Redis]]:
    """Makes and starts servers that belong to the test, and ends them with it."""
    yield from _own("redis", Redis)


@pytest.fixture
def own_mongodb() -> Iterator[Callable[..., FerretDB]]:
    """Makes and starts servers that belong to the test, and ends them with it."""
    yield from _own("mongodb", FerretDB)


def _shared(name: str, kind: type[_Server]) -> Iterator[_Server | GivenServer]:
    given = given_server(name)
    if given is not None:
        yield given
        return
    server = must_have(kind)
    server.start()
    yield server
    server.close()


def _own(name: str, kind: type[_Server]) -> Iterator[Callable[..., _Server]]:
    _skip_if_given(name)
    made: list[_Server] = []

    def make(*args: object, **options: object) -> _Server:
        server = must_have(kind, *args, **options)
        made.append(server)
        server.start()
        return server

    yield make
    for server in made:
        server.close()


def own_database(driver: str, folder: Path) -> Iterator[Database]:
    """Return an empty database, for a fixture to yield: the test may kill and freeze its server, if it has one."""
    _skip_if_given(driver)
    database = must_have(DATABASES[driver], folder)
    yield database
    database.close()


def _skip_if_given(name: str) -> None:
    if name in VARIABLES and given_server(name) is not None:
        pytest.skip(f"the server of {VARIABLES[name]} is not the tests' own to harm")


def must_have(make: Callable[..., _Made], *args: object, **options: object) -> _Made:
    """Return what `make` makes; where this machine lacks the server that it takes, skip the test by its name."""
    try:
        return make(*args, **options)
    except ServerMissing as missing:
        _missing(str(missing))


def _missing(what: str) -> NoReturn:
    """Skip the test; on the machine that has to have everything, fail it."""
    if os.environ.get("CI") == "true" and not os.environ.get("MEMSVC_TEST_ALLOW_MISSING"):
        pytest.fail(what, pytrace=False)
    pytest.skip(what)
