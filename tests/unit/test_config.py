from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from memsvc.config import Config, load_config
from memsvc.errors import InvalidArgument


def test_a_flag_beats_the_environment_beats_the_file_beats_the_default(tmp_path: Path) -> None:
    file = tmp_path / "memsvc.toml"
    file.write_text('lease_seconds = 1\npoll_seconds = 2\nquiet_seconds = 3\nlisten = ["unix:///a", "unix:///b"]\n')
    environment = {"MEMSVC_LEASE_SECONDS": "4", "MEMSVC_POLL_SECONDS": "5"}
    config, sources = load_config({"lease_seconds": 6.0}, environment, str(file))
    assert (config.lease_seconds, config.poll_seconds, config.quiet_seconds) == (6.0, 5.0, 3.0)
    assert config.listen == ["unix:///a", "unix:///b"]
    assert config.memory_quota == Config().memory_quota
    assert sources["lease_seconds"] == "flag"
    assert sources["poll_seconds"] == "MEMSVC_POLL_SECONDS"
    assert sources["quiet_seconds"] == str(file)


def test_lists_and_options_are_comma_separated_in_the_environment() -> None:
    environment = {
        "MEMSVC_LISTEN": "unix:///a, 127.0.0.1:1",
        "MEMSVC_STORAGE_OPTIONS": "table_prefix=x_,synchronous=FULL",
    }
    config, _ = load_config({}, environment)
    assert config.listen == ["unix:///a", "127.0.0.1:1"]
    assert config.storage_options == {"table_prefix": "x_", "synchronous": "FULL"}


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({"MEMSVC_LEASE_SECONDS": "soon"}, "lease_seconds"),
        ({"MEMSVC_LEASE_SECONDS": "0"}, "lease_seconds"),
        ({"MEMSVC_MEMORY_QUOTA": "-1"}, "memory_quota"),
        ({"MEMSVC_INSECURE": "perhaps"}, "insecure"),
        ({"MEMSVC_ENGINE": "magic"}, "engine"),
        ({"MEMSVC_STORAGE_OPTIONS": "table_prefix"}, "storage_options"),
        ({"MEMSVC_CONFIG": "/nowhere.toml"}, "config"),
    ],
)
def test_a_wrong_setting_is_named(environment: dict[str, str], name: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        load_config({}, environment)
    assert caught.value.fields[0].field == name


def test_a_repeated_flag_is_a_list() -> None:
    config, _ = load_config({"listen": ("unix:///a", "unix:///b"), "storage_options": ("table_prefix=x_",)}, {})
    assert config.listen == ["unix:///a", "unix:///b"]
    assert config.storage_options == {"table_prefix": "x_"}


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("listen = 5", "listen: must be a string or a list of strings, not 5"),
        ("listen = [5]", r"listen: must be a string or a list of strings, not \[5\]"),
        ("listen = { a = 1 }", "listen: must be a string or a list of strings"),
        ("storage_options = 5", "storage_options: must be name=value,..., not 5"),
        ("lease_seconds = [1]", r"lease_seconds: must be a number, not \[1\]"),
        ("memory_quota = inf", "memory_quota: must be a whole number, not inf"),
        ("storage_url = true", "storage_url: must be a string, not True"),
    ],
)
def test_a_value_of_the_wrong_kind_in_a_file_is_named(tmp_path: Path, line: str, complaint: str) -> None:
    file = tmp_path / "memsvc.toml"
    file.write_text(f"{line}\n")
    with pytest.raises(InvalidArgument, match=complaint):
        load_config({}, {}, str(file))


def test_an_unknown_setting_in_a_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "memsvc.toml"
    file.write_text("leese_seconds = 1\n")
    with pytest.raises(InvalidArgument, match="leese_seconds"):
        load_config({}, {}, str(file))


def test_every_setting_says_why() -> None:
    assert all(len(each.metadata["help"]) > 20 for each in dataclasses.fields(Config))
