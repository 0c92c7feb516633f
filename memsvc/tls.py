"""The certificate, key and client CA of a server, as PEM files that are read again when they change.

Files change one after the other, and nothing but a pair that belongs together may be shown to a client: what does not
fit yet is not taken, and what was taken last goes on. Connections that stand are not touched.
"""

from __future__ import annotations

import os
import ssl
import threading
import time
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from memsvc.config import Config
from memsvc.errors import InvalidArgument, invalid
from memsvc.log import Log

log = Log(__name__)

_LEAST: Final = ssl.TLSVersion.TLSv1_2
_SETTLED_SECONDS: Final = 0.05


class Pems(Struct, frozen=True):
    """What the files say."""

    certificate: bytes
    """With those between it and its CA, if there are any."""
    key: bytes
    client_ca: bytes
    """Who signs clients' certificates; empty: clients need none."""


class TlsFiles:
    """The files that a server's settings name. May be asked from any thread."""

    def __init__(self, certificate_file: str, key_file: str, client_ca_file: str = "") -> None:
        """Read the files. Raises InvalidArgument naming the setting that is wrong."""
        self._files = {
            "tls_certificate_file": certificate_file,
            "tls_key_file": key_file,
            "tls_client_ca_file": client_ca_file,
        }
        self._lock = threading.Lock()
        self._complained = ""
        self._stamps: Sequence[object] = ()
        self._pems, self._shown = self._read()

    @property
    def asks_clients(self) -> bool:
        """Whether clients need certificates."""
        return bool(self._files["tls_client_ca_file"])

    @property
    def pems(self) -> Pems:
        """Return what the files say now, or said last where they make no sense."""
        with self._lock:
            self._refresh()
            return self._pems

    def context(self) -> ssl.SSLContext:
        """Return a context for a server of one's own; `refresh` brings it up to date.

        Each handshake takes over what was read last, whole: in a context that is changed, certificate and key could be
        of two pairs for a moment, and a CA that is in the file no more would go on to be trusted.
        """
        context = self._context()
        context.set_alpn_protocols(["http/1.1"])

        def take_over(connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
            connection.context = self._shown

        # It is asked by every client, whether it names a server or not.
        context.sni_callback = take_over
        return context

    def refresh(self) -> None:
        """Let the contexts that were given out show what the files say now. To be called now and then."""
        with self._lock:
            self._refresh()

    def _refresh(self) -> None:
        try:
            if self._stamps and self._stamps == self._seen():
                return
            pems, shown = self._read()
        except (OSError, InvalidArgument) as error:
            because = error.message if isinstance(error, InvalidArgument) else str(error.strerror)
            if because != self._complained:
                self._complained = because
                log.error("certificates_not_reloaded", because=because)
            return
        self._complained = ""
        if pems != self._pems:
            self._pems, self._shown = pems, shown
            log.info("certificates_reloaded")

    def _read(self) -> tuple[Pems, ssl.SSLContext]:
        before = self._seen()
        contents = [self._content(setting) for setting in self._files]
        context = self._context()
        if before != self._seen():
            raise invalid("tls_certificate_file", "changes right now")
        self._stamps = before if self._settled() else ()
        return Pems(*contents), context

    def _context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = _LEAST
        self._load(context)
        return context

    def _load(self, context: ssl.SSLContext) -> None:
        files = self._files
        try:
            context.load_cert_chain(files["tls_certificate_file"], files["tls_key_file"], password=_no_password)
        except (ssl.SSLError, OSError, ValueError) as error:
            raise invalid(
                "tls_certificate_file", f"is no certificate of the key in tls_key_file: {_why(error)}"
            ) from error
        if not files["tls_client_ca_file"]:
            return
        try:
            context.load_verify_locations(files["tls_client_ca_file"])
        except (ssl.SSLError, OSError) as error:
            raise invalid("tls_client_ca_file", f"holds no certificate: {_why(error)}") from error
        context.verify_mode = ssl.CERT_REQUIRED

    def _content(self, setting: str) -> bytes:
        path = self._files[setting]
        if not path:
            return b""
        try:
            with open(path, "rb") as file:
                return file.read()
        except OSError as error:
            raise invalid(setting, f"cannot read {path}: {error.strerror}") from error

    def _settled(self) -> bool:
        """Tell whether another change would look different: clocks of file systems tick slowly."""
        times = [os.stat(path).st_ctime for path in self._files.values() if path]
        return time.time() - max(times) > _SETTLED_SECONDS

    def _seen(self) -> Sequence[object]:
        return [_stamp(path) for path in self._files.values() if path]


def tls_files(config: Config) -> TlsFiles | None:
    """Return the files that the settings name; None: no TLS. Raises InvalidArgument naming the setting."""
    certificate, key, client_ca = config.tls_certificate_file, config.tls_key_file, config.tls_client_ca_file
    if not certificate and not key:
        if client_ca:
            raise invalid("tls_client_ca_file", "needs tls_certificate_file and tls_key_file")
        return None
    for name, value in (("tls_certificate_file", certificate), ("tls_key_file", key)):
        if not value:
            raise invalid(name, "must be given for TLS: the certificate and its key")
    return TlsFiles(certificate, key, client_ca)


def _stamp(path: str) -> object:
    try:
        status = os.stat(path)
    except OSError as error:
        return error.errno
    return status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size


def _no_password() -> str:
    # Or OpenSSL asks the terminal.
    raise ValueError("the key is encrypted")


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.lower().replace("_", " ")
    return getattr(error, "strerror", None) or str(error)
