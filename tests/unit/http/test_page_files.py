"""What can be said of the page's files without a browser."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from memsvc.http.page_files import POLICY

FOLDER = Path(__file__).parents[3] / "memsvc" / "http" / "page"
FILES = sorted(FOLDER.iterdir())
MODULES = [path for path in FILES if path.suffix == ".js"]
MAX_BYTES = 150 * 1024
MAX_LINES = 300

FROM_TEXT = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\(|new Function|srcdoc")
"""Whatever makes markup or script of a text."""
KEPT = re.compile(r"localStorage|sessionStorage|indexedDB|document\.cookie|\bcaches\b")
"""Whatever outlives the page, as no token may."""
IMPORT = re.compile(r'^(?:import|export) [^;]*?from "([^"]+)";|^import "([^"]+)";', re.MULTILINE)


def imported(path: Path) -> list[str]:
    return [one or other for one, other in IMPORT.findall(path.read_text())]


def test_all_of_it_is_small() -> None:
    assert sum(path.stat().st_size for path in FILES) <= MAX_BYTES


def test_each_file_is_of_a_kind_that_is_served() -> None:
    assert {path.suffix for path in FILES} == {".html", ".css", ".js", ".svg", ".json"}
    assert [path.name for path in FILES if path.suffix in (".html", ".css")] == ["index.html", "style.css"]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_a_module_is_of_one_idea_and_makes_no_markup_of_text(path: Path) -> None:
    text = path.read_text()

    assert text.startswith("/** ")
    assert text.count("\n") <= MAX_LINES
    assert not FROM_TEXT.search(text)
    assert not KEPT.search(text)
    assert not re.search(r'setAttribute\("(on|style)', text)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_a_module_imports_only_files_beside_it_and_names_that_they_export(path: Path) -> None:
    for name in imported(path):
        assert re.fullmatch(r"\./\w+\.js", name), name
        assert (FOLDER / name).is_file(), name
    for names, other in re.findall(r'^import \{([^}]*)\} from "\./([^"]+)";', path.read_text(), re.MULTILINE):
        exported = (FOLDER / other).read_text()
        for each in filter(None, (name.split(" as ")[0].strip() for name in names.split(","))):
            assert re.search(rf"^export (?:async )?(?:function\*?|const|class) {each}\b", exported, re.MULTILINE), each


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_a_module_imports_nothing_that_it_does_not_use(path: Path) -> None:
    text = path.read_text()
    for names in re.findall(r"^import \{([^}]*)\} from", text, re.MULTILINE):
        for name in filter(None, (each.split(" as ")[-1].strip() for each in names.split(","))):
            assert len(re.findall(rf"\b{re.escape(name)}\b", text)) > 1, name


def test_every_module_is_reached_from_the_page() -> None:
    reached, ahead = set(), ["./main.js"]
    while ahead:
        name = ahead.pop()
        if name not in reached:
            reached.add(name)
            ahead += imported(FOLDER / name)

    assert sorted(reached) == sorted(f"./{path.name}" for path in MODULES)


def test_every_module_is_read_by_a_parser_of_javascript() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node is not installed")
    parse = "for (const file of process.argv.slice(1)) new vm.SourceTextModule(fs.readFileSync(file, 'utf8'))"
    command = [node, "--experimental-vm-modules", "--no-warnings", "-e", parse, *map(str, MODULES)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def test_the_page_has_no_script_or_style_of_its_own_and_fetches_nothing_from_elsewhere() -> None:
    page = (FOLDER / "index.html").read_text()

    assert not re.search(r"\son\w+=|\sstyle=|<style|javascript:", page)
    assert re.findall(r"<script[^>]*>", page) == ['<script type="module" src="main.js">']
    for path in FILES:
        assert not re.search(r"(?:src|href|url\(|from|import)[=(\s\"']*https?://", path.read_text()), path.name
    for name in re.findall(r'(?:src|href)="([\w.]+)"', page):
        assert (FOLDER / name).is_file(), name


def test_the_policy_lets_the_page_do_nothing_but_call_this_server() -> None:
    assert POLICY.startswith("default-src 'self'; ")
    assert "unsafe" not in POLICY
    assert "require-trusted-types-for 'script'" in POLICY
