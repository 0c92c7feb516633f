"""`memsvc serve`."""

from __future__ import annotations

from typing import Any

import click

from memsvc.cli.settings import configuration, settings_options


@click.command()
@settings_options()
def serve(config_file: str, **flags: Any) -> None:
    """Run the server until SIGTERM or SIGINT.

    Every option is also an environment variable (--lease-seconds is MEMSVC_LEASE_SECONDS) and a line of the TOML file.
    """
    from memsvc.server import run

    config, sources = configuration(config_file, flags)
    run(config, sources)
