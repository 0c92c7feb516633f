from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from memsvc.access.allowance import Allowance
from memsvc.access.caller import Right
from memsvc.access.token_file import TokenFile
from memsvc.access.tokens import Entry, new_token, read_known, token_hash
from memsvc.cli.main import cli
from memsvc.errors import AlreadyExists, InvalidArgument, NotFound


def entry(entry_id: str, token: str, **described: object) -> Entry:
    return Entry(
        id=entry_id,
        token_sha256=token_hash(token),
        namespaces=["support"],
        rights=[Right.READ],
        **described,  # type: ignore[arg-type]
    )


def test_the_file_holds_no_token_and_is_its_owners_alone(tmp_path: Path) -> None:
    file, token = TokenFile(tmp_path / "new" / "tokens"), new_token("a")
    file.add(entry("a", token))
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert token.rpartition("_")[2] not in file.path.read_text()
    assert read_known(file.path.read_bytes()).with_token(token) is not None


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    file = TokenFile(tmp_path / "tokens")
    written = [
        entry("a", new_token("a"), users=["cust-*"], expire_time=datetime(2030, 1, 1, tzinfo=UTC)),
        entry("b", new_token("b"), actor="bot", limits=Allowance(calls_per_second=2.5)),
        Entry(id="c", certificate="spiffe://x/*", namespaces=["*"], rights=list(Right)),
        Entry(id="d", socket_user=1007, namespaces=["a", "b"], rights=[Right.WRITE]),
    ]
    for each in written:
        file.add(each)
    assert list(file.entries()) == written


def test_an_id_names_one_line_and_is_taken_out_by_it(tmp_path: Path) -> None:
    file = TokenFile(tmp_path / "tokens")
    file.add(entry("a", new_token("a")))
    with pytest.raises(AlreadyExists):
        file.add(entry("a", new_token("a")))
    with pytest.raises(NotFound):
        file.remove(["a", "b"])
    assert [each.id for each in file.entries()] == ["a"]
    file.remove(["a"])
    assert not file.entries()


def test_remarks_and_lines_that_make_no_sense_stay_as_they_are(tmp_path: Path) -> None:
    file = TokenFile(tmp_path / "tokens")
    file.path.write_text("# agents of support\nno sense\n")
    file.add(entry("a", new_token("a")))
    file.remove(["a"])
    assert file.path.read_text() == "# agents of support\nno sense\n"


def test_a_list_names_the_lines_that_let_nobody_in(tmp_path: Path) -> None:
    file = TokenFile(tmp_path / "tokens")
    file.add(entry("a", new_token("a")))
    (line,) = file.path.read_bytes().splitlines()
    file.path.write_bytes(b"# remark\nno sense\n\n" + line + b"\n" + line + b"\n")
    result = CliRunner().invoke(cli, ["token", "list", "--tokens-file", str(file.path)])
    assert result.exit_code == 0
    assert [shown.split()[0] for shown in result.stdout.splitlines()] == ["a"]
    first, second = result.stderr.splitlines()
    assert first.startswith(f"{file.path}: line 2 is ignored: line: JSON is malformed")
    assert second == f"{file.path}: line 5 is ignored: id: is that of a line above"


def test_a_list_says_who_has_expired(tmp_path: Path) -> None:
    file = TokenFile(tmp_path / "tokens")
    file.add(entry("a", new_token("a"), expire_time=datetime.fromisoformat("2020-01-01T02:00:00+02:00")))
    file.add(entry("b", new_token("b"), expire_time=datetime(9999, 1, 1, tzinfo=UTC)))
    result = CliRunner().invoke(cli, ["token", "list", "--tokens-file", str(file.path)])
    first, second = result.stdout.splitlines()
    assert first.endswith("  expired 2020-01-01 00:00Z")
    assert second.endswith("  until 9999-01-01 00:00Z")


def test_who_write_at_once_lose_nothing_of_each_other(tmp_path: Path) -> None:
    file = TokenFile(tmp_path / "tokens")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: file.add(entry(f"t{number}", new_token(f"t{number}"))), range(40)))
    assert len(file.entries()) == 40
    assert os.listdir(tmp_path) == ["tokens"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").touch()
    (tmp_path / "link").symlink_to("real")
    TokenFile(tmp_path / "link").add(entry("a", new_token("a")))
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text()


@pytest.mark.parametrize(
    "wrong",
    [
        Entry(id="a", namespaces=["x"], rights=[Right.READ]),
        Entry(id="a", certificate="x", socket_user=1, namespaces=["x"], rights=[Right.READ]),
        Entry(id="a", certificate="x", namespaces=["x\n"], rights=[Right.READ]),
        Entry(id="a", certificate="x", namespaces=["x"], users=["ü" * 200], rights=[Right.READ]),
        Entry(id="a", certificate="x", namespaces=["x"], rights=[Right.READ], limits=Allowance(memories=5)),
    ],
)
def test_what_makes_no_sense_is_not_written(tmp_path: Path, wrong: Entry) -> None:
    file = TokenFile(tmp_path / "tokens")
    with pytest.raises(InvalidArgument):
        file.add(wrong)
    assert not file.path.exists()
