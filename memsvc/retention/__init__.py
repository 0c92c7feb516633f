"""Retention: what is not kept for ever goes once it is old enough, on every driver, in bounded steps."""

from memsvc.retention.sweep import Retention

__all__ = ["Retention"]
