"""`memsvc doctor` on a model, and `memsvc retry`."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from memsvc.testing.fake_openai import FakeOpenAI
from memsvc.testing.replies import Reply
from memsvc_client import AsyncMemoryClient
from tests.torture.process import Installation


async def memsvc(*arguments: str, **environment: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "memsvc", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "COLUMNS": "300", **environment},
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    assert "Traceback" not in output.decode()
    return process.returncode, output.decode()


def model_line(output: str) -> str:
    return next(line for line in output.splitlines() if " model: " in line or " engine: " in line)


async def test_doctor_learns_from_one_sentence_as_a_server_would() -> None:
    async with FakeOpenAI() as fake:
        url = fake.base_url.replace("//", "//bob:hunter2@")
        code, output = await memsvc("doctor", "--storage-url=memory://", OPENAI_BASE_URL=url, OPENAI_API_KEY="sk-x")
        assert [request.path for request in fake.requests] == ["/v1/chat/completions"]
    assert code == 0
    assert f"gpt-5-mini at {fake.base_url} answers 200" in model_line(output)
    assert "The user lives in London." in output
    assert "hunter2" not in output


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (
            Reply(
                status=401, body=json.dumps({"error": {"message": "Incorrect API key: sk-x", "code": "bad"}}).encode()
            ),
            ["401", "Incorrect API key"],
        ),
        (Reply(status=404, body=b'{"error": {"message": "no model gpt-5-mini"}}'), ["404", "no model gpt-5-mini"]),
        (Reply(body=b"<html>Sign in</html>"), ["web page"]),
        (Reply(content="I do not do JSON."), ["MODEL_OUTPUT_UNUSABLE"]),
    ],
)
async def test_doctor_says_what_the_endpoint_said(reply: Reply, said: list[str]) -> None:
    async with FakeOpenAI([reply]) as fake:
        code, output = await memsvc("doctor", "--storage-url=memory://", OPENAI_BASE_URL=fake.base_url)
    assert code == 1
    for each in (fake.base_url, *said):
        assert each in model_line(output)


async def test_doctor_names_an_endpoint_that_is_not_there() -> None:
    async with FakeOpenAI() as fake:
        url = fake.base_url
    code, output = await memsvc("doctor", "--storage-url=memory://", OPENAI_BASE_URL=url)
    assert code == 1
    assert f"at {url}: MODEL_UNAVAILABLE" in model_line(output)
    assert model_line(output).endswith("cannot be reached: Connection refused")


async def test_what_failed_is_retried_for_everybody_and_for_one(tmp_path: Path) -> None:
    refusals = [Reply(refusal="no") for _ in range(3)]
    settings = {"engine": "openai", "openai_api_key": "none", "quiet_seconds": 0}
    installation = Installation(tmp_path, f"sqlite:///{tmp_path}/m.db", settings)
    async with FakeOpenAI(refusals) as fake, installation.serving(openai_base_url=fake.base_url) as server:
        async with AsyncMemoryClient(server.target) as client:
            for user_id in ("ada", "ben", "cyd"):
                user = client.user(user_id)
                await user.append_run("s1", [("user", "I live in Lyon.")])
                while not (await user.stats()).failed_extraction_count:
                    await asyncio.sleep(0.02)
            code, one = await memsvc("retry", "ada", f"--target={server.target}")
            _, everybody = await memsvc("retry", "--all", f"--target={server.target}")
            wrong, _ = await memsvc("retry", f"--target={server.target}")
            for user_id in ("ada", "ben", "cyd"):
                user = client.user(user_id)
                while (await user.stats()).open_extraction_count:
                    await asyncio.sleep(0.02)
                assert [memory.memory async for memory in user.memories.list()] == ["The user lives in Lyon."]
    assert (code, one, everybody, wrong) == (0, "1 extractions wait again\n", "2 extractions wait again\n", 2)
