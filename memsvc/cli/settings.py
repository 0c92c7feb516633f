"""Command line options from the settings of `memsvc.config`, and the configuration from what was given."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_type_hints

import click

from memsvc.config import Config, load_config

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def settings_options(*names: str) -> Decorator:
    """Return a decorator that adds an option for each setting (all, or those named) and `--config`."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        kinds = get_type_hints(Config)
        for each in reversed(dataclasses.fields(Config)):
            if names and each.name not in names:
                continue
            kind = kinds[each.name]
            flag = "--" + each.name.replace("_", "-")
            help_text = f"{each.metadata['help']} [default: {_shown_default(each)}]"
            if kind is bool:
                option = click.option(f"{flag}/--no-{flag[2:]}", each.name, default=None, help=help_text)
            elif kind in (int, float, str):
                option = click.option(flag, each.name, type=kind, default=None, help=help_text)
            else:
                option = click.option(flag, each.name, multiple=True, default=None, help=help_text + " Repeatable.")
            function = option(function)
        return click.option("--config", "config_file", default="", help="A TOML file with settings.")(function)

    return decorate


def _shown_default(each: dataclasses.Field[Any]) -> str:
    value = each.default_factory() if callable(each.default_factory) else each.default
    if isinstance(value, list):
        return ", ".join(value)
    return str(value) if value not in ("", {}) else "none"


def option_values(options: Sequence[str]) -> dict[str, str]:
    """Return a driver's options, each given as name=value."""
    pairs = [option.partition("=") for option in options]
    if not all(name and separator for name, separator, _ in pairs):
        raise click.UsageError("options of a driver are given as name=value")
    return {name: value for name, _, value in pairs}


def configuration(config_file: str, flags: Mapping[str, Any]) -> tuple[Config, Mapping[str, str]]:
    """Return the configuration from flags, environment and file, and where each setting came from."""
    given = {name: value for name, value in flags.items() if value is not None and value != ()}
    return load_config(given, os.environ, config_file)
