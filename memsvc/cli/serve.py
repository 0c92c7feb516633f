"""`memsvc serve`."""

from __future__ import annotations

from typing import Any

import click

from memsvc.cli.settings import configuration, settings_options


@click.command()
@settings_options()
def serve(config_file: str | None, **flags: Any) -> None:
    """Run the server until SIGTERM or SIGINT. With --processes above 1, SIGHUP replaces one process after the other.

    Every option is also an environment variable (--lease-seconds is MEMSVC_LEASE_SECONDS) and a line of the TOML file.
    """
    config, sources = configuration(config_file, flags)
    if config.processes > 1:
        from memsvc.processes import supervisor

        supervisor.run(lambda: configuration(config_file, flags))
        return
    from memsvc.server import run

    run(config, sources)
