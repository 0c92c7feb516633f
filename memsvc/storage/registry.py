"""Finds the driver for a URL among the installed plug-ins (entry points of the group `memsvc.drivers`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from memsvc.errors import StorageUnavailable, invalid
from memsvc.storage.driver import Driver

GROUP = "memsvc.drivers"

_HOST = r"(?:[A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
_PLAIN = re.compile(
    rf"(?:[^/?#]*@)?(?P<hosts>{_HOST}(?:,{_HOST})*)(?P<path>(?:/[\w.~+/-]*)?)(?:[?#][^@]*)?"
    r"|(?P<file>/[^@?#]*)(?:[?#][^@]*)?"
)
"""What follows `://` in a URL that can be read in one way only: hosts and a path, or the path of a file."""

DriverFactory = Callable[[str, Mapping[str, str]], Driver]
"""Takes the URL and the driver's options (`table_prefix`, ...); connects to nothing. Raises InvalidArgument."""


@cache
def plugins() -> Mapping[str, EntryPoint]:
    """Return the installed drivers by URL scheme, in order."""
    return {point.name: point for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)}


def scheme_of(url: str) -> str:
    """Return the URL's scheme without a suffix: `postgresql+asyncpg://` is `postgresql`; empty where it has none."""
    scheme, separator, _ = url.partition(":")
    return scheme.lower().partition("+")[0] if separator else ""


def bringer_of(scheme: str) -> str:
    """Return what has to be installed for the driver of a scheme: its entry point names the extra in brackets."""
    point = plugins()[scheme]
    name = point.dist.name if point.dist is not None else "memsvc"
    return f"{name}[{','.join(point.extras)}]" if point.extras else name


def shown(url: str) -> str:
    """Return as much of the URL as may be printed: never a part of its credentials, whatever is wrong with it.

    A password may hold what parts a URL (`/`, `?`, `#`, `@`) without being escaped, and then nobody can say where it
    ends. So a place is shown only where it can be nothing else.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.partition("+")[0] not in plugins():
        return "(no URL of a database)"
    found = _PLAIN.fullmatch(rest)
    if found is None:
        return f"{scheme}://..."
    return f"{scheme}://{found['file'] or found['hosts'] + found['path']}"


@contextmanager
def named(url: str) -> Iterator[None]:
    """Let what goes wrong with a database say which one it is."""
    try:
        yield
    except StorageUnavailable as error:
        raise StorageUnavailable(f"{shown(url)}: {error.message}", error.reason) from error


def connect(url: str, options: Mapping[str, str] | None = None) -> Driver:
    """Return the driver for `url`, not yet open.

    Raises InvalidArgument for a scheme that no driver serves, or whose library is not installed: the message says which
    extra brings it.
    """
    scheme = scheme_of(url)
    found = plugins()
    if scheme not in found:
        # Not repeated: of a URL without a scheme the first word is a user, or a password.
        raise invalid("storage_url", f"must begin with {', '.join(f'{each}://' for each in found)}")
    try:
        factory = cast("DriverFactory", found[scheme].load())
    except ModuleNotFoundError as error:
        raise invalid(
            "storage_url", f"the {scheme} driver needs {error.name}: pip install '{bringer_of(scheme)}'"
        ) from error
    return factory(url, options or {})
