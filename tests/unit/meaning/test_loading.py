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


_BROKEN = """
import asyncio
import gc
import logging

from memsvc.application import build_application
from memsvc.config import Config
from memsvc.extraction.engines import build_engine
from memsvc.meaning.embedders import build_embedder
from memsvc.model import Scope
from memsvc.search.embedders.static import StaticEmbedder
from memsvc.storage.registry import connect


def load(self):
    raise OSError("the table cannot be read")


async def main():
    logging.basicConfig(format="%(message)s")
    StaticEmbedder.load = load
    config = Config(engine="rules", embedder="static")
    driver = connect("memory://")
    await driver.open()
    app = build_application(driver, build_engine(config), config, embedder=build_embedder(config))
    await app.users.latest(Scope("default", "sarah"))
    await asyncio.get_running_loop().shutdown_default_executor()
    await asyncio.sleep(0)
    gc.collect()
    await app.writer.close()


asyncio.run(main())
"""


def test_an_embedder_that_cannot_be_loaded_is_told_in_one_line() -> None:
    ended = subprocess.run([sys.executable, "-c", _BROKEN], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count("embedder_not_loaded") == 1
    assert "Traceback" not in ended.stderr


def test_the_embedder_is_loaded_with_the_first_user_and_not_before() -> None:
    ended = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
