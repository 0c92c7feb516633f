"""What a model cost."""

from __future__ import annotations

from dataclasses import dataclass, fields

from memsvc.v1 import common_pb2
from memsvc_client.shown import Shown


@dataclass(frozen=True, slots=True, repr=False)
class Usage(Shown):
    """What the model cost, as its provider counted."""

    calls: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    """Of the input, read from the provider's prompt cache."""
    output_tokens: int = 0


def usage_of(wire: common_pb2.Usage) -> Usage:
    """Read what a model cost."""
    return Usage(**{each.name: getattr(wire, each.name) for each in fields(Usage)})
