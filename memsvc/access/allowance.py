"""How much a caller, or all who call for a namespace, may take."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

_Positive = Annotated[int, Meta(ge=0, le=1 << 50)]


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
    """What learning may cost a namespace in a day (UTC), input and output. Learning waits for the next day."""


UNLIMITED: Final = Allowance()
