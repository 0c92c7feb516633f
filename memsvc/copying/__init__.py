"""Moving house: everything from one database to another, between any two drivers."""

from memsvc.copying.comparing import Comparison, Count, compare
from memsvc.copying.moving import Copied, Fate, Left, Progress, copy
from memsvc.copying.side import Role, Side, SideFailed

__all__ = ["Comparison", "Copied", "Count", "Fate", "Left", "Progress", "Role", "Side", "SideFailed", "compare", "copy"]
