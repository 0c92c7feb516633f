"""`memsvc`: one group of commands, each loaded when it is called, so that `serve` starts fast."""

from __future__ import annotations

import errno
import importlib
import keyword
import sys

import click

from memsvc import __version__
from memsvc.cli import INTERRUPTED

_CANNOT_PRINT = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
_COMMANDS = {
    "serve": ("memsvc.cli.serve", "Run the server."),
    "demo": ("memsvc.cli.demo", "Watch a sidecar learn from a conversation."),
    "chat": ("memsvc.cli.chat", "Talk to memsvc and see what it learns."),
    "mcp": ("memsvc.cli.mcp", "Serve memory to hosts of the Model Context Protocol."),
    "ui": ("memsvc.cli.ui", "Serve a page to see and manage memories."),
    "doctor": ("memsvc.cli.doctor", "Check configuration, database, model and a running server."),
    "healthcheck": ("memsvc.cli.healthcheck", "Ask a running server whether it serves."),
    "inject": ("memsvc.cli.inject", "Put a sidecar into the pods of Kubernetes manifests."),
    "webhook": ("memsvc.cli.webhook", "Serve an admission webhook that injects a sidecar."),
    "webhook-certificate": ("memsvc.cli.webhook_certificate", "Make the webhook's certificate, in a cluster."),
    "token": ("memsvc.cli.token", "Make, list and revoke tokens."),
    "retry": ("memsvc.cli.retry", "Make failed extractions wait again."),
    "migrate": ("memsvc.cli.storage", "Bring a database's schema up to date."),
    "export": ("memsvc.cli.exporting", "Write users as JSON Lines."),
    "import": ("memsvc.cli.importing", "Import what export wrote."),
    "copy": ("memsvc.cli.copy", "Copy everything from one database to another."),
    "embed": ("memsvc.cli.embed", "Make the vectors that memories lack."),
    "drivers": ("memsvc.cli.storage", "List the installed drivers."),
    "conformance": ("memsvc.cli.storage", "Run the driver conformance suite against a database."),
}


class _Commands(click.Group):
    """Commands by name; a command's module is imported when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        function = f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name.replace("-", "_")
        command = getattr(importlib.import_module(_COMMANDS[cmd_name][0]), function)
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("\nInterrupted.", err=True)
            sys.exit(INTERRUPTED)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in _COMMANDS and not name.startswith("-"):
            from memsvc.storage.options import nearest

            ctx.fail(f"there is no command {name!r}{nearest(name, _COMMANDS) or ': one of ' + ', '.join(_COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in _COMMANDS.items()])


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="memsvc")
def cli() -> None:
    """memsvc: a memory service for AI agents."""


def run() -> None:
    """Run the command line; errors of memsvc end in one line and exit code 1."""
    from memsvc.errors import Error

    try:
        cli(prog_name="memsvc")
    except Error as error:
        click.echo(f"memsvc: {error.message}", err=True)
        sys.exit(1)
    except BrokenPipeError:
        # Whoever read our output has seen enough. Nothing more may be written, not even at exit.
        sys.stdout = None
        sys.exit(1)
    except OSError as error:
        if error.errno not in _CANNOT_PRINT or error.filename is not None:
            raise
        click.echo(f"memsvc: cannot write what is printed: {error.strerror}", err=True)
        # Nothing more may be written, not even at exit.
        sys.stdout = None
        sys.exit(1)
    except Exception as error:
        from memsvc_client import MemoryServiceError

        if not isinstance(error, MemoryServiceError):
            raise
        click.echo(f"memsvc: {error}", err=True)
        sys.exit(1)
