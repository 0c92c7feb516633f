"""What the MongoDB driver is told, and what the server's answers mean: errors that name what is wrong, and no more."""

from __future__ import annotations

import pytest
from pymongo.errors import (
    AutoReconnect,
    ConfigurationError,
    ExecutionTimeout,
    NetworkTimeout,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WTimeoutError,
)

from memsvc.errors import InvalidArgument, Reason, StorageUnavailable
from memsvc.storage.registry import connect
from memsvc_drivers.mongo.driver import MongoDriver
from memsvc_drivers.mongo.errors import failed
from memsvc_drivers.mongo.facts import Facts, capabilities_of
from memsvc_drivers.mongo.settings import ReadConcern, parse_settings

_URL = "mongodb://localhost/memsvc"


@pytest.mark.parametrize(
    ("url", "database"),
    [
        ("mongodb://localhost", "memsvc"),
        ("mongodb://localhost/", "memsvc"),
        ("mongodb://a:1,b:2/memories?replicaSet=rs0", "memories"),
        ("mongodb://me:p%40ss@a/memories?authSource=admin&tls=true", "memories"),
        ("mongodb+srv://me:secret@cluster.example/memories", "memories"),
        ("mongodb+srv://cluster.example", "memsvc"),
    ],
)
def test_each_form_of_the_url(url: str, database: str) -> None:
    settings = parse_settings(url, {})
    assert settings.database == database
    assert "ss@" not in repr(settings)
    assert "secret" not in repr(settings)


@pytest.mark.parametrize(
    "url",
    [
        "mongodb://",
        "mongodb://me:secret@",
        "mongodb://me:secret@host:port/memsvc",
        "mongodb://me:sec/ret@host/memsvc",
        "mongodb://me:secret@host/memsvc?no_such_option=1",
        "mongodb://me:secret@host/memsvc?tls=perhaps",
        "mongodb://me:secret@host/with.dot",
        "mongodb+srv://me:secret@host/with%20space",
    ],
)
def test_a_wrong_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(InvalidArgument) as raised:
        connect(url)
    assert [field.field for field in raised.value.fields] == ["storage_url"]
    assert "sec" not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("no_such_option", "1"),
        ("table_prefix", "x"),
        ("pool_size", "0"),
        ("pool_size", "many"),
        ("connect_timeout_ms", "1"),
        ("operation_timeout_ms", "-1"),
        ("projection_delay_ms", "1.5"),
        ("read_concern", "local"),
        ("collection_prefix", "1st"),
        ("collection_prefix", "a$"),
        ("collection_journal", "a.b"),
        ("collection_journal", ""),
        ("collection_rows", "memories"),
    ],
)
def test_a_wrong_option_is_named(option: str, value: str) -> None:
    with pytest.raises(InvalidArgument) as raised:
        connect(_URL, {option: value})
    assert [field.field for field in raised.value.fields] == [f"storage_options.{option}"]


def test_collections_are_named_by_prefix_or_one_by_one() -> None:
    names = parse_settings(_URL, {"collection_prefix": "memsvc-", "collection_memories": "facts"}).names
    assert (names.journal, names.memories, names.rows, names.schema) == (
        "memsvc-journal",
        "facts",
        "memsvc-rows",
        "memsvc-schema",
    )


def test_every_option_is_described() -> None:
    described = MongoDriver.options()
    settings = {"connect_timeout_ms", "operation_timeout_ms", "pool_size", "read_concern", "projection_delay_ms"}
    assert settings | {"collection_prefix", "collection_journal"} <= described.keys()
    assert all(described.values())


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OperationFailure("secret", 14031), Reason.STORAGE_FULL),
        (OperationFailure("secret", 12501), Reason.STORAGE_FULL),
        (OperationFailure("secret", 13), Reason.STORAGE_UNAVAILABLE),
        (OperationFailure("secret", 18), Reason.STORAGE_UNAVAILABLE),
        (OperationFailure("secret", 12345), Reason.STORAGE_UNAVAILABLE),
        (OperationFailure("secret"), Reason.STORAGE_UNAVAILABLE),
        (ExecutionTimeout("secret", 50), Reason.STORAGE_UNAVAILABLE),
        (WTimeoutError("secret", 64), Reason.STORAGE_UNAVAILABLE),
        (NotPrimaryError("secret"), Reason.STORAGE_UNAVAILABLE),
        (AutoReconnect("secret"), Reason.STORAGE_UNAVAILABLE),
        (NetworkTimeout("secret"), Reason.STORAGE_UNAVAILABLE),
        (ServerSelectionTimeoutError("secret"), Reason.STORAGE_UNAVAILABLE),
        (PyMongoError("secret"), Reason.STORAGE_UNAVAILABLE),
    ],
)
def test_errors_are_told_by_class_and_code(error: PyMongoError, reason: Reason) -> None:
    told = failed(error)
    assert isinstance(told, StorageUnavailable)
    assert told.reason is reason
    assert "secret" not in str(told)


def test_a_url_that_does_not_suit_the_server_is_the_callers_fault() -> None:
    told = failed(ConfigurationError("secret"))
    assert isinstance(told, InvalidArgument)
    assert "secret" not in str(told)


@pytest.mark.parametrize(
    ("facts", "durable", "failover", "hints", "warnings"),
    [
        (Facts(), True, False, False, 1),
        (Facts(replica_set=True), True, False, True, 0),
        (Facts(replica_set=True, members=2), True, True, True, 1),
        (Facts(replica_set=True, members=3), True, True, True, 0),
        (Facts(replica_set=True, members=3, in_ram=True), False, False, True, 1),
        (Facts(sharded=True, members=3), True, True, True, 0),
        (Facts(sharded=True, members=0), True, False, True, 0),
        (Facts(sharded=True, members=3, shard_keys={"journal": "_id"}), True, True, True, 1),
        (Facts(ferretdb=True), True, False, False, 2),
    ],
)
def test_capabilities_follow_from_what_the_server_is(
    facts: Facts, durable: bool, failover: bool, hints: bool, warnings: int
) -> None:
    found = capabilities_of(facts, parse_settings(_URL, {}))
    assert (found.durable.supported, found.failover.supported, found.hints.supported) == (durable, failover, hints)
    assert len(found.warnings) == warnings
    assert found.shared.supported


def test_a_primary_that_was_cut_off_is_no_risk_to_linearizable_reads() -> None:
    replicated = Facts(replica_set=True, members=3)
    majority = capabilities_of(replicated, parse_settings(_URL, {}))
    linearizable = capabilities_of(replicated, parse_settings(_URL, {"read_concern": ReadConcern.LINEARIZABLE}))
    assert majority.shared.reason
    assert not linearizable.shared.reason
