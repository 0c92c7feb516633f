"""`memsvc doctor`: check configuration, database, model and a running server, and say what is wrong."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import click

from memsvc.cli.findings import Finding, Verdict, database_findings
from memsvc.cli.settings import configuration, settings_options
from memsvc.config import Config
from memsvc.errors import Error


@click.command()
@click.option("--target", default="", help="A running server to ask as well: unix:///path or host:port.")
@settings_options()
def doctor(config_file: str, target: str, **flags: Any) -> None:
    """Check configuration, database, model and a running server. Exits 1 if something failed.

    Writes nothing but what opening a database writes (a missing SQLite file is not created).
    """
    config, sources = configuration(config_file, flags)
    findings = asyncio.run(_examine(config, dict(sources), target))
    for finding in findings:
        click.echo(f"{finding.verdict.value:<5} {finding.subject}: {finding.detail}")
    sys.exit(any(finding.verdict is Verdict.FAILED for finding in findings))


async def _examine(config: Config, sources: dict[str, str], target: str) -> list[Finding]:
    findings = [Finding(Verdict.OK, "configuration", _shown(sources))]
    findings += [finding async for finding in database_findings(config)]
    findings.append(await _engine(config))
    if target:
        findings.append(_server(target))
    return findings


def _shown(sources: dict[str, str]) -> str:
    given = ", ".join(f"{name} from {source}" for name, source in sources.items())
    return given or "all defaults"


async def _engine(config: Config) -> Finding:
    from memsvc.extraction.engines import build_engine, chosen_engine

    name = chosen_engine(config)
    try:
        engine = build_engine(config)
    except (Error, ValueError, ModuleNotFoundError) as error:
        return Finding(Verdict.FAILED, "engine", str(error))
    try:
        if name == "rules":
            return Finding(Verdict.OK, "engine", "rules: no model is configured (set MEMSVC_OPENAI_API_KEY for one)")
        return await _model(config)
    finally:
        await engine.close()


async def _model(config: Config) -> Finding:
    import openai

    client = openai.AsyncOpenAI(
        api_key=config.openai_api_key or "none",
        base_url=config.openai_base_url or None,
        timeout=10.0,
        max_retries=0,
    )
    try:
        names = [model.id async for model in client.models.list()]
    except openai.OpenAIError as error:
        return Finding(Verdict.FAILED, "model", f"the endpoint does not answer as it should: {type(error).__name__}")
    finally:
        await client.close()
    if names and config.openai_model not in names:
        return Finding(Verdict.WARNING, "model", f"{config.openai_model} is not among the endpoint's models")
    return Finding(Verdict.OK, "model", f"{config.openai_model} is there")


def _server(target: str) -> Finding:
    from memsvc_client import MemoryClient, MemoryServiceError

    try:
        with MemoryClient(target, timeout_seconds=5) as client:
            info = client.server_info()
    except (MemoryServiceError, ValueError) as error:
        return Finding(Verdict.FAILED, "server", str(error))
    return Finding(Verdict.OK, "server", f"memsvc {info.version} on {info.driver}, engine {info.engine}")
