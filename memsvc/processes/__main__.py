"""`python -m memsvc.processes DESCRIPTOR`: a process that serves; started by the supervisor alone."""

from __future__ import annotations

import socket
import sys

from memsvc.errors import Error
from memsvc.log import start_logging
from memsvc.processes.siblings import Siblings
from memsvc.server import run_in_loop, serve_and_end


def main(descriptor: int) -> None:
    run_in_loop(lambda: _serve(socket.socket(fileno=descriptor)))


async def _serve(own: socket.socket) -> None:
    place, config, sources = await Siblings.joined(own)
    start_logging(config.log_level, config.log_format)
    try:
        await serve_and_end(config, sources, place)
    except Error as error:
        await place.failed(error)
        sys.exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]))
