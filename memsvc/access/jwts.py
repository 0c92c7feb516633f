"""JWTs that an identity provider has signed: its keys are in a JWKS file, claims say who calls and what they may do.

    {"iss": "https://id.example.org", "aud": "memsvc", "sub": "agent-7", "exp": 1790000000,
     "namespace": "support", "rights": "read write", "users": ["cust-17"]}

Only public keys count, each with the one algorithm that is its own. Names in claims stand for themselves: whoever may
choose a name of "*" is not everybody for that. A JWT that was verified is known for as long as it and its key are good.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from memsvc.access.caller import Caller, Right
from memsvc.access.files import WatchedFile
from memsvc.access.patterns import NamePattern
from memsvc.config import Config
from memsvc.errors import invalid
from memsvc.invisible import hides
from memsvc.limits import ID_BYTES

if TYPE_CHECKING:
    from jwt import PyJWK

Keys = Mapping[str, "PyJWK"]

_LEEWAY_SECONDS: Final = 10
_KEPT: Final = 2_000
_SYMMETRIC: Final = "oct"
_PREFIX: Final = "memsvc:"
_MOST_NAMES: Final = 1_000


class Jwts:
    """Knows callers by their JWTs."""

    def __init__(self, settings: Config) -> None:
        """Read the keys. Raises InvalidArgument naming the setting that is wrong."""
        for name in ("jwt_issuer", "jwt_audience"):
            if not getattr(settings, name):
                raise invalid(name, "must be given with jwks_file: or the JWTs of others would do")
        self._settings = settings
        self._keys: WatchedFile[Keys] = WatchedFile("jwks_file", settings.jwks_file, _read_keys, missing={})
        self._verified: dict[bytes, Caller] = {}
        self._of_version = 0

    @property
    def version(self) -> int:
        self._keys.now()
        return self._keys.version

    def look_at_once(self) -> None:
        """See what the file of keys says this very moment."""
        self._keys.now(at_once=True)

    def caller(self, token: str) -> Caller | None:
        """Return whose JWT it is; None: it is none, or not good, or says nothing of who it is for."""
        if token.count(".") != 2:
            return None
        keys = self._keys.now()
        if self._keys.version != self._of_version:
            self._verified.clear()
            self._of_version = self._keys.version
        digest = hashlib.sha256(token.encode()).digest()
        caller = self._verified.get(digest)
        if caller is not None and caller.expire_time > time.time():
            return caller
        caller = self._read(token, keys)
        if caller is not None:
            if len(self._verified) >= _KEPT:
                del self._verified[next(iter(self._verified))]
            self._verified[digest] = caller
        return caller

    def _read(self, token: str, keys: Keys) -> Caller | None:
        import jwt

        settings = self._settings
        try:
            key_id = jwt.get_unverified_header(token).get("kid")
            key = keys.get(key_id) if isinstance(key_id, str) else None
            if key is None and key_id is None and len(keys) == 1:
                (key,) = keys.values()
            if key is None:
                return None
            claims = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                issuer=settings.jwt_issuer,
                audience=settings.jwt_audience,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
            return self._caller(claims)
        except (jwt.PyJWTError, ValueError):
            return None

    def _caller(self, claims: Mapping[str, Any]) -> Caller:
        """Raises ValueError for claims that are no names."""
        settings = self._settings
        actor = _names(claims["sub"])[0]
        rights = {right.removeprefix(_PREFIX) for right in _words(_claim(claims, settings.jwt_rights_claim))}
        users = _claim(claims, settings.jwt_users_claim)
        if users is not None and not _names(users):
            rights = set()
        return Caller(
            actor=actor,
            rights=frozenset(right for right in Right if right in rights),
            namespaces=_patterns(_claim(claims, settings.jwt_namespace_claim)),
            users=_patterns(users),
            expire_time=float(claims["exp"]) + _LEEWAY_SECONDS,
            key=f"jwt:{actor}",
        )


def _read_keys(content: bytes) -> Keys:
    from jwt import PyJWKSet
    from jwt.exceptions import PyJWTError

    try:
        described = json.loads(content)
        public = [key for key in described["keys"] if key.get("kty") != _SYMMETRIC]
        keys = PyJWKSet.from_dict({"keys": public}).keys
    except (PyJWTError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise invalid("jwks_file", "holds no JWKS with a public key") from error
    return {key.key_id or f"#{index}": key for index, key in enumerate(keys)}


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    """Return a claim by its name, or by its path: `resource_access.memsvc.roles`; None: there is none."""
    if name in claims:
        return claims[name]
    value: Any = claims
    for part in name.split("."):
        if not isinstance(value, dict) or part not in value:
            return None
        value = value[part]
    return value


def _words(value: Any) -> list[str]:
    return value.split() if isinstance(value, str) else _names(value)


def _names(value: Any) -> list[str]:
    """Return one name, or several. Raises ValueError for what is none."""
    names = [value] if isinstance(value, str) else [] if value is None else value
    if not isinstance(names, list) or len(names) > _MOST_NAMES:
        raise ValueError("no names")
    for name in names:
        if not isinstance(name, str) or not name or len(name.encode()) > ID_BYTES or hides(name):
            raise ValueError("no name")
    return names


def _patterns(value: Any) -> tuple[NamePattern, ...]:
    return tuple(NamePattern(name, literal=True) for name in _names(value))
