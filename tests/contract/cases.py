"""The cases of clients/contract, as their files say them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CONTRACT = Path(__file__).parents[2] / "clients" / "contract"
_KEYS = {"name", "steps", "transports", "scripted"}


@dataclass(frozen=True, slots=True)
class Case:
    """One case: steps that have to come out as they say."""

    group: str
    """The file that it stands in."""
    name: str
    steps: Sequence[Mapping[str, Any]]
    transports: Sequence[str] | None
    """Those that it is about; None: all."""
    scripted: Mapping[str, Any]
    """What the scripted server answers."""

    @property
    def user(self) -> str:
        """The user whose it is."""
        return re.sub(r"\W+", "-", self.name)


def cases() -> list[Case]:
    """Return all cases, by file and in their order. Raises ValueError for what is none."""
    found = []
    for file in sorted(CONTRACT.glob("*.yaml")):
        for given in yaml.safe_load(file.read_text(encoding="utf-8")):
            if unknown := set(given) - _KEYS:
                raise ValueError(f"{file.name}: {given.get('name')}: no case has {', '.join(sorted(unknown))}")
            transports, scripted = given.get("transports"), given.get("scripted", {})
            found.append(Case(file.stem, given["name"], given["steps"], transports, scripted))
    names = [case.name for case in found]
    if len(set(names)) < len(names):
        raise ValueError(f"two cases are named {next(name for name in names if names.count(name) > 1)!r}")
    return found
