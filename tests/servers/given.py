"""Which servers the environment names to be used instead of ones that the tests start."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

VARIABLES = {
    "postgresql": "MEMSVC_TEST_POSTGRES_URL",
    "redis": "MEMSVC_TEST_REDIS_URL",
    "mongodb": "MEMSVC_TEST_MONGODB_URL",
}
"""By the driver's name."""


@dataclass(frozen=True, slots=True)
class GivenServer:
    """A server that somebody else runs: it is used, never killed."""

    url: str


def given_server(name: str) -> GivenServer | None:
    """Return the server that the environment names for one of `VARIABLES`."""
    url = os.environ.get(VARIABLES[name])
    return GivenServer(url) if url else None


def given_urls() -> Mapping[str, str]:
    """Return the stores of other drivers that the environment names: `acme` of `MEMSVC_TEST_ACME_URL`."""
    known = VARIABLES.values()
    return {
        match[1].lower(): url
        for variable, url in os.environ.items()
        if url and variable not in known and (match := re.fullmatch(r"MEMSVC_TEST_(\w+)_URL", variable))
    }
