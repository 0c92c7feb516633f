"""Moves what was committed from the write-ahead log into the database file, beside the writer."""

from __future__ import annotations

import sqlite3
import threading

from memsvc.log import Log
from memsvc.storage.crashpoints import reach
from memsvc_drivers.sqlite.schema import connect
from memsvc_drivers.sqlite.settings import Settings

log = Log(__name__)


class Checkpointer:
    """Runs PASSIVE checkpoints in a thread of its own: they wait for nobody, and nobody waits for them."""

    def __init__(self, settings: Settings) -> None:
        self.running = threading.Lock()
        """Held during a checkpoint; whoever needs to empty the log takes it first."""
        self.nearly_done = False
        """Only what was committed meanwhile is left to move: the writer can finish quickly, and start the log over."""
        self._settings = settings
        self._wanted = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Ask for a checkpoint soon."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="memsvc-sqlite-checkpoints", daemon=True)
            self._thread.start()
        self._wanted.set()

    def close(self) -> None:
        """Wait for the checkpoint that is under way."""
        self._closing = True
        if self._thread is not None:
            self._wanted.set()
            self._thread.join()

    def _run(self) -> None:
        connection: sqlite3.Connection | None = None
        while True:
            self._wanted.wait()
            self._wanted.clear()
            if self._closing:
                break
            try:
                connection = connection or connect(self._settings)
                with self.running:
                    reach("sqlite.before_checkpoint")
                    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                    reach("sqlite.after_checkpoint")
                self.nearly_done = True
            except sqlite3.Error as error:
                # The writer meets the same trouble and tells its callers; the log only grows meanwhile.
                log.warning("checkpoint_failed", error=getattr(error, "sqlite_errorname", "SQLITE_MISUSE"))
        if connection is not None:
            connection.close()
