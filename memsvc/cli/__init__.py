"""The command line."""

from memsvc.cli.main import main

__all__ = ["main"]
