"""The suite that every driver passes: `memsvc conformance --storage-url ...`, or `run(url)` from a driver's own tests.

A driver's author adds a `Bench` for what only they can arrange: a schema from the future, a full disk.
"""

from memsvc.storage.conformance.bench import Bench, Place, Skipped
from memsvc.storage.conformance.report import Report, Result, Verdict, driver_table
from memsvc.storage.conformance.runner import run, run_case
from memsvc.storage.conformance.store import Store
from memsvc.storage.conformance.suite import Case, cases

__all__ = [
    "Bench",
    "Case",
    "Place",
    "Report",
    "Result",
    "Skipped",
    "Store",
    "Verdict",
    "cases",
    "driver_table",
    "run",
    "run_case",
]
