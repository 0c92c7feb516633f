"""What commands that speak to a server take: where it is, who asks, and whose memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

DEFAULT_TARGET = "127.0.0.1:7432"

Command = Callable[..., Any]


class TextType(click.types.StringParamType):
    """Text that a request can hold: bytes of the shell that are no UTF-8 are none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(super().convert(value, param, ctx))
        try:
            text.encode()
        except UnicodeEncodeError:
            self.fail("must be UTF-8", param, ctx)
        return text


class NameType(TextType):
    """Text that names something, and so is not empty."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        name = super().convert(value, param, ctx)
        if not name:
            self.fail("must not be empty", param, ctx)
        return name


def name_option(*declarations: str, **attributes: Any) -> Callable[[Command], Command]:
    """Return an option for a name that may be left out (the command is given ""), but not be empty.

    An empty one is an unset variable of the shell, and would stand for somebody else.
    """

    def or_nothing(ctx: click.Context, param: click.Parameter, name: str | None) -> str:
        return name or ""

    return click.option(*declarations, default=None, type=NameType(), callback=or_nothing, **attributes)


class TargetType(TextType):
    """Where a server may be; empty: nowhere, where that is something to say."""

    def __init__(self, *, may_be_empty: bool = True) -> None:
        self._may_be_empty = may_be_empty

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        target = super().convert(value, param, ctx)
        if not target and self._may_be_empty:
            return target
        from memsvc_client.targets import checked_target

        try:
            return checked_target(target)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def target_option(function: Command) -> Command:
    """Add `--target`, of a server on this machine by default."""
    return click.option(
        "--target",
        default=DEFAULT_TARGET,
        type=TargetType(may_be_empty=False),
        show_default=True,
        help="The server: unix:///path or host:port.",
    )(function)


def token_option(function: Command) -> Command:
    """Add `--token`, also from MEMSVC_TOKEN."""
    return click.option(
        "--token",
        default=None,
        envvar="MEMSVC_TOKEN",
        type=TextType(),
        show_envvar=True,
        help="Who asks, where the server asks.",
    )(function)
