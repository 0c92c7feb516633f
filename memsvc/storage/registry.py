"""Finds the driver for a URL among the installed plug-ins (entry points of the group `memsvc.drivers`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import cast
from urllib.parse import urlsplit

from memsvc.errors import invalid
from memsvc.storage.driver import Driver

GROUP = "memsvc.drivers"

_EXTRAS = {"postgresql": "postgres", "redis": "redis", "rediss": "redis", "mongodb": "mongo", "mongodb+srv": "mongo"}

DriverFactory = Callable[[str, Mapping[str, str]], Driver]
"""Takes the URL and the driver's options (`table_prefix`, ...); connects to nothing. Raises InvalidArgument."""


@cache
def plugins() -> Mapping[str, EntryPoint]:
    """Return the installed drivers by URL scheme, in order."""
    return {point.name: point for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)}


def scheme_of(url: str) -> str:
    """Return the URL's scheme without a DBAPI suffix: `postgresql+asyncpg://` is `postgresql`."""
    return urlsplit(url).scheme.partition("+")[0]


def extra_of(scheme: str) -> str:
    """Return what has to be installed for the driver of a scheme."""
    return f"memsvc[{_EXTRAS.get(scheme, 'server')}]"


def shown(url: str) -> str:
    """Return the URL as it may be printed: without credentials, which may also stand among its parameters."""
    place = url.partition("?")[0]
    scheme, separator, rest = place.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}"


def connect(url: str, options: Mapping[str, str] | None = None) -> Driver:
    """Return the driver for `url`, not yet open.

    Raises InvalidArgument for a scheme that no driver serves, or whose library is not installed: the message says which
    extra brings it.
    """
    scheme = scheme_of(url)
    found = plugins()
    if scheme not in found:
        raise invalid("storage_url", f"no driver for {scheme or 'no scheme'!r}: one of {', '.join(found)}")
    try:
        factory = cast("DriverFactory", found[scheme].load())
    except ModuleNotFoundError as error:
        raise invalid(
            "storage_url", f"the {scheme} driver needs {error.name}: pip install '{extra_of(scheme)}'"
        ) from error
    return factory(url, options or {})
