"""The command line."""

from __future__ import annotations

import os
import sys

__all__ = ["INTERRUPTED", "main"]

INTERRUPTED = 130
"""The exit code of a command that somebody ended by Ctrl-C, as shells have it."""


def main() -> None:
    """Run the command line; where a library is missing, say in one line what to install."""
    _open_closed_streams()
    # gRPC's core writes lines of its own about what memsvc says better.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        from memsvc.cli.main import run

        run()
    except KeyboardInterrupt:
        # While it was starting.
        sys.exit(INTERRUPTED)
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library in ("memsvc", "memsvc_drivers", "memsvc_client", ""):
            raise
        extras = {"openai": "openai", "jwt": "jwt", "ruamel": "kubernetes", "cryptography": "kubernetes", "mcp": "mcp"}
        extra = extras.get(library, "server")
        sys.exit(f"memsvc: needs {library}, which is not installed: pip install 'memsvc[{extra}]'")


def _open_closed_streams() -> None:
    """Let what is closed of stdin, stdout and stderr be the null device.

    Else the next file that is opened takes its place, and gets what is printed.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
