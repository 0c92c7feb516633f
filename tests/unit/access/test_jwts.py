"""JWTs of an identity provider, with keys made here."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from memsvc.access.caller import Caller, Right
from memsvc.access.files import LOOK_SECONDS
from memsvc.access.gate import Credentials, Gate, build_gate
from memsvc.config import Config
from memsvc.errors import InvalidArgument, Unauthenticated

ISSUER, AUDIENCE = "https://id.example.org", "memsvc"
RSA = rsa.generate_private_key(65537, 2048)
KEYS: dict[str, tuple[Any, str, Any]] = {
    "rsa": (RSA, "RS256", RSAAlgorithm),
    "ec": (ec.generate_private_key(ec.SECP256R1()), "ES256", ECAlgorithm),
    "ed": (ed25519.Ed25519PrivateKey.generate(), "EdDSA", OKPAlgorithm),
}
SECRET = "0123456789abcdef" * 4


def write_keys(path: Path, *names: str) -> None:
    keys = []
    for name in names:
        key, algorithm, kind = KEYS[name]
        keys.append({**kind.to_jwk(key.public_key(), as_dict=True), "kid": name, "alg": algorithm})
    path.write_text(json.dumps({"keys": keys}))


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    path = tmp_path / "jwks.json"
    write_keys(path, *KEYS)
    return path


def gate_of(path: Path, **settings: Any) -> Gate:
    given = {"jwks_file": str(path), "jwt_issuer": ISSUER, "jwt_audience": AUDIENCE, **settings}
    gate = build_gate(Config(**given))
    assert gate is not None
    return gate


def claims(**other: Any) -> dict[str, Any]:
    now = int(time.time())
    return {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "agent-7",
        "exp": now + 60,
        "namespace": "support",
        "rights": "read write",
        **other,
    }


def signed(key: str = "rsa", header: dict[str, Any] | None = None, **other: Any) -> str:
    private, algorithm, _ = KEYS[key]
    said = {name: value for name, value in claims(**other).items() if value is not None}
    return jwt.encode(said, private, algorithm, headers={"kid": key} if header is None else header)


def identified(gate: Gate, token: str) -> Caller:
    return gate.identify(Credentials(f"Bearer {token}"))


@pytest.mark.parametrize("key", KEYS)
def test_a_jwt_says_who_calls_where_and_with_which_rights(keys_file: Path, key: str) -> None:
    gate = gate_of(keys_file)
    for _ in range(2):
        caller = identified(gate, signed(key))
        assert (caller.actor, caller.only_namespace) == ("agent-7", "support")
        assert caller.rights == {Right.READ, Right.WRITE}
        assert caller.may_see_user("anybody")


@pytest.mark.parametrize(
    "other",
    [
        {"iss": "https://evil.example.org"},
        {"iss": None},
        {"aud": "others"},
        {"aud": None},
        {"exp": int(time.time()) - 60},
        {"exp": None},
        {"nbf": int(time.time()) + 600},
        {"sub": None},
        {"sub": ""},
        {"sub": "a\nb"},
        {"sub": "x" * 300},
        {"namespace": 5},
        {"namespace": ["a", 5]},
        {"users": 5},
    ],
)
def test_a_jwt_of_others_or_of_another_time_or_without_sense_is_none(keys_file: Path, other: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated):
        identified(gate_of(keys_file), signed(**other))


def test_a_jwt_signed_by_another_key_or_by_none_or_by_the_public_key_is_none(keys_file: Path) -> None:
    gate = gate_of(keys_file)
    stranger = rsa.generate_private_key(65537, 2048)
    public = RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.PKCS1)
    head, body, _ = signed().split(".")
    forged = [
        jwt.encode(claims(), stranger, "RS256", headers={"kid": "rsa"}),
        jwt.encode(claims(), RSA, "RS512", headers={"kid": "rsa"}),
        jwt.encode(claims(), None, "none", headers={"kid": "rsa"}),
        jwt.encode(claims(), SECRET, "HS256", headers={"kid": "rsa"}),
        jwt.encode(claims(), public.hex(), "HS256", headers={"kid": "rsa"}),
        signed(header={"kid": "unknown"}),
        signed(header={}),
        f"{head}.{body}.",
        f"{head}.{body}.AAAA",
        "a.b.c",
        "..",
    ]
    for token in forged:
        with pytest.raises(Unauthenticated):
            identified(gate, token)


def test_names_in_claims_stand_for_themselves(keys_file: Path) -> None:
    gate = gate_of(keys_file)
    caller = identified(gate, signed(namespace=["support", "a*"], users=["*", "cust-*"]))
    assert not caller.may_see_user("cust-1")
    assert caller.may_see_user("cust-*")
    assert not any(pattern.matches("abc") for pattern in caller.namespaces)
    nobodys = identified(gate, signed(users=[]))
    assert not nobodys.rights


def test_claims_may_have_other_names_and_places(keys_file: Path) -> None:
    gate = gate_of(
        keys_file,
        jwt_namespace_claim="https://example.org/tenant",
        jwt_rights_claim="resource_access.memsvc.roles",
        jwt_users_claim="preferred_username",
    )
    other = {
        "https://example.org/tenant": "billing",
        "resource_access": {"memsvc": {"roles": ["memsvc:read", "offline"]}},
        "preferred_username": "sarah",
    }
    caller = identified(gate, signed(**other))
    assert (caller.only_namespace, caller.rights) == ("billing", {Right.READ})
    assert caller.may_see_user("sarah")
    assert not caller.may_see_user("ben")


def test_without_claims_there_are_no_rights_and_no_namespaces(keys_file: Path) -> None:
    caller = identified(gate_of(keys_file), signed(namespace=None, rights=None))
    assert (caller.rights, caller.namespaces) == (frozenset(), ())


def test_a_key_that_is_taken_out_of_the_file_is_good_for_nothing_from_then_on(keys_file: Path) -> None:
    gate = gate_of(keys_file)
    by_rsa, by_ec = signed("rsa"), signed("ec")
    identified(gate, by_rsa)
    version = gate.version
    write_keys(keys_file, "ec")
    time.sleep(2 * LOOK_SECONDS)
    with pytest.raises(Unauthenticated):
        identified(gate, by_rsa)
    assert gate.version != version
    identified(gate, by_ec)
    keys_file.write_text("{")
    identified(gate, by_ec)
    keys_file.unlink()
    time.sleep(2 * LOOK_SECONDS)
    with pytest.raises(Unauthenticated):
        identified(gate, by_ec)


def test_a_jwt_ends_when_it_expires_though_it_was_verified_before(
    keys_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, token = gate_of(keys_file), signed()
    identified(gate, token)
    later = time.time() + 120
    monkeypatch.setattr(time, "time", lambda: later)
    with pytest.raises(Unauthenticated):
        identified(gate, token)


@pytest.mark.parametrize(
    ("content", "settings", "wrong"),
    [
        ('{"keys": []}', {}, "jwks_file"),
        ("[]", {}, "jwks_file"),
        ("no json", {}, "jwks_file"),
        (json.dumps({"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "a"}]}), {}, "jwks_file"),
        (None, {"jwt_issuer": ""}, "jwt_issuer"),
        (None, {"jwt_audience": ""}, "jwt_audience"),
        (None, {"jwks_file": "/nowhere/jwks.json"}, "jwks_file"),
    ],
)
def test_what_cannot_work_is_said_at_start(
    keys_file: Path, content: str | None, settings: dict[str, str], wrong: str
) -> None:
    if content is not None:
        keys_file.write_text(content)
    with pytest.raises(InvalidArgument) as refused:
        gate_of(keys_file, **settings)
    assert refused.value.fields[0].field == wrong
