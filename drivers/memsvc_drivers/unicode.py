"""Names that a database can hold: text that has UTF-8, as all has but a lone surrogate."""

from __future__ import annotations

from collections.abc import Iterable

from memsvc.errors import InvalidArgument, invalid


def is_unicode(text: str) -> bool:
    """Whether a text has UTF-8."""
    # Whether a text is ASCII is known; all others are encoded to see.
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def require_unicode(names: Iterable[str]) -> None:
    """Raise InvalidArgument unless all of these have UTF-8."""
    if not is_unicode("".join(names)):
        raise not_unicode()


def not_unicode() -> InvalidArgument:
    """Return the error for a name that has no UTF-8."""
    return invalid("scope", "names must be valid Unicode")
