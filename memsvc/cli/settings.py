"""Command line options from the settings of `memsvc.config`, and the configuration from what was given."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import click
from msgspec import NODEFAULT
from msgspec.structs import FieldInfo, fields

from memsvc.cli.parameters import TargetType
from memsvc.config import Config, load_config, setting_kinds
from memsvc.storage.options import File, choices, descriptions, is_marked, shown_default, wanted
from memsvc.storage.registry import plugins

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def settings_options(*names: str) -> Decorator:
    """Return a decorator that adds an option for each setting (all, or those named) and `--config`."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for each in reversed(fields(Config)):
            if not names or each.name in names:
                function = _option(each)(function)
        of_file = click.option(
            "--config", "config_file", default=None, type=SettingType(File), help="A TOML file with settings."
        )
        return of_file(function)

    return decorate


def server_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say which server a command speaks to: `--target`, or its own sidecar's `--path`."""
    of_path = click.option(
        "--path",
        default=_default_path,
        type=DatabaseFileType(File),
        show_default="memory.db in your data folder",
        help="The SQLite file of the sidecar.",
    )
    of_target = click.option(
        "--target",
        default="",
        type=TargetType(),
        help="A running server: unix:///path or host:port. Default: a sidecar of its own.",
    )
    return of_target(of_path(function))


def default_of(each: FieldInfo) -> object:
    """Return a setting's default."""
    return each.default if each.default is not NODEFAULT else each.default_factory()


class SettingType(click.types.StringParamType):
    """The value of a setting, left as text: it is checked once, wherever it comes from. Completes in the shell."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind
        self.name = "text"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str | None:
        found = choices(self.kind)
        return "[" + "|".join(found) + "]" if found else _metavar(self.kind)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        if is_marked(self.kind, "file"):
            return _completions([incomplete], incomplete, "file")
        return _completions(choices(self.kind), incomplete)


class FileType(SettingType):
    """The path of a file, and so not empty: an empty one is an unset variable of the shell, and would mean none."""

    def __init__(self) -> None:
        super().__init__(File)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        path = str(super().convert(value, param, ctx))
        if not path:
            self.fail("must not be empty", param, ctx)
        return path


class DatabaseFileType(SettingType):
    """A SQLite file that a sidecar keeps; empty: none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        path = str(super().convert(value, param, ctx))
        if path:
            from memsvc_client.sidecar import checked_path

            try:
                checked_path(path)
            except ValueError as error:
                self.fail(str(error), param, ctx)
        return path


class SchemeType(click.types.StringParamType):
    """The URL scheme of an installed driver."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return _completions(plugins(), incomplete)


class StorageUrlType(click.types.StringParamType):
    """The URL of a database."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return _completions([f"{scheme}://" for scheme in plugins()], incomplete)


def _completions(words: Iterable[str], incomplete: str, kind: str = "plain") -> list[CompletionItem]:
    # Few commands are run to be completed: the others start without it.
    from click.shell_completion import CompletionItem

    return [CompletionItem(word, type=kind) for word in words if word.startswith(incomplete)]


class _SettingOption(click.Option):
    """Reads what it is for only when somebody asks."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        self.help = _help_texts()[str(self.name)]
        return super().get_help_record(ctx)


def _default_path() -> str:
    # The client comes with gRPC: only commands that use it wait for that.
    from memsvc_client.sidecar import default_path

    return str(default_path())


def _option(each: FieldInfo) -> Decorator:
    flag = "--" + each.name.replace("_", "-")
    if setting_kinds()[each.name] is bool:
        return click.option(f"{flag}/--no-{flag[2:]}", each.name, default=None, cls=_SettingOption)
    repeats = isinstance(default_of(each), (list, dict))
    kind = StorageUrlType() if each.name == "storage_url" else SettingType(setting_kinds()[each.name])
    return click.option(flag, each.name, type=kind, multiple=repeats, default=None, cls=_SettingOption)


@cache
def _help_texts() -> Mapping[str, str]:
    texts = {}
    said = descriptions(Config)
    for each in fields(Config):
        default = default_of(each)
        repeatable = " Repeatable." if isinstance(default, (list, dict)) else ""
        texts[each.name] = f"{said[each.name]} [default: {shown_default(default)}]{repeatable}"
    return texts


def _metavar(kind: Any) -> str:
    words = wanted(kind)
    if words.startswith("a "):
        return "NUMBER"
    if words.startswith("name="):
        return "NAME=VALUE"
    return "FILE" if is_marked(kind, "file") else "TEXT"


def option_values(options: Sequence[str]) -> dict[str, str]:
    """Return what was given as NAME=VALUE each."""
    pairs = [option.partition("=") for option in options]
    for option, (name, separator, _) in zip(options, pairs, strict=True):
        if not name or not separator:
            # What follows may be a password.
            raise click.UsageError(f"{option.partition(' ')[0][:40]!r} is not written as NAME=VALUE")
    return {name: value for name, _, value in pairs}


def configuration(config_file: str | None, flags: Mapping[str, Any]) -> tuple[Config, Mapping[str, str]]:
    """Return the configuration from flags, environment and file, and where each setting came from."""
    given = {name: value for name, value in flags.items() if value is not None and value != ()}
    return load_config(given, os.environ, config_file)
