"""`memsvc migrate`, `memsvc drivers`, `memsvc conformance`."""

from __future__ import annotations

import asyncio
import os
import sys
from importlib.metadata import EntryPoint
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from memsvc.cli.settings import SchemeType, StorageUrlType, configuration, option_values, settings_options
from memsvc.errors import Error, InvalidArgument, SchemaMismatch
from memsvc.storage.driver import Driver, Migration
from memsvc.storage.registry import bringer_of, connect, named, plugins

_STORAGE = ("storage_url", "storage_options")
_FILE_COLUMNS = 120


@click.command()
@click.option("--check", is_flag=True, help="Change nothing. Exits 0: nothing to do, 1: steps are pending, 2: error.")
@settings_options(*_STORAGE)
def migrate(config_file: str | None, check: bool, **flags: Any) -> None:
    """Bring the database's schema up to date. Safe to run from several places at once.

    SQLite files migrate themselves when they are opened. A shared database is migrated by this command (a job, before
    the new version is rolled out), since servers of the old version may be using it.
    """
    config, _ = configuration(config_file, flags)
    try:
        with named(config.storage_url):
            pending = asyncio.run(_migrate(connect(config.storage_url, config.storage_options), check))
    except Error as error:
        if isinstance(error, InvalidArgument) or not check:
            raise
        click.echo(f"memsvc: {error.message}", err=True)
        sys.exit(2)
    sys.exit(1 if pending else 0)


async def _migrate(driver: Driver, check: bool) -> bool:
    """Return whether steps are pending still."""
    found = await driver.migrate(check=True)
    if found.found > found.wanted:
        raise SchemaMismatch(f"schema {found.found}, this memsvc needs {found.wanted}: run a newer memsvc")
    if not found.steps:
        click.echo(f"schema version {found.found}: nothing to do")
        return False
    click.echo(f"schema version {found.found}, wanted {found.wanted}")
    for step in found.steps:
        click.echo(f"{'would apply' if check else 'to apply'}: {step}")
    if check:
        return True
    _say_done(await driver.migrate(), found)
    return False


def _say_done(done: Migration, wanted: Migration) -> None:
    for step in wanted.steps:
        click.echo(f"applied: {step}" if step in done.steps else f"applied by another process meanwhile: {step}")


@click.command()
@click.argument("scheme", default="", type=SchemeType())
def drivers(scheme: str) -> None:
    """List the installed drivers, or the options of the one of SCHEME."""
    if scheme:
        _print_options(scheme.removesuffix("://"))
        return
    table = Table("scheme", "usable", "brought by", "")
    for column in table.columns[:3]:
        column.no_wrap = True
    for name, point in plugins().items():
        factory, missing = _loaded(point)
        summary = (factory.__doc__ or "").strip().partition("\n")[0] if factory is not None else ""
        table.add_row(f"{name}://", missing or "yes", escape(bringer_of(name)), escape(summary))
    console = _console()
    console.print(table)
    console.print("Options of a driver, for --storage-options: memsvc drivers SCHEME")


def _print_options(scheme: str) -> None:
    if scheme not in plugins():
        raise click.UsageError(f"no driver for {scheme}: one of {', '.join(plugins())}")
    factory, missing = _loaded(plugins()[scheme])
    if factory is None:
        raise click.ClickException(f"{missing}: pip install '{bringer_of(scheme)}'")
    # A driver of another house may say nothing of its options.
    options = factory.options() if hasattr(factory, "options") else {}
    table = Table("option", "", title=f"{scheme}://", title_justify="left")
    table.columns[0].no_wrap = True
    for name, said in options.items():
        table.add_row(name, escape(said))
    _console().print(table if options else f"The {scheme} driver has no options.")


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal or "COLUMNS" in os.environ else Console(highlight=False, width=_FILE_COLUMNS)


def _loaded(point: EntryPoint) -> tuple[Any, str]:
    """Return the driver's class, or None and why not."""
    try:
        return point.load(), ""
    except ModuleNotFoundError as error:
        return None, f"no: needs {error.name}"
    except (ImportError, AttributeError) as error:
        return None, f"no: cannot be loaded: {error}"


@click.command()
@click.option(
    "--storage-url",
    "url",
    required=True,
    type=StorageUrlType(),
    help="The database. The suite works in namespaces of its own and cleans up.",
)
@click.option(
    "--storage-options", "options", multiple=True, metavar="NAME=VALUE", help="An option of the driver. Repeatable."
)
@click.option("--only", default="", help="Only tests whose name contains this.")
@click.option("--markdown", is_flag=True, help="Print the report as Markdown.")
def conformance(url: str, options: tuple[str, ...], only: str, markdown: bool) -> None:
    """Run the driver conformance suite; exits 0 only if all of it passed."""
    from memsvc.storage.conformance import Result, run

    def show(result: Result) -> None:
        click.echo(f"\x1b[2K\r{result.theme}: {result.name}", err=True, nl=False)

    watched = sys.stderr.isatty()
    report = asyncio.run(run(url, options=option_values(options), select=only, on_result=show if watched else None))
    if watched:
        click.echo("\x1b[2K\r", err=True, nl=False)
    click.echo(report.as_markdown() if markdown else report.as_text())
    sys.exit(0 if report.passed else 1)
