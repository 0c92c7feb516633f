"""The command line as its users meet it: what it says when it works, and in one line when it does not."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from memsvc.testing.fake_openai import FakeOpenAI
from memsvc.testing.replies import Received, Reply, error
from memsvc_client import AsyncMemoryClient

_SECONDS = 150


class Run:
    """A finished command."""

    def __init__(self, code: int, output: str, errors: str) -> None:
        self.code, self.output, self.errors = code, output, errors

    @property
    def lines(self) -> list[str]:
        return self.errors.strip().splitlines()


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """The environment of a user who has never used memsvc."""
    folder = tmp_path / "runtime"
    folder.mkdir(mode=0o700)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MEMSVC_", "OPENAI_", "XDG_"))}
    data, home = str(tmp_path / "data"), str(tmp_path)
    return {**kept, "XDG_DATA_HOME": data, "XDG_RUNTIME_DIR": str(folder), "HOME": home, "COLUMNS": "80"}


async def run(*arguments: str, given: str = "", environment: dict[str, str], python: tuple[str, ...] = ()) -> Run:
    command = (sys.executable, *(python or ("-m", "memsvc")), *arguments)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment)
    try:
        async with asyncio.timeout(_SECONDS):
            output, errors = await process.communicate(given.encode())
    except TimeoutError:
        process.kill()
        raise
    assert process.returncode is not None
    assert b"Traceback" not in output + errors, (output + errors).decode()
    return Run(process.returncode, output.decode(), errors.decode())


@contextmanager
def taken_port() -> Iterator[int]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


@pytest.mark.parametrize("library", ["click", "msgspec", "uvloop"])
async def test_without_its_libraries_it_says_what_to_install(library: str, home: dict[str, str]) -> None:
    code = f"import sys; sys.modules[{library!r}] = None; from memsvc.cli import main; main()"
    ended = await run("serve", environment=home, python=("-c", code))
    assert ended.code == 1
    assert ended.lines == [f"memsvc: needs {library}, which is not installed: pip install 'memsvc[server]'"]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (["srve"], "did you mean serve?"),
        (["cht"], "did you mean chat?"),
        (["dotcor"], "did you mean doctor?"),
        (["xyzzy"], "one of serve, demo, chat"),
        (["serve", "--storage-ur", "x"], "--storage-url"),
    ],
)
async def test_a_command_or_option_that_does_not_exist_says_which_one_was_meant(
    written: list[str], said: str, home: dict[str, str]
) -> None:
    ended = await run(*written, environment=home)
    assert ended.code == 2
    assert said in ended.errors


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("memsvc se", {"serve"}),
        ("memsvc serve --engine ", {"auto", "openai", "rules"}),
        ("memsvc serve --log-format ", {"text", "json"}),
        ("memsvc serve --storage-url po", {"postgres://", "postgresql://"}),
        ("memsvc drivers my", set()),
        ("memsvc drivers red", {"redis", "rediss"}),
    ],
)
async def test_values_complete_in_the_shell(typed: str, offered: set[str], home: dict[str, str]) -> None:
    environment = {**home, "_MEMSVC_COMPLETE": "bash_complete", "COMP_WORDS": typed}
    environment["COMP_CWORD"] = str(len(typed.split(" ")) - 1)
    ended = await run(environment=environment)
    assert {line.partition(",")[2] for line in ended.output.split()} == offered


async def test_an_address_that_cannot_be_had_says_why(home: dict[str, str]) -> None:
    with taken_port() as port:
        cases = {
            f"127.0.0.1:{port}": "the port is taken: another process listens there",
            "127.9.9.9.9:1": "there is no such host",
            "192.0.2.1:7432": "the address is not of this machine",
        }
        for address, why in cases.items():
            ended = await run("serve", "--storage-url=memory://", "--insecure", f"--listen={address}", environment=home)
            assert ended.code == 1
            assert ended.lines[-1] == f"memsvc: listen: cannot listen on {address}: {why}"


async def test_serve_says_in_one_line_what_it_serves_and_why(home: dict[str, str], tmp_path: Path) -> None:
    environment = {**home, "MEMSVC_OPENAI_BASE_URL": "http://ada:hush@127.0.0.1:9/v1", "MEMSVC_LEASE_SECONDS": "9"}
    async with FakeOpenAI():
        lines = await served(environment, tmp_path)
    (line,) = [line for line in lines if " serving " in line]
    assert f"database=sqlite:///{home['XDG_DATA_HOME']}/memsvc/memory.db" in line
    assert "version=" in line
    assert "engine=openai model=gpt-5-mini" in line
    assert 'because="openai_base_url is set by MEMSVC_OPENAI_BASE_URL"' in line
    assert "lease_seconds from MEMSVC_LEASE_SECONDS" in line
    assert "addresses=unix://" in line
    assert "hush" not in "".join(lines)


async def served(environment: dict[str, str], folder: Path, *arguments: str, learn: bool = False) -> list[str]:
    """Serve, let it learn something if asked, stop; return what it printed."""
    address = f"unix://{folder}/s"
    ready = folder / "ready"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "memsvc", "serve", "--listen", address, "--ready-file", str(ready), *arguments),
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )
    try:
        async with asyncio.timeout(_SECONDS):
            while not ready.exists():
                assert process.returncode is None
                await asyncio.sleep(0.02)
            if learn:
                async with AsyncMemoryClient(address) as client:
                    await client.user("sarah").append_run("s1", [("user", "I live in Lyon")], wait=20)
    finally:
        if process.returncode is None:
            process.terminate()
        assert process.stderr is not None
        errors = (await process.stderr.read()).decode()
        await process.wait()
    assert process.returncode == 0, errors
    return errors.splitlines()


@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
async def test_neither_the_key_nor_the_password_of_the_base_url_reaches_the_log(
    level: str, home: dict[str, str], tmp_path: Path
) -> None:
    async with FakeOpenAI() as model:
        environment = {
            **home,
            "MEMSVC_OPENAI_BASE_URL": model.base_url.replace("http://", "http://ada:hush@"),
            "OPENAI_API_KEY": "sk-quiet",
            "MEMSVC_OPENAI_EXTRA_HEADERS": "X-Secret=psst",
        }
        lines = await served(environment, tmp_path, "--quiet-seconds=0", f"--log-level={level}", learn=True)
        assert len(model.requests) == 1
    text = "\n".join(lines)
    assert " extracted " in text
    assert "session=s1" in text
    for secret in ("hush", "ada", "sk-quiet", "psst", "Lyon", "sarah"):
        assert secret not in text


@pytest.mark.parametrize(
    "url",
    [
        "http://ada:hush@127.0.0.1:9/v1",
        "http://ada:hu/sh@127.0.0.1:9/v1",
        "ada:hush@127.0.0.1:9/v1",
        "ftp://ada:hush@127.0.0.1:9",
        "http://ada:hush@[::1/v1",
        "http://ada:hush@",
    ],
)
async def test_doctor_does_not_print_the_password_of_the_models_base_url(url: str, home: dict[str, str]) -> None:
    ended = await run("doctor", "--openai-base-url", url, environment={**home, "OPENAI_API_KEY": "sk-quiet"})
    assert ended.code == 1
    assert "FAIL" in ended.output
    for secret in ("hush", "hu/sh", "ada", "sk-quiet"):
        assert secret not in ended.output + ended.errors


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("HTTPS_PROXY", "gopher://ada:hush@127.0.0.1:9", "HTTPS_PROXY has a scheme that is none of"),
        ("SSL_CERT_FILE", "/no/hush.pem", "SSL_CERT_FILE names what is not there"),
    ],
)
async def test_doctor_names_what_of_the_environment_keeps_the_model_away(
    name: str, value: str, said: str, home: dict[str, str]
) -> None:
    model = ("--openai-base-url", "https://127.0.0.1:9/v1", "--openai-api-key", "sk-quiet")
    ended = await run("doctor", *model, environment={**home, name: value})
    assert f"warn  environment: {said}" in ended.output
    assert "hush" not in ended.output + ended.errors


SPEAKING = [
    ("retry", "--all"),
    ("export", "--all"),
    ("import",),
    ("chat",),
    ("mcp",),
    ("ui",),
    ("healthcheck",),
    ("doctor",),
]


@pytest.mark.parametrize("command", SPEAKING, ids=lambda command: command[0])
async def test_a_target_that_is_none_says_what_to_write_instead(command: tuple[str, ...], home: dict[str, str]) -> None:
    for target, said in (("localhost", "localhost:7432"), ("redis://ada:hush@h/0", "a client speaks to a server")):
        ended = await run(*command, "--target", target, environment=home)
        assert ended.code == 2
        assert "Invalid value for '--target'" in ended.errors
        assert said in ended.errors
        assert "hush" not in ended.errors


@pytest.mark.parametrize("command", [("retry", ""), ("export", "ann", ""), ("chat", "--user", "")])
async def test_a_user_without_a_name_is_none(command: tuple[str, ...], home: dict[str, str]) -> None:
    ended = await run(*command, "--target", "127.0.0.1:1", environment=home)
    assert ended.code == 2
    assert "must not be empty" in ended.errors


_A_RECORD = '{"user_id": "ann", "memory": {"text": "Skis"}}\n'


@pytest.mark.parametrize("command", [("retry", "--all"), ("retry", "ann"), ("export", "--all"), ("import",)])
async def test_a_server_that_is_down_is_said_in_one_line(command: tuple[str, ...], home: dict[str, str]) -> None:
    ended = await run(*command, "--target", "127.0.0.1:1", given=_A_RECORD, environment=home)
    assert ended.code == 1
    assert "UNAVAILABLE" in ended.lines[0]


@pytest.mark.parametrize(
    "command",
    [
        ("retry", "--namespace", "\udcff", "--all"),
        ("retry", "\udcff"),
        ("export", "\udcff"),
        ("mcp", "--user", "\udcff"),
    ],
)
async def test_text_that_is_not_utf8_is_named(command: tuple[str, ...], home: dict[str, str]) -> None:
    ended = await run(*command, environment=home)
    assert ended.code == 2
    assert "must be UTF-8" in ended.errors


def saying(text: str) -> FakeOpenAI:
    """A model that learns nothing and answers with `text`."""

    def answer(request: Received) -> Reply:
        return Reply(content='{"operations": []}' if request.json.get("stream") else text)

    return FakeOpenAI(otherwise=answer)


@pytest.mark.parametrize("text", ["[bold]not bold[/bold] and data[key]", "[/foo] stays", "a [link=x]b[/link] \\[c]"])
async def test_chat_prints_the_models_answer_as_it_is(text: str, home: dict[str, str]) -> None:
    async with saying(text) as model:
        environment = {**home, "MEMSVC_OPENAI_BASE_URL": model.base_url}
        ended = await run("chat", given="Hello\n/quit\n", environment=environment)
    assert ended.code == 0, ended.errors
    assert text in ended.output


async def test_chat_stores_what_was_said_before_it_asks_the_model(home: dict[str, str]) -> None:
    async with FakeOpenAI([Reply(status=401, body=error("invalid_api_key"))] * 9) as model:
        environment = {**home, "MEMSVC_OPENAI_BASE_URL": model.base_url, "MEMSVC_ENGINE": "openai"}
        ended = await run("chat", given="I live in Lyon\n", environment={**environment, "MEMSVC_MAX_WAIT_SECONDS": "1"})
    assert "no answer: model endpoint answered 401" in ended.output
    stored = await run("chat", given="/memories\n", environment={**home, "MEMSVC_ENGINE": "rules"})
    assert "me" in stored.output
    async with AsyncMemoryClient.local(Path(home["XDG_DATA_HOME"]) / "memsvc" / "memory.db") as client:
        (session,) = [session async for session in client.user("me").sessions()]
        history = await client.user("me").history(session.session_id)
    assert [(message["role"], message["content"]) for message in history] == [("user", "I live in Lyon")]


async def test_chat_says_in_one_line_that_a_server_is_down_or_the_model_unreachable(home: dict[str, str]) -> None:
    down = await run("chat", "--target", "127.0.0.1:1", environment=home)
    assert down.code == 1
    assert len(down.lines) == 1
    unreachable = {**home, "MEMSVC_OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "MEMSVC_MAX_WAIT_SECONDS": "1"}
    ended = await run("chat", given="Hello there, I ski\n/quit\n", environment=unreachable)
    assert "no answer: model endpoint cannot be reached" in ended.output


async def test_serve_chat_doctor_and_the_client_use_one_database(home: dict[str, str], tmp_path: Path) -> None:
    await served(home, tmp_path, "--engine=rules", "--quiet-seconds=0", learn=True)
    ended = await run("chat", "--user=sarah", given="/memories\n", environment=home)
    assert "Lives in Lyon" in ended.output
    doctor = await run("doctor", environment=home)
    assert f"sqlite:///{home['XDG_DATA_HOME']}/memsvc/memory.db answers" in doctor.output
    script = (
        "from memsvc_client import MemoryClient\n"
        "with MemoryClient.local() as client:\n"
        "    print([memory.memory for memory in client.user('sarah').memories.list()])"
    )
    local = await run(environment=home, python=("-c", script))
    assert local.output == "['Lives in Lyon']\n"
    assert not (Path.cwd() / "tmp" / "memory.db").exists()


@pytest.mark.parametrize("columns", ["80", "60"])
async def test_the_demo_fits_its_width_in_a_pipe_and_ends_with_what_to_do_next(
    columns: str, home: dict[str, str]
) -> None:
    ended = await run("demo", environment={**home, "COLUMNS": columns})
    assert ended.code == 0, ended.errors
    lines = ended.output.splitlines()
    assert max(len(line) for line in lines) <= int(columns)
    assert "\x1b" not in ended.output
    assert "nothing lost" in ended.output.replace("\n", " ")
    assert "memsvc chat" in "\n".join(lines[-12:])
    assert "MemoryClient.local()" in "\n".join(lines[-6:])
