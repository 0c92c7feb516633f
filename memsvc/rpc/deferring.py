"""protobuf imports its implementation in Python also where the one in C does all the work: 1.5 MB that nobody uses."""

from __future__ import annotations

import sys
from importlib.util import LazyLoader, find_spec, module_from_spec
from typing import Final

from google.protobuf import internal
from google.protobuf.internal import api_implementation

_NAME: Final = "python_message"


def defer_python_implementation() -> None:
    """Let it be imported by whoever first asks for something of it. To be called before any message is imported."""
    full_name = f"{internal.__name__}.{_NAME}"
    if full_name in sys.modules or api_implementation.Type() == "python":
        return
    spec = find_spec(full_name)
    if spec is None or spec.loader is None:
        return
    spec.loader = LazyLoader(spec.loader)
    module = module_from_spec(spec)
    sys.modules[full_name] = module
    spec.loader.exec_module(module)
    # `from ... import python_message` takes it from here, and does not look at it any closer.
    setattr(internal, _NAME, module)
