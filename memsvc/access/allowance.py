"""How much a caller, or all who call for a namespace, may take.

What each namespace may take is in a file, `*` for those that it does not name:

    [support]
    calls_per_second = 50
    model_tokens_a_day = 2_000_000

    ["*"]
    users = 1_000
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from memsvc.access.files import WatchedFile
from memsvc.errors import invalid

_Positive = Annotated[int, Meta(ge=0, le=1 << 50)]
_OTHERS: Final = "*"


class Allowance(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """0: no limit."""

    calls_per_second: Annotated[float, Meta(ge=0, le=1e6)] = 0.0
    """On average; as many may come at once."""
    bytes_in_flight: _Positive = 0
    """Requests under way, and replies that nobody has read yet."""
    open_streams: _Positive = 0
    users: _Positive = 0
    """How many users a namespace may have."""
    memories: _Positive = 0
    """How many memories each user of a namespace may have, where that is less than `memory_quota`."""
    model_tokens_a_day: _Positive = 0
    """What models may cost a namespace in a day (UTC), input and output. Learning waits for the next day; searches
    by the model and previews are refused until then. Of answers whose endpoint does not count tokens, or that were cut
    off, four bytes count as one."""


UNLIMITED: Final = Allowance()


class Allowances:
    """What each namespace may take."""

    def __init__(self, limits_file: str = "") -> None:
        """Read the file, if there is one. Raises InvalidArgument naming what is wrong with it."""
        self._file = WatchedFile("limits_file", limits_file, _read) if limits_file else None

    @property
    def limits_nobody(self) -> bool:
        """Whether there is no file: then nothing has to be counted."""
        return self._file is None

    @property
    def version(self) -> int:
        """What changes whenever the file does."""
        if self._file is None:
            return 0
        self._file.now()
        return self._file.version

    def of(self, namespace: str) -> Allowance:
        """Return what a namespace may take now."""
        if self._file is None:
            return UNLIMITED
        said = self._file.now()
        return said.get(namespace) or said.get(_OTHERS, UNLIMITED)


class Quotas(Struct, frozen=True):
    """How many memories a user may have."""

    memories: int
    """By the server's settings."""
    allowances: Allowances = Allowances()

    def of(self, namespace: str) -> int:
        """Return how many each user of a namespace may have."""
        return min(self.memories, self.allowances.of(namespace).memories or self.memories)


def _read(content: bytes) -> Mapping[str, Allowance]:
    import tomllib

    try:
        return msgspec.convert(tomllib.loads(content.decode()), dict[str, Allowance])
    except UnicodeDecodeError as error:
        raise invalid("limits_file", "is no text in UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise invalid("limits_file", f"is not TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise invalid("limits_file", str(error)) from error
