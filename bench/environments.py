"""The environments that frameworks are measured in: those of tools/integrations."""

from __future__ import annotations

from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]


def integrations_tool() -> Any:
    """Return tools/integrations as a module."""
    loader = SourceFileLoader("memsvc_integrations_tool", str(ROOT / "tools" / "integrations"))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module
