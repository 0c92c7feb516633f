"""Reading the options of a driver, for all drivers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from memsvc.errors import invalid


def option_path(name: str) -> str:
    """Return how an error names an option."""
    return f"storage_options.{name}"


def refuse_unknown(options: Mapping[str, str], known: Iterable[str]) -> None:
    """Raise InvalidArgument for an option that the driver does not have."""
    for name in options:
        if name not in known:
            raise invalid(option_path(name), f"no such option: one of {', '.join(sorted(known))}")


def integer_option(options: Mapping[str, str], name: str, default: int, *, least: int, most: int) -> int:
    """Return an option as a whole number in `least..most`. Raises InvalidArgument."""
    text = options.get(name)
    if text is None:
        return default
    try:
        value = int(text)
    except ValueError as error:
        raise invalid(option_path(name), f"{text!r} must be a whole number") from error
    if not least <= value <= most:
        raise invalid(option_path(name), f"{value} must be between {least} and {most}")
    return value
