from __future__ import annotations

from pathlib import Path

import click
import pytest
from msgspec.structs import fields

from memsvc.cli.main import cli
from memsvc.config import DEFAULTS, Config, default_storage_url, load_config, setting_kinds
from memsvc.errors import InvalidArgument
from memsvc.storage.options import descriptions, read_value


def test_a_flag_beats_the_environment_beats_the_file_beats_the_default(tmp_path: Path) -> None:
    file = tmp_path / "memsvc.toml"
    file.write_text('lease_seconds = 1\npoll_seconds = 2\nquiet_seconds = 3\nlisten = ["unix:///a", "unix:///b"]\n')
    environment = {"MEMSVC_LEASE_SECONDS": "4", "MEMSVC_POLL_SECONDS": "5"}
    config, sources = load_config({"lease_seconds": "6"}, environment, str(file))
    assert (config.lease_seconds, config.poll_seconds, config.quiet_seconds) == (6.0, 5.0, 3.0)
    assert config.listen == ["unix:///a", "unix:///b"]
    assert config.memory_quota == DEFAULTS.memory_quota
    assert sources["lease_seconds"] == "flag"
    assert sources["poll_seconds"] == "MEMSVC_POLL_SECONDS"
    assert sources["quiet_seconds"] == str(file)


def test_lists_and_mappings_are_comma_separated_in_the_environment() -> None:
    environment = {
        "MEMSVC_LISTEN": "unix:///a, 127.0.0.1:1",
        "MEMSVC_STORAGE_OPTIONS": "table_prefix=x_,synchronous=FULL",
        "MEMSVC_OPENAI_EXTRA_HEADERS": '{"X-Title": "a, b"}',
        "MEMSVC_OPENAI_EXTRA_BODY": "reasoning_effort=low,top_k=5",
    }
    config, _ = load_config({}, environment)
    assert config.listen == ["unix:///a", "127.0.0.1:1"]
    assert config.storage_options == {"table_prefix": "x_", "synchronous": "FULL"}
    assert config.openai_extra_headers == {"X-Title": "a, b"}
    assert config.openai_extra_body == {"reasoning_effort": "low", "top_k": 5}


def test_mappings_are_tables_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "memsvc.toml"
    file.write_text("[storage_options]\npool_size = 4\nhints = false\n[openai_extra_body.provider]\norder = [1, 2]\n")
    config, _ = load_config({}, {}, str(file))
    assert config.storage_options == {"pool_size": "4", "hints": "false"}
    assert config.openai_extra_body == {"provider": {"order": [1, 2]}}


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("lease_seconds", "soon", "must be a number above 0 up to 315,360,000, not 'soon'"),
        ("lease_seconds", "0", "must be a number above 0"),
        ("default_deadline_seconds", "0", "must be a number above 0"),
        ("default_deadline_seconds", "nan", "must be a number above 0"),
        ("default_deadline_seconds", "inf", "must be a number above 0"),
        ("quiet_seconds", "nan", "must be a number from 0"),
        ("quiet_seconds", "-1", "must be a number from 0"),
        ("drain_seconds", "inf", "must be a number from 0"),
        ("openai_temperature", "3", "must be a number from 0 to 2"),
        ("openai_temperature", "nan", "must be a number from 0 to 2"),
        ("memory_quota", "-1", "must be a whole number from 1"),
        ("max_calls", "0", "must be a whole number from 1"),
        ("cache_bytes", "64 MB", "must be a whole number from 0"),
        ("insecure", "perhaps", "must be true or false"),
        ("engine", "magic", "must be one of auto, openai, rules, not 'magic'"),
        ("log_level", "loud", "must be one of DEBUG, ERROR, INFO, WARNING"),
        ("storage_options", "table_prefix", "must be name=value,... or a JSON object"),
        ("listen", " , ", "must be text with commas or a list of text, not empty"),
        ("openai_model", "", "must be text, not empty"),
    ],
)
def test_a_wrong_value_is_named_and_says_what_is_wanted(name: str, value: str, complaint: str) -> None:
    for flags, environment in (({name: value}, {}), ({}, {f"MEMSVC_{name.upper()}": value})):
        with pytest.raises(InvalidArgument) as caught:
            load_config(flags, environment)
        assert caught.value.fields[0].field == name
        assert caught.value.fields[0].description.startswith(complaint)


@pytest.mark.parametrize(
    "name", ["tokens_file", "tls_certificate_file", "limits_file", "jwks_file", "storage_url", "redact"]
)
def test_what_is_empty_is_not_taken_for_an_open_door(name: str, tmp_path: Path) -> None:
    file = tmp_path / "memsvc.toml"
    file.write_text(f'{name} = ""\n')
    for flags, environment, path in (
        ({name: ""}, {}, None),
        ({}, {f"MEMSVC_{name.upper()}": ""}, None),
        ({}, {}, str(file)),
    ):
        with pytest.raises(InvalidArgument) as caught:
            load_config(flags, environment, path)
        assert caught.value.fields[0].field == name
        assert "not" in caught.value.fields[0].description
        assert "empty" in caught.value.fields[0].description


@pytest.mark.parametrize(("environment", "path"), [({"MEMSVC_CONFIG": ""}, None), ({}, "")])
def test_no_name_of_a_file_of_settings_is_not_taken_for_no_settings(
    environment: dict[str, str], path: str | None
) -> None:
    with pytest.raises(InvalidArgument, match="config: must not be empty"):
        load_config({}, environment, path)


def test_a_choice_is_known_whatever_its_case() -> None:
    config, _ = load_config({"log_level": "debug", "engine": "RULES"}, {})
    assert (config.log_level, config.engine) == ("DEBUG", "rules")


def test_a_secret_is_not_repeated_in_an_error() -> None:
    for name in ("openai_extra_headers", "openai_api_key", "openai_base_url"):
        with pytest.raises(InvalidArgument) as caught:
            read_value(name, setting_kinds()[name], 1234567 if name != "openai_extra_headers" else "1234567")
        assert "1234567" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named() -> None:
    with pytest.raises(InvalidArgument, match=r"config: cannot read /nowhere\.toml"):
        load_config({}, {"MEMSVC_CONFIG": "/nowhere.toml"})


def test_a_repeated_flag_is_a_list() -> None:
    config, _ = load_config({"listen": ("unix:///a", "unix:///b"), "storage_options": ("table_prefix=x_",)}, {})
    assert config.listen == ["unix:///a", "unix:///b"]
    assert config.storage_options == {"table_prefix": "x_"}


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("listen = 5", "listen: must be text with commas or a list of text, not empty, not 5"),
        ("listen = [5]", r"listen: must be text with commas or a list of text, not empty, not \[5\]"),
        ("listen = { a = 1 }", "listen: must be text with commas or a list of text"),
        ("storage_options = 5", "storage_options: must be name=value,..."),
        ("storage_options = { a = [1] }", "storage_options: must be name=value,..."),
        ("lease_seconds = [1]", r"lease_seconds: must be a number above 0 up to 315,360,000, not \[1\]"),
        ("lease_seconds = nan", "lease_seconds: must be a number above 0"),
        ("memory_quota = inf", "memory_quota: must be a whole number from 1 to 1,000,000,000, not inf"),
        ("memory_quota = true", "memory_quota: must be a whole number"),
        ("storage_url = true", "storage_url: must be text, not True"),
    ],
)
def test_a_value_of_the_wrong_kind_in_a_file_is_named(tmp_path: Path, line: str, complaint: str) -> None:
    file = tmp_path / "memsvc.toml"
    file.write_text(f"{line}\n")
    with pytest.raises(InvalidArgument, match=complaint):
        load_config({}, {}, str(file))


@pytest.mark.parametrize(
    ("written", "meant"),
    [("leese_seconds", "lease_seconds"), ("storage-url", "storage_url"), ("OPENAI_MODEL", "openai_model")],
)
def test_an_unknown_setting_in_a_file_is_named_with_the_nearest(tmp_path: Path, written: str, meant: str) -> None:
    file = tmp_path / "memsvc.toml"
    file.write_text(f"{written} = 1\n")
    with pytest.raises(InvalidArgument, match=f"{written}: is no setting; did you mean {meant}?"):
        load_config({}, {}, str(file))


@pytest.mark.parametrize(
    ("variable", "hint"),
    [
        ("MEMSVC_LEASE_SECOND", "; did you mean MEMSVC_LEASE_SECONDS?"),
        ("MEMSVC_STORAGE-URL", "; did you mean MEMSVC_STORAGE_URL?"),
        ("MEMSVC_CONFG", "; did you mean MEMSVC_CONFIG?"),
        ("MEMSVC_XYZZY_PLUGH", ""),
    ],
)
def test_a_variable_that_is_no_setting_is_an_error_with_the_nearest(variable: str, hint: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        load_config({}, {variable: "1"})
    assert caught.value.message == f"{variable}: is no setting{hint}"


def test_the_variables_that_commands_read_keep_no_server_from_starting() -> None:
    context = click.Context(cli)
    commands = [cli.get_command(context, name) for name in cli.list_commands(context)]
    variables = {each.envvar for command in commands if command is not None for each in command.params}
    read = {str(variable): "1" for variable in variables if variable}
    assert "MEMSVC_TOKEN" in read
    settings = {f"MEMSVC_{name.upper()}" for name in setting_kinds()}
    assert load_config({}, {name: value for name, value in read.items() if name not in settings})[1] == {}


def test_the_variables_that_kubernetes_gives_a_pod_beside_a_service_named_memsvc_are_no_settings() -> None:
    given = {
        "MEMSVC_SERVICE_HOST": "10.0.0.1",
        "MEMSVC_SERVICE_PORT": "7432",
        "MEMSVC_SERVICE_PORT_GRPC": "7432",
        "MEMSVC_PORT": "tcp://10.0.0.1:7432",
        "MEMSVC_PORT_7432_TCP": "tcp://10.0.0.1:7432",
        "MEMSVC_PORT_7432_TCP_ADDR": "10.0.0.1",
        "MEMSVC_HEALTH_SERVICE_HOST": "10.0.0.2",
        "MEMSVC_HEALTH_PORT_7433_TCP_PROTO": "tcp",
    }
    assert load_config({}, given)[1] == {}


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"XDG_DATA_HOME": "/data"}, "/data"),
        ({"XDG_DATA_HOME": ""}, f"{Path.home()}/.local/share"),
        ({"XDG_DATA_HOME": "relative"}, f"{Path.home()}/.local/share"),
        ({}, f"{Path.home()}/.local/share"),
    ],
)
def test_the_default_database_is_in_the_users_data_folder(environment: dict[str, str], folder: str) -> None:
    assert default_storage_url(environment) == f"sqlite:///{folder}/memsvc/memory.db"
    assert load_config({}, environment)[0].storage_url == f"sqlite:///{folder}/memsvc/memory.db"


def test_every_setting_says_why() -> None:
    said = descriptions(Config)
    assert [name for name in setting_kinds() if len(said.get(name, "")) < 20] == []


def test_every_default_is_one_that_could_be_given() -> None:
    for each in fields(Config):
        default = getattr(DEFAULTS, each.name)
        if default is not None and (default or each.name not in ("storage_url",)):
            assert read_value(each.name, setting_kinds()[each.name], default) == default
