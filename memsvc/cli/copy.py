"""`memsvc copy`: everything from one database to another."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from memsvc import copying
from memsvc.cli import INTERRUPTED
from memsvc.cli.settings import StorageUrlType, option_values
from memsvc.copying import Comparison, Copied, Role, Side, SideFailed
from memsvc.errors import Error
from memsvc.storage.registry import connect

_T = TypeVar("_T")

_BAR_SECONDS = 0.2
_LINE_SECONDS = 5.0
_NAMED = 20

_GO_ON = "What was copied stays: run the same command again to go on."


@click.command()
@click.option(
    "--from",
    "source_url",
    required=True,
    type=StorageUrlType(),
    envvar="MEMSVC_COPY_FROM",
    show_envvar=True,
    help="The database to copy.",
)
@click.option(
    "--to",
    "destination_url",
    required=True,
    type=StorageUrlType(),
    envvar="MEMSVC_COPY_TO",
    show_envvar=True,
    help="Where to; made or migrated.",
)
@click.option(
    "--from-options", "source_options", multiple=True, metavar="NAME=VALUE", help="A driver's option. Repeatable."
)
@click.option(
    "--to-options", "destination_options", multiple=True, metavar="NAME=VALUE", help="A driver's option. Repeatable."
)
@click.option(
    "--concurrency", default=8, show_default=True, type=click.IntRange(1, 256), help="Users under way at once."
)
def copy(
    source_url: str,
    destination_url: str,
    source_options: tuple[str, ...],
    destination_options: tuple[str, ...],
    concurrency: int,
) -> None:
    """Copy everything from one database to another, between any two drivers, and check it.

    Databases are named as --storage-url names them; in the environment, passwords stay out of lists of processes.

    Nobody may use the destination meanwhile. Stop the servers of the source first; or copy while they run, stop them,
    and copy again: only who moved since is copied then. Cut off at any point, the same command goes on.

    Users who were used at the destination are named and not touched. Exits 1 if anybody was left or differs.
    """
    if source_url == destination_url and source_options == destination_options:
        raise click.UsageError("--from and --to name the same database")
    source = _side(Role.SOURCE, source_url, source_options)
    destination = _side(Role.DESTINATION, destination_url, destination_options)
    console = Console(highlight=False)
    try:
        whole = asyncio.run(_copy(source, destination, concurrency, console))
    except SideFailed as error:
        raise click.ClickException(f"{error.message}\n{_GO_ON}") from error
    except KeyboardInterrupt:
        click.echo(f"\nInterrupted. {_GO_ON}", err=True)
        sys.exit(INTERRUPTED)
    sys.exit(0 if whole else 1)


def _side(role: Role, url: str, options: tuple[str, ...]) -> Side:
    try:
        return Side(role, connect(url, option_values(options)))
    except Error as error:
        raise SideFailed(role, error) from error


async def _copy(source: Side, destination: Side, concurrency: int, console: Console) -> bool:
    async with _opened(source), _opened(destination):
        progress = copying.Progress()
        with _Display(console, "copying", lambda: progress) as display:
            copied = await display.during(copying.copy(source, destination, progress, concurrency=concurrency))
        comparison = Comparison()
        checked = copying.Progress(progress.users, counted=True)

        def look() -> copying.Progress:
            checked.users_done = comparison.users_done
            return checked

        with _Display(console, "checking", look) as display:
            await display.during(copying.compare(source, destination, comparison, concurrency=concurrency))
    _report(console, copied, comparison)
    return comparison.same and not copied.left_count


@asynccontextmanager
async def _opened(side: Side) -> AsyncIterator[None]:
    await side.open()
    try:
        yield
    finally:
        await side.driver.close()


class _Display:
    """A bar on a terminal; elsewhere a line now and then."""

    def __init__(self, console: Console, doing: str, look: Callable[[], copying.Progress]) -> None:
        self._console = console
        self._doing = doing
        self._look = look
        self._started = time.monotonic()
        self._bar: Progress | None = None
        if console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description:<9}"),
                BarColumn(),
                TextColumn("{task.fields[said]}"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=console,
            )
            self._task = self._bar.add_task(doing, total=None, said="")

    def __enter__(self) -> _Display:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    async def during(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Show progress until the work is done, and return its result."""
        ticking = asyncio.create_task(self._tick())
        try:
            result = await work
        finally:
            ticking.cancel()
        self._show()
        return result

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_BAR_SECONDS if self._bar is not None else _LINE_SECONDS)
            self._show()

    def _show(self) -> None:
        progress = self._look()
        said = self._said(progress)
        if self._bar is None:
            self._console.print(f"{self._doing} {said}", soft_wrap=True)
            return
        total = progress.users if progress.counted else None
        self._bar.update(self._task, completed=progress.users_done, total=total, said=said)

    def _said(self, progress: copying.Progress) -> str:
        total = f"{progress.users:,}" if progress.counted else f"at least {progress.users:,}"
        said = f"{progress.users_done:,} of {total} users"
        if progress.bytes_copied:
            seconds = max(time.monotonic() - self._started, 0.001)
            megabytes = progress.bytes_copied / 1e6
            said += f", {megabytes:,.1f} MB, {megabytes / seconds:,.1f} MB/s"
        if self._bar is None:
            said += self._time_left(progress)
        return said

    def _time_left(self, progress: copying.Progress) -> str:
        left = progress.users - progress.users_done
        if not progress.counted or not progress.users_done or not left:
            return ""
        seconds = (time.monotonic() - self._started) / progress.users_done * left
        return f", about {seconds:,.0f} s left"


def _report(console: Console, copied: Copied, comparison: Comparison) -> None:
    console.print(
        f"{copied.copied:,} users copied, {copied.there_already:,} were there already, {copied.left_count:,} left."
    )
    for left in copied.left[:_NAMED]:
        console.print(f"  {_name(left.scope)} {left.fate.value}", soft_wrap=True, markup=False)
    table = Table("", "source", "destination", "users that differ")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, count in comparison.counts.items():
        table.add_row(name, f"{count.source:,}", f"{count.destination:,}", f"{count.differ:,}")
    console.print(table)
    if comparison.same:
        console.print("Source and destination hold the same.")
        return
    console.print(f"{comparison.differing_count:,} users differ:")
    for scope in comparison.differing[:_NAMED]:
        console.print(f"  {_name(scope)}", soft_wrap=True, markup=False)


def _name(scope: Any) -> str:
    if not scope.user_id:
        return f"the settings of namespace {scope.namespace!r}"
    return f"{scope.namespace}/{scope.user_id}"
