"""How a conversation and what is learned from it are printed: by `memsvc demo` and `memsvc chat`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from memsvc_client import ChangeKind, Committed, Completed, ExtractionEvent, ExtractionState, Failed, Progress

_MARKS = {ChangeKind.CREATED: ("+", "green"), ChangeKind.UPDATED: ("~", "yellow"), ChangeKind.DELETED: ("-", "red")}
_INDENT = 11
_LEAST_WIDTH = 40


def print_said(console: Console, who: str, text: str, style: str = "cyan") -> None:
    """Print what somebody said: as it is, wrapped beside the name."""
    _print_beside(console, Text(f"{who:>9}", style=style), text)


def print_learned(console: Console, events: Iterable[ExtractionEvent]) -> int:
    """Print what an extraction learns, until it ends; return how many memories changed."""
    count = 0
    for event in events:
        if isinstance(event, Committed):
            count += len(event.commit.changes)
            for change in event.commit.changes:
                memory = change.after or change.before
                assert memory is not None
                place = f"{memory.layer}.{memory.key}" if memory.key else str(memory.layer)
                mark, style = _MARKS[change.kind]
                _print_beside(console, Text(f"{mark:>9}", style=style), memory.memory, f"[{place}]")
            if not event.commit.changes:
                _print_beside(console, Text(" " * 9), "", "nothing to learn")
        elif isinstance(event, Failed):
            _print_beside(console, Text(f"{'!':>9}", style="red"), f"not learned: {event.detail}")
        elif isinstance(event, Progress) and event.state is ExtractionState.WAITING and event.reason:
            # For days, perhaps: it goes on by itself once what is wrong is mended.
            _print_beside(console, Text(f"{'!':>9}", style="yellow"), f"learned later: {event.reason}")
            break
        elif isinstance(event, Completed):
            break
    return count


def _print_beside(console: Console, label: Text, text: str, note: str = "") -> None:
    width = max(console.width - _INDENT, _LEAST_WIDTH)
    paragraphs = [*text.splitlines(), *([""] if not text else [])]
    if note:
        paragraphs[-1] = f"{paragraphs[-1]}  {note}".strip()
    lines = [line for paragraph in paragraphs for line in textwrap.wrap(paragraph, width) or [""]]
    for number, line in enumerate(lines):
        said = Text("  ").join([label if number == 0 else Text(" " * (_INDENT - 2)), Text(line)])
        if note and line.endswith(note):
            said.stylize("dim", len(said) - len(note))
        said.rstrip()
        # Nothing of it is markup, and it is wrapped already.
        console.print(said, soft_wrap=True)
