"""The engine that needs no model."""

from memsvc.extraction.rules.engine import RulesEngine
from memsvc.extraction.rules.pattern_files import PatternError

__all__ = ["PatternError", "RulesEngine"]
