"""Use cases on sessions."""

from memsvc.sessions.commands import AppendRunCommand, Quiet, RunReceipt
from memsvc.sessions.history import History, said_by, timed
from memsvc.sessions.sessions import Sessions

__all__ = ["AppendRunCommand", "History", "Quiet", "RunReceipt", "Sessions", "said_by", "timed"]
