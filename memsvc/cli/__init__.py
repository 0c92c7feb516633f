"""The command line."""

from __future__ import annotations

import os
import sys

__all__ = ["INTERRUPTED", "main"]

INTERRUPTED = 130
"""The exit code of a command that somebody ended by Ctrl-C, as shells have it."""


def main() -> None:
    """Run the command line; where a library is missing, say in one line what to install."""
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
