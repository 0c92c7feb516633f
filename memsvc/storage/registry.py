"""Finds the driver for a URL among the installed plug-ins (entry points of the group `memsvc.drivers`)."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from memsvc.errors import StorageUnavailable, invalid
from memsvc.storage.driver import Driver

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP: Final = "memsvc.drivers"

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
    from importlib.metadata import entry_points

    return {point.name: point for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)}


def _factory_name(scheme: str) -> str:
    """Return what the entry point of a driver names, `module:class`; empty: there is no such driver."""
    name = _names_in_files().get(scheme, "")
    if not name and scheme in plugins():
        name = plugins()[scheme].value
    return name.partition("[")[0].strip()


@cache
def _names_in_files() -> Mapping[str, str]:
    """Return what entry points name, by scheme, as far as they are in files beside the packages.

    That is nearly always all of them. `plugins` knows every other place too, and for that has a library that brings
    mail and archives along: a start would take 15 ms longer, and hold a megabyte of it for good.
    """
    found: dict[str, str] = {}
    for folder in sys.path:
        for file in Path(folder).glob("*.dist-info/entry_points.txt"):
            group, lines = "", []
            with suppress(OSError):
                lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
            for line in lines:
                if line.startswith("["):
                    group = line.strip("[] ")
                elif group == GROUP and "=" in line:
                    scheme, _, name = line.partition("=")
                    found.setdefault(scheme.strip(), name.strip())
    return found


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
    if not separator or not _factory_name(scheme.partition("+")[0]):
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
    module, _, factory = _factory_name(scheme).partition(":")
    if not module:
        # Not repeated: of a URL without a scheme the first word is a user, or a password.
        raise invalid("storage_url", f"must begin with {', '.join(f'{each}://' for each in plugins())}")
    try:
        made_by = cast("DriverFactory", attrgetter(factory)(import_module(module)))
    except ModuleNotFoundError as error:
        raise invalid(
            "storage_url", f"the {scheme} driver needs {error.name}: pip install '{bringer_of(scheme)}'"
        ) from error
    return made_by(url, options or {})
