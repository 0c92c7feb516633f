"""Files of other memory systems, as lines that can be imported."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import click

from memsvc.cli.importing_lines import Damaged, Line
from memsvc.foreign.facts import Damaged as Wrong
from memsvc.foreign.facts import LeftOut, Said, Turn
from memsvc.foreign.reading import KINDS, Source
from memsvc.foreign.sorting import Placed, sort
from memsvc_client import ExportRecord

__all__ = ["KINDS", "foreign_lines"]

_NAMED: Final = 20
_MESSAGE_CHARACTERS: Final = 60_000
"""A message has at most 256 KiB, and a character at most four bytes."""


def foreign_lines(
    kind: str, path: Path, *, user_id: str, table: str, template: str, shown: bool = False
) -> Sequence[Line | Damaged]:
    """Return all of a file, and say what of it stays behind; `shown`: say of each fact where it goes, too.

    Raises ClickException where none of the file can be read, OSError.
    """
    try:
        found = sort(Source(kind=kind, path=path, table=table, template=template).read(), kind, user_id)
    except Wrong as error:
        raise click.ClickException(f"{path.name}: {error}: nothing was imported") from None
    _say_what_stays(found.left_out)
    lines: list[Line | Damaged] = []
    digest = hashlib.blake2b(digest_size=16)
    everything: list[Placed | Turn] = [*found.facts, *found.turns]
    for each in everything:
        owner, place, said = _fact(each) if isinstance(each, Placed) else _turn(each)
        if shown and "memory" in said:
            memory = said["memory"]
            at = memory["layer"].removeprefix("LAYER_").lower() + (f".{memory['key']}" if "key" in memory else "")
            click.echo(f"{owner}  {at}: {' '.join(memory['text'].split())[:200]}")
        text = json.dumps(said, ensure_ascii=False, sort_keys=True)
        digest.update(f"{owner} {text}".encode())
        number = len(lines) + 1
        try:
            record = ExportRecord.from_json(said)
        except (ValueError, TypeError) as error:
            lines.append(Damaged(number, str(error), place))
        else:
            lines.append(Line(number, digest.hexdigest(), owner, record, len(text.encode()), place))
    first = len(lines) + 1
    return lines + [Damaged(number, each.why, each.place) for number, each in enumerate(found.damaged, start=first)]


def _say_what_stays(left_out: Sequence[LeftOut]) -> None:
    for each in left_out[:_NAMED]:
        click.echo(f"left out: {each.place}: {each.why}", err=True)
    if len(left_out) > _NAMED:
        click.echo(f"left out: {len(left_out) - _NAMED:,} more", err=True)


def _fact(placed: Placed) -> tuple[str, str, dict[str, Any]]:
    return placed.fact.user_id, placed.fact.place, {"memory": placed.to_dict()}


def _turn(turn: Turn) -> tuple[str, str, dict[str, Any]]:
    messages = [part for message in turn.messages for part in _messages(message)]
    run: dict[str, Any] = {
        "session_id": turn.session_id,
        "run_id": turn.run_id,
        "messages": messages,
        "learning": "LEARNING_STATE_PENDING",
        "metadata": {"title": turn.title[:500]} if turn.title else {},
    }
    if (time := next((message.time for message in turn.messages if message.time is not None), None)) is not None:
        run["create_time"] = time.isoformat()
    return turn.user_id, turn.place, {"run": run}


def _messages(message: Said) -> Iterator[dict[str, Any]]:
    """Yield a message, a very long one in several."""
    for start in range(0, len(message.text), _MESSAGE_CHARACTERS):
        said: dict[str, Any] = {
            "role": f"ROLE_{message.role.name}",
            "parts": [{"text": {"text": message.text[start : start + _MESSAGE_CHARACTERS]}}],
        }
        if message.time is not None:
            said["time"] = message.time.isoformat()
        yield said
