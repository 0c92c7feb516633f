"""Drivers are found by entry point; the core names none."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from memsvc.errors import InvalidArgument
from memsvc.storage import registry
from memsvc.storage.registry import bringer_of, connect

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("scheme", "bringer"),
    [
        ("sqlite", "memsvc[server]"),
        ("postgresql", "memsvc[postgres]"),
        ("postgres", "memsvc[postgres]"),
        ("rediss", "memsvc[redis]"),
        ("mongodb+srv", "memsvc[mongo]"),
    ],
)
def test_an_entry_point_says_what_brings_it(scheme: str, bringer: str) -> None:
    assert bringer_of(scheme) == bringer


@pytest.mark.parametrize("module", ["no_such_library", "no_such_library.inside"])
def test_a_driver_without_its_library_says_what_to_install(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("acme", f"{module}:AcmeDriver [acme]", registry.GROUP)
    monkeypatch.setattr(registry, "plugins", lambda: {"acme": point})
    with pytest.raises(InvalidArgument, match=r"the acme driver needs no_such_library: pip install 'memsvc\[acme\]'"):
        connect("acme://host")


@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_a_driver_is_found_wherever_it_is_installed(kind: str, tmp_path: Path) -> None:
    files = {
        "acme.py": "class Drivers:\n  class Acme:\n    def __init__(self, url, options):\n      print(url)\n",
        "acme-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: acme\nVersion: 1\n",
        "acme-1.dist-info/entry_points.txt": "[other]\nacme = nothing:Here\n\n[memsvc.drivers]\n"
        "# Reads what Acme keeps.\nacme = acme:Drivers.Acme [acme]\n\n[console_scripts]\nsqlite = nothing:Here\n",
    }
    place = tmp_path / "place"
    if kind == "archive":
        with zipfile.ZipFile(place, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
    else:
        for name, text in files.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_text(text)
        (place / "broken-1.dist-info" / "entry_points.txt").mkdir(parents=True)

    program = (
        "from memsvc.storage.registry import connect, shown; connect('acme://host'); print(shown('acme://host/x'))"
    )
    path = os.pathsep.join((str(place), *sys.path))
    env = {**os.environ, "PYTHONPATH": path}
    ran = subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.PIPE, text=True, env=env)
    assert ran.stdout.split() == ["acme://host", "acme://host/x"]


def test_nothing_in_the_core_names_a_driver() -> None:
    named = re.compile(r"memsvc_drivers\.\w|import (asyncpg|motor|pymongo|redis)|from (asyncpg|motor|pymongo|redis)\b")
    core = [*(ROOT / "memsvc").rglob("*.py")]
    assert len(core) > 50
    naming = {path.name for path in core if named.search(path.read_text())}
    assert not naming


@pytest.mark.parametrize(
    "url", ["sqlite:///{folder}/x.db", "postgresql://localhost/x", "redis://localhost", "mongodb://h/x"]
)
def test_a_driver_does_without_what_only_development_needs(url: str, tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['sqlalchemy'] = None\n"
        "from memsvc.storage.registry import connect\n"
        f"connect({url.format(folder=tmp_path)!r})"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
