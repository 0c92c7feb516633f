"""What becomes of a run in which a file cannot be collected: it ends at once, as without xdist, and names the file.

xdist runs all other tests first, and the exit code is that of a test that failed: as if it were worth another try.
"""

from __future__ import annotations

from typing import Any

import pytest


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any) -> None:
    """Called where the workers are started, for each that has collected, after its reports."""
    errors = node.config.pluginmanager.get_plugin("terminalreporter").stats.get("error", ())
    if errors:
        names = ", ".join(sorted({each.nodeid for each in errors}))
        pytest.exit(f"cannot be collected: {names}", returncode=pytest.ExitCode.INTERRUPTED)
