"""When an embedder is loaded: neither at the start, nor while everybody waits."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import asyncio
import sys

from memsvc.application import build_application
from memsvc.config import Config
from memsvc.extraction.engines import build_engine
from memsvc.meaning.embedders import build_embedder
from memsvc.model import Scope
from memsvc.storage.registry import connect


async def main():
    config = Config(engine="rules", embedder="static")
    driver = connect("memory://")
    await driver.open()
    app = build_application(driver, build_engine(config), config, embedder=build_embedder(config))
    assert "numpy" not in sys.modules
    await app.users.latest(Scope("default", ""))
    assert "numpy" not in sys.modules
    await app.users.latest(Scope("default", "sarah"))
    async with asyncio.timeout(20):
        while "_table" not in vars(app.meaning.embedder):
            await asyncio.sleep(0.01)
    await app.writer.close()


asyncio.run(main())
"""


def test_the_embedder_is_loaded_with_the_first_user_and_not_before() -> None:
    ended = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
