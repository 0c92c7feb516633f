"""`memsvc migrate`, `memsvc drivers`, `memsvc conformance`."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import click

from memsvc.cli.settings import configuration, settings_options
from memsvc.storage.registry import connect, plugins

_STORAGE = ("storage_url", "storage_options")


@click.command()
@click.option("--check", is_flag=True, help="Only say what would be done; exit 1 if anything would.")
@settings_options(*_STORAGE)
def migrate(config_file: str, check: bool, **flags: Any) -> None:
    """Bring the database's schema up to date. Safe to run from several places at once."""
    config, _ = configuration(config_file, flags)
    report = asyncio.run(connect(config.storage_url, config.storage_options).migrate(check=check))
    click.echo(f"schema version {report.found}, wanted {report.wanted}")
    for step in report.steps:
        click.echo(f"{'would apply' if check else 'applied'}: {step}")
    if check and report.steps:
        sys.exit(1)


@click.command()
def drivers() -> None:
    """List the installed drivers by URL scheme, and whether each can be used."""
    for scheme, point in plugins().items():
        try:
            driver = point.load()
            summary = (driver.__doc__ or "").strip().partition("\n")[0]
        except ModuleNotFoundError as error:
            summary = f"not usable: {error.name} is not installed"
        click.echo(f"{scheme + '://':16} {summary}")


@click.command()
@click.option("--url", required=True, help="The database. The suite works in namespaces of its own and cleans up.")
@click.option("--option", "options", multiple=True, help="An option of the driver, name=value. Repeatable.")
@click.option("--only", default="", help="Only tests whose name contains this.")
@click.option("--markdown", is_flag=True, help="Print the report as Markdown.")
def conformance(url: str, options: tuple[str, ...], only: str, markdown: bool) -> None:
    """Run the driver conformance suite; exits 0 only if all of it passed."""
    from memsvc.storage.conformance import run

    named = dict(option.partition("=")[::2] for option in options)
    report = asyncio.run(run(url, options=named, select=only))
    click.echo(report.as_markdown() if markdown else report.as_text())
    sys.exit(0 if report.passed else 1)
