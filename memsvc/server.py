"""The composition root: build, start, drain, stop."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import gc
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from memsvc.application import Application, ApplicationSettings, build_application
from memsvc.config import Config
from memsvc.errors import invalid
from memsvc.extraction.engine import Engine
from memsvc.extraction.queue import Limits
from memsvc.extraction.worker import Worker, WorkerSettings
from memsvc.rpc.listeners import serving
from memsvc.sessions import Quiet
from memsvc.storage.driver import Driver
from memsvc.storage.registry import connect, scheme_of

logger = logging.getLogger("memsvc")


def run(config: Config) -> None:
    """Serve until SIGTERM or SIGINT; the exit code is 0 after a drain."""
    logging.basicConfig(
        level=config.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr
    )
    _runner()(serve(config))
