"""What was measured, as a file that is committed: no path and no name of a machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Self

FILE: Final = Path(__file__).parent / "results.json"
FILL: Final = "fill"
LEFT_OUT: Final = "left_out"
"""What a row is about, besides operations and "write": how long it took to fill a subject, or would have taken."""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. Of an operation the median time; of "write" the rate."""

    subject: str
    operation: str
    memories: int
    """So many are known of the user."""
    seconds: float = 0.0
    """Of a turn, what memory adds to it."""
    rate: float = 0.0
    """Writes a second."""
    writers: int = 0
    failed: int = 0
    """Writes that raised an error."""
    model_calls_waited_for: float = 0.0
    model_calls_later: float = 0.0
    model_kilobytes: float = 0.0
    """Sent to the model in a turn."""
    times_memsvc: float = 0.0
    """Time, or rate, as a multiple of memsvc's in the same run; 0 where what memory adds was lost in noise."""

    @property
    def place(self) -> tuple[str, str, int, int]:
        return self.subject, self.operation, self.memories, self.writers

    def divided_by(self, base: Row) -> Row:
        own, other = (self.rate, base.rate) if self.operation == "write" else (self.seconds, base.seconds)
        return replace(self, times_memsvc=own / other if min(own, other) > 0 else 0.0)

    def as_json(self) -> Mapping[str, Any]:
        """Return what is not zero, to four digits."""
        return {
            name: float(f"{value:.4g}") if isinstance(value, float) else value
            for name, value in asdict(self).items()
            if value
        }


@dataclass(frozen=True, slots=True)
class Known:
    """What a subject said of itself."""

    durability: str
    versions: Mapping[str, str]
    measured: str = ""
    """The day."""


@dataclass(slots=True)
class Results:
    """All figures, of one or several runs."""

    machine: Mapping[str, Any]
    subjects: dict[str, Known] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)

    @classmethod
    def read(cls) -> Self:
        data = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
        subjects = {key: Known(**known) for key, known in data.get("subjects", {}).items()}
        return cls(data.get("machine", {}), subjects, [Row(**row) for row in data.get("rows", ())])

    def updated_by(self, other: Results) -> Results:
        """Return these with what another run measured in place of the same figures."""
        measured = {row.place for row in other.rows}
        known = other.subjects.keys()
        kept = [
            row
            for row in self.rows
            if row.place not in measured and (row.operation != LEFT_OUT or row.subject not in known)
        ]
        return Results(other.machine, {**self.subjects, **other.subjects}, [*kept, *other.rows])

    def write(self) -> None:
        rows = ",\n  ".join(json.dumps(row.as_json()) for row in self.rows)
        subjects = {key: asdict(known) for key, known in sorted(self.subjects.items())}
        head = json.dumps({"machine": self.machine, "subjects": subjects}, indent=1)
        FILE.write_text(f'{head[:-2]},\n "rows": [\n  {rows}\n ]\n}}\n', encoding="utf-8")

    def row(self, subject: str, operation: str, memories: int, writers: int = 0) -> Row | None:
        """Return a figure, where there is one."""
        wanted = (subject, operation, memories, writers)
        return next((row for row in self.rows if row.place == wanted), None)
