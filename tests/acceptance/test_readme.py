"""README.md and docs/quickstart.md are run as they stand, and what they say is printed is what is printed.

In a `python` block, the lines after a `print` that begin with `# -> ` are its output. In a `console` block, what comes
after `$ ` is a command, and what follows is its output, if it is shown; `...` stands for anything. Names of hosts stand
for files here; `make` and `pip` lines are looked up.
"""

from __future__ import annotations

import asyncio
import fnmatch
import os
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sidecars import seen_to_end

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", "docs/quickstart.md"]
OTHER_PAGES = [
    *("CONTRIBUTING.md", "examples/README.md", "clients/python/README.md"),
    *("docs/kubernetes.md", "helm/README.md", "helm/memsvc/README.md", "helm/memsvc-sidecar/README.md"),
    "helm/memsvc-injector/README.md",
]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_STANDS_FOR = {"postgresql://memsvc@db/memsvc": "sqlite:///copied.db"}
_SECONDS = 150


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return [body for found, body in _BLOCK.findall(text) if found == language]


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a user who has never used memsvc."""
    folder = tmp_path / "xdg"
    folder.mkdir(mode=0o700)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MEMSVC_", "OPENAI_", "XDG_"))}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with seen_to_end() as variables:
        yield {**kept, **variables, "XDG_DATA_HOME": str(folder), "PATH": path, "COLUMNS": "120"}


async def output_of(*command: str, folder: Path, environment: dict[str, str]) -> str:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=pipe,
        stderr=asyncio.subprocess.STDOUT,
        cwd=folder,
        env=environment,
    )
    async with asyncio.timeout(_SECONDS):
        output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


@pytest.mark.parametrize("page", PAGES)
async def test_its_python_prints_what_it_says(page: str, environment: dict[str, str], tmp_path: Path) -> None:
    for block in blocks(page, "python"):
        said = re.findall(r"^ *# -> (.*)$", block, re.MULTILINE)
        printed = await output_of(sys.executable, "-c", block, folder=tmp_path, environment=environment)
        assert [line for line in printed.splitlines() if line] == said


@pytest.mark.timeout(400)
@pytest.mark.parametrize("page", PAGES)
async def test_its_commands_print_what_it_says(page: str, environment: dict[str, str], tmp_path: Path) -> None:
    make = (ROOT / "Makefile").read_text(encoding="utf-8")
    there = ["migrate", "--storage-url", "sqlite:///memory.db"]
    await output_of("memsvc", *there, folder=tmp_path, environment=environment)
    for block in blocks(page, "console"):
        for line, said in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
            for name, meant in _STANDS_FOR.items():
                line = line.replace(name, meant)
            program, *arguments = shlex.split(line, comments=True)
            if program == "make":
                assert re.search(rf"^{arguments[0]}:", make, re.MULTILINE), f"there is no target {arguments[0]}"
            elif program == "pip":
                assert set(extras_in(line)) <= extras()
            elif arguments == ["chat"]:
                continue
            else:
                printed = await output_of(program, *arguments, folder=tmp_path, environment=environment)
                pattern = said.replace("[", "[[]").replace("...\n", "*")
                assert not said or fnmatch.fnmatchcase(printed, pattern), printed


def extras() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return set(project["optional-dependencies"])


def extras_in(text: str) -> list[str]:
    return [extra for found in re.findall(r"\[([\w,]+)\]'", text) for extra in found.split(",")]


def test_its_table_names_every_extra() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = readme.partition("| extra | for |")[2].partition("\n\n")[0]
    assert (
        set(re.findall(r"`([\w-]+)`(?=[,` \w-]*\|)", re.sub(r"\|[^|]*\|$", "|", rows, flags=re.MULTILINE))) == extras()
    )


@pytest.mark.parametrize("page", [*PAGES, *OTHER_PAGES])
def test_what_it_names_is_there(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in link]
    assert [link for link in links if not ((ROOT / page).parent / link).exists()] == []
    tests = re.findall(r"ARGS=([\w/.]+)", text)
    assert [path for path in tests if not (ROOT / path).exists()] == []
    targets = set(re.findall(r"`make ([\w-]+)", text))
    make = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert {target for target in targets if not re.search(rf"^{target}:", make, re.MULTILINE)} == set()


async def test_the_sidecar_of_its_pod_serves(environment: dict[str, str], tmp_path: Path) -> None:
    (block,) = blocks("README.md", "yaml")
    (args,) = re.findall(r"args: \[(.*?)\]", block, re.DOTALL)
    arguments = [argument.strip().strip('"') for argument in args.replace("\n", " ").split(",")]
    here = {"/run/memsvc": f"{tmp_path}/run", "/data": f"{tmp_path}/data", "0.0.0.0:7433": "127.0.0.1:0"}
    for name, meant in here.items():
        arguments = [argument.replace(name, meant) for argument in arguments]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "memsvc", *arguments), stderr=asyncio.subprocess.PIPE, env=environment
    )
    try:
        assert process.stderr is not None
        async with asyncio.timeout(_SECONDS):
            line = (await process.stderr.readline()).decode()
        assert " serving " in line
        assert f"unix://{tmp_path}/run/memsvc.sock" in line
    finally:
        process.terminate()
        _, rest = await process.communicate()
    assert process.returncode == 0, rest.decode()
