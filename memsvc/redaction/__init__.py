"""Secrets are taken out of what is said before it is stored, and before a model sees it."""

from memsvc.redaction.redactor import Redactor

__all__ = ["Redactor"]
