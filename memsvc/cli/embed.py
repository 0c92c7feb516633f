"""`memsvc embed`."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import click

from memsvc.cli.settings import configuration, settings_options
from memsvc.config import Config
from memsvc.errors import Error, invalid

_SETTINGS = (
    "storage_url",
    "storage_options",
    "embedder",
    "embedding_base_url",
    "embedding_api_key",
    "embedding_model",
    "embedding_dimensions",
    "embedding_timeout_seconds",
    "openai_base_url",
    "openai_api_key",
)


@click.command()
@settings_options(*_SETTINGS)
def embed(config_file: str | None, **flags: Any) -> None:
    """Make the vectors that memories lack: all of them after another embedder or model was chosen.

    A server makes them too, for whoever is searched; this makes all at once. It may run beside servers, be stopped at
    any time and started again: what is made is kept.
    """
    config, _ = configuration(config_file, flags)
    asyncio.run(_embed(config))


async def _embed(config: Config) -> None:
    from memsvc.meaning import Meaning
    from memsvc.meaning.embedders import build_embedder
    from memsvc.meaning.sweep import Swept, embed_all
    from memsvc.storage.registry import connect
    from memsvc.users import Users
    from memsvc.writing.writer import Writer

    embedder = build_embedder(config)
    if embedder is None:
        raise invalid("embedder", "there is none: name one, or pip install numpy")
    driver = connect(config.storage_url, config.storage_options)
    await driver.open()
    watched = sys.stderr.isatty()
    swept = Swept()
    try:
        users = Users(driver, config.cache_bytes)
        writer = Writer(users)
        async for swept in embed_all(driver, users, Meaning(users, writer, embedder)):
            if watched:
                _show(swept)
        await writer.close()
    except Error:
        click.echo(f"stopped after {_words(swept)}: run it again", err=True)
        raise
    finally:
        await driver.close()
        await embedder.close()
    if watched:
        click.echo("\x1b[2K\r", err=True, nl=False)
    click.echo(f"{embedder.name}: {_words(swept)}")


def _show(swept: Any) -> None:
    click.echo(f"\x1b[2K\r{_words(swept)}{f', waits: {swept.waits}' if swept.waits else ''}", err=True, nl=False)


def _words(swept: Any) -> str:
    return f"{swept.users} users, {swept.memories} memories, {swept.made} vectors made"
