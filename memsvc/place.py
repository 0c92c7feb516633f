"""A server's place: alone, or one of several processes that serve together."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol

from memsvc.config import Config
from memsvc.ready_file import write_ready_file
from memsvc.stopping import told_to_stop

if TYPE_CHECKING:
    from memsvc.http.metrics import MetricsPage
    from memsvc.http.port import Page


class Place(Protocol):
    """What a process is told by whoever started it, and tells: alone, or one of several that serve together."""

    @property
    def number(self) -> int:
        """Which of several it is, from 1 on; 0: there is one."""

    @property
    def sockets(self) -> Mapping[str, socket.socket]:
        """Unix sockets that somebody else has bound, by their addresses: it accepts from them."""

    def serves(self, addresses: Sequence[str]) -> None:
        """Tell that it serves, and where."""

    async def told_to_stop(self) -> None:
        """Return once it is to stop."""

    def page(self, metrics: MetricsPage) -> Page:
        """Return what answers /metrics."""


class Alone:
    """The place of the only process."""

    number: Final = 0
    sockets: Final[Mapping[str, socket.socket]] = MappingProxyType({})

    def __init__(self, config: Config) -> None:
        self._config = config

    def serves(self, addresses: Sequence[str]) -> None:
        write_ready_file(self._config.ready_file, addresses)

    async def told_to_stop(self) -> None:
        await told_to_stop(self._config.exit_when_unlocked)

    def page(self, metrics: MetricsPage) -> Page:
        return metrics
