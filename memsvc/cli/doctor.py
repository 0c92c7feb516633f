"""`memsvc doctor`: check configuration, database, model and a running server, and say what is wrong."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import click

from memsvc.cli.findings import Finding, Verdict, database_findings
from memsvc.cli.parameters import TargetType
from memsvc.cli.settings import configuration, settings_options
from memsvc.config import Config
from memsvc.endpoint.client import OPENAI_URL
from memsvc.endpoint.environment import environment_problems
from memsvc.errors import Error, ExtractionError, InvalidArgument
from memsvc.extraction.engine import Conversation, Engine, Finished
from memsvc.extraction.schemas import default_schemas
from memsvc.log import stay_silent
from memsvc.model import Message, Role, TextPart
from memsvc.redaction import Redactor

if TYPE_CHECKING:
    from memsvc_client import ServerInfo


@click.command()
@click.option(
    "--target", default="", type=TargetType(), help="A running server to ask as well: unix:///path or host:port."
)
@settings_options()
def doctor(config_file: str | None, target: str, **flags: Any) -> None:
    """Check configuration, database, model and a running server. Exits 1 if something failed.

    Asks the model once, to learn from one sentence of nobody. Writes nothing but what opening a database writes (a
    missing SQLite file is not created).
    """
    config, sources = configuration(config_file, flags)
    findings = asyncio.run(_examine(config, dict(sources), target))
    for finding in findings:
        click.echo(f"{finding.verdict.value:<5} {finding.subject}: {finding.detail}")
    sys.exit(any(finding.verdict is Verdict.FAILED for finding in findings))


async def _examine(config: Config, sources: dict[str, str], target: str) -> list[Finding]:
    findings = [Finding(Verdict.OK, "configuration", _shown(sources))]
    findings += [finding async for finding in database_findings(config)]
    findings.append(_serving(config))
    findings += _ignored_lines(config)
    findings += _environment(config)
    findings.append(await _engine(config, sources))
    findings.append(await _embedder(config))
    if target:
        findings.append(_server(target))
    return findings


def _shown(sources: dict[str, str]) -> str:
    given = ", ".join(f"{name} from {source}" for name, source in sources.items())
    return given or "all defaults"


def _serving(config: Config) -> Finding:
    """Build what a server is made of, and look at its addresses, without opening anything."""
    from memsvc.application import build_application
    from memsvc.extraction.rules import RulesEngine
    from memsvc.http.port import checked_address, checked_origins
    from memsvc.rpc.addresses import parse_address
    from memsvc.rpc.listeners import missing_protection
    from memsvc.storage.memory import MemoryDriver
    from memsvc.tracing import OFF

    stay_silent()
    try:
        application = build_application(MemoryDriver("memory://", {}), RulesEngine(), config, traces=OFF)
        lacks = missing_protection(application)
        for text in config.listen:
            parse_address(text, insecure=config.insecure, lacks=lacks)
        if config.health_listen:
            parse_address(config.health_listen, insecure=True, setting="health_listen")
        if config.http_listen:
            checked_address(application)
            checked_origins(config)
    except (Error, ModuleNotFoundError) as error:
        return Finding(Verdict.FAILED, "serving", str(error))
    known = "callers are asked who they are" if application.gate is not None else "nobody is asked who calls"
    return Finding(Verdict.OK, "serving", f"on {', '.join(config.listen)}; {known}")


def _ignored_lines(config: Config) -> Iterator[Finding]:
    """Yield the lines of the tokens file that let nobody in."""
    from memsvc.access.token_file import TokenFile

    with suppress(InvalidArgument):  # `_serving` has said that it cannot be read.
        for number, entry in TokenFile(Path(config.tokens_file)).lines() if config.tokens_file else ():
            if isinstance(entry, InvalidArgument):
                yield Finding(Verdict.WARNING, "tokens_file", f"line {number} is ignored: {entry.message}")


def _environment(config: Config) -> Iterator[Finding]:
    """Yield what of the environment may keep calls from reaching the model, where one is asked."""
    from memsvc.extraction.engines import chosen_engine

    if chosen_engine(config) != "rules":
        for problem in environment_problems(os.environ):
            yield Finding(Verdict.WARNING, "environment", problem)


async def _engine(config: Config, sources: Mapping[str, str]) -> Finding:
    from memsvc.extraction.engines import build_engine, chosen_engine, engine_reason

    name = chosen_engine(config)
    try:
        engine = build_engine(config)
    except (Error, ValueError, ModuleNotFoundError) as error:
        return Finding(Verdict.FAILED, "engine", str(error))
    try:
        if name == "rules":
            return Finding(Verdict.OK, "engine", f"rules: {engine_reason(config, sources)}")
        return await _model(config, engine)
    finally:
        await engine.close()


async def _embedder(config: Config) -> Finding:
    """Embed one sentence: what a server will do, with the same settings."""
    from memsvc.meaning.embedders import build_embedder
    from memsvc.search.embedders.contract import EmbeddingFailed

    try:
        embedder = build_embedder(config)
    except (Error, ValueError, OSError) as error:
        return Finding(Verdict.FAILED, "embedder", str(error))
    if embedder is None:
        return Finding(Verdict.OK, "embedder", "none: search goes by words")
    started = time.monotonic()
    try:
        (vector,) = await embedder.embed(["My name is Ada Lovelace and I live in London."])
    except (EmbeddingFailed, ValueError, OSError) as error:
        return Finding(Verdict.FAILED, "embedder", f"{embedder.name}: {Redactor().text(str(error))}")
    finally:
        await embedder.close()
    took = (time.monotonic() - started) * 1000
    return Finding(
        Verdict.OK, "embedder", f"{embedder.name}: {len(vector)} dimensions, {took:.0f} ms for the first text"
    )


async def _model(config: Config, engine: Engine) -> Finding:
    """Learn from one sentence: what a server will do, with the same settings."""
    url = _without_credentials(config.openai_base_url or OPENAI_URL)
    where = f"{config.openai_model} at {url}"
    said = Message(Role.USER, (TextPart("My name is Ada Lovelace and I live in London."),))
    started = time.monotonic()
    try:
        *_, finished = [event async for event in engine.extract(Conversation([said], schemas=default_schemas()))]
    except ExtractionError as error:
        message = f": {Redactor().text(error.endpoint_message)}" if error.endpoint_message else ""
        return Finding(Verdict.FAILED, "model", f"{where}: {error.reason}, {error.detail}{message}")
    assert isinstance(finished, Finished)
    took = f"{finished.usage.calls} call in {time.monotonic() - started:.1f} s, {finished.usage.input_tokens} tokens in"
    learned = "; ".join(operation.text for operation in finished.operations)
    if not learned:
        return Finding(Verdict.WARNING, "model", f"{where} answers 200 and learned nothing from a name ({took})")
    return Finding(Verdict.OK, "model", f"{where} answers 200 and learned: {learned} ({took})")


def _without_credentials(url: str) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def _server(target: str) -> Finding:
    from memsvc_client import MemoryClient, MemoryServiceError

    try:
        with MemoryClient(target, timeout_seconds=5) as client:
            info = client.server_info()
    except (MemoryServiceError, ValueError) as error:
        return Finding(Verdict.FAILED, "server", str(error))
    return Finding(Verdict.OK, "server", _told(info))


def _told(info: ServerInfo) -> str:
    embedder = info.embedder or "none"
    return f"memsvc {info.version} on {info.driver}, engine {info.engine}, embedder {embedder}"
