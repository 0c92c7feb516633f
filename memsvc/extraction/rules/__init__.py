"""The engine that needs no model."""

from memsvc.extraction.rules.engine import RulesEngine
from memsvc.extraction.rules.patterns import PatternError

__all__ = ["PatternError", "RulesEngine"]
