"""TLS for gRPC: what each new connection is shown is what the files say by then."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import grpc

from memsvc.log import Log
from memsvc.tls import Pems, TlsFiles

log = Log(__name__)


def server_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """Return the credentials; gRPC itself speaks TLS from version 1.2 on."""
    shown = files.pems

    def changed() -> grpc.ServerCertificateConfiguration | None:
        """Return what is to be shown from now on; None: what was shown before. Called by a thread of gRPC."""
        nonlocal shown
        try:
            pems = files.pems
            if pems == shown:
                return None
            shown = pems
            return _configuration(pems)
        except Exception as error:
            # gRPC would refuse the connection.
            log.error("certificates_not_reloaded", error)
            return None

    # Its stub does not know of None.
    fetch = cast("Callable[[], grpc.ServerCertificateConfiguration]", changed)
    return grpc.dynamic_ssl_server_credentials(
        _configuration(shown), fetch, require_client_authentication=files.asks_clients
    )


def _configuration(pems: Pems) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(pems.key, pems.certificate)], pems.client_ca or None)
