"""How far a command has come: shown to people on stderr, and kept in a file so that the same command goes on."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

_SHOWN_SECONDS = 0.2
_LINE_SECONDS = 5.0


class Shown:
    """A line that changes on a terminal; elsewhere a line now and then."""

    def __init__(self, words: Callable[[], str]) -> None:
        self._words = words
        self._watched = sys.stderr.isatty()
        self._last = time.monotonic()

    def tick(self) -> None:
        """Show how far it is, if it is time to."""
        now = time.monotonic()
        if now - self._last >= (_SHOWN_SECONDS if self._watched else _LINE_SECONDS):
            self._last = now
            click.echo(f"\x1b[2K\r{self._words()}" if self._watched else self._words(), err=True, nl=not self._watched)

    def end(self) -> None:
        """Say how far it has come in the end."""
        click.echo(f"\x1b[2K\r{self._words()}" if self._watched else self._words(), err=True)


class Kept:
    """A file that says how far a command has come; None: it is not kept."""

    def __init__(self, path: Path | None, about: dict[str, Any]) -> None:
        """`about`: what the command does; what was kept of another one that has done something is refused."""
        self._path = path
        self._about = about

    def read(self, nothing_done: Callable[[dict[str, Any]], bool] = lambda _: False) -> dict[str, Any] | None:
        """Return what was kept last; None: nothing was, or by another command that had `nothing_done`."""
        if self._path is None or not self._path.exists():
            return None
        try:
            kept = json.loads(self._path.read_text())
            about, reached = kept["about"], kept["reached"]
        except OSError as error:
            raise click.ClickException(f"{self._path}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError):
            raise click.ClickException(f"{self._path} is damaged: delete it to begin anew") from None
        if about != self._about:
            if nothing_done(reached):
                return None
            raise click.ClickException(f"{self._path} is of another command: delete it to begin anew")
        return dict(reached)

    def keep(self, reached: dict[str, Any]) -> None:
        """Keep how far it is: whatever happens, the file says this or what it said before."""
        if self._path is None:
            return
        beside = self._path.with_name(f"{self._path.name}.new")
        try:
            beside.write_text(json.dumps({"about": self._about, "reached": reached}))
            os.replace(beside, self._path)
        except OSError as error:
            raise click.ClickException(f"{self._path}: {error.strerror}") from error

    def done(self) -> None:
        if self._path is not None:
            self._path.unlink(missing_ok=True)
