"""The charts, rendered by Helm's own library, for each file of values under their `ci/`."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
HELM = ROOT / "helm"
GOLDEN = ROOT / "tests" / "golden" / "kubernetes"
LIBRARIES = {"agent": ["memsvc-sidecar"]}
"""Charts of this repository that a chart depends on."""
RELEASE, NAMESPACE = "demo", "memory"

Manifest = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """A chart with one file of values."""

    chart: Path
    values_file: Path

    def __str__(self) -> str:
        return f"{self.chart.name}-{self.values_file.name.removesuffix('-values.yaml')}"

    @property
    def golden(self) -> Path:
        return GOLDEN / f"{self}.yaml"

    @property
    def values(self) -> dict[str, Any]:
        return dict(yaml.safe_load(self.values_file.read_text(encoding="utf-8")))

    def manifests(self) -> Sequence[Manifest]:
        """Return what the golden file holds."""
        text = self.golden.read_text(encoding="utf-8").partition("# NOTES.txt")[0]
        return [found for found in yaml.safe_load_all(text) if found]


CASES = [
    Case(chart, values)
    for chart in (HELM / "memsvc", HELM / "memsvc-injector", HELM / "examples" / "agent")
    for values in sorted((chart / "ci").glob("*-values.yaml"))
]


@contextmanager
def with_dependencies(chart: Path) -> Iterator[Path]:
    """Return a copy of a chart that has in charts/ what it depends on."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / chart.name
        shutil.copytree(chart, copy, ignore=shutil.ignore_patterns("charts", "Chart.lock"))
        for library in LIBRARIES.get(chart.name, []):
            shutil.copytree(HELM / library, copy / "charts" / library)
        yield copy


def rendered(chart: Path, values: Mapping[str, Any]) -> str:
    """Return what `helm template` makes, notes at the end. Raises helm_python.HelmError."""
    import helm_python

    with with_dependencies(chart) as folder, helm_python.Chart.load(str(folder)) as loaded:
        found = loaded.render(dict(values), name=RELEASE, namespace=NAMESPACE)
    notes = ""
    parts = []
    for path, text in sorted(found.items()):
        body = "\n".join(line.rstrip() for line in text.strip().removeprefix("---").strip().splitlines())
        if path.endswith("NOTES.txt"):
            notes = f"# NOTES.txt\n{body}\n"
        elif body:
            parts.append(f"---\n# {path}\n{body}\n")
    return "".join([*parts, notes])
