"""A certificate for the webhook, by a CA that signs nothing else: its key is thrown away at once.

Where a new one takes an old one's place, the file of CAs holds both: servers have the old certificate until the kubelet
has given them the new one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

CERTIFICATE: Final = "tls.crt"
KEY: Final = "tls.key"
AUTHORITIES: Final = "ca.crt"

_VALID: Final = timedelta(days=3650)
_LEAST: Final = timedelta(days=365)
"""What less is left of is made anew, by the next upgrade."""
_SKEW: Final = timedelta(hours=1)

Files = Mapping[str, bytes]


def is_usable(files: Files, name: str) -> bool:
    """Whether files hold a certificate for this name that is valid for a year to come."""
    from cryptography import x509

    if not {CERTIFICATE, KEY, AUTHORITIES} <= files.keys():
        return False
    try:
        certificate = x509.load_pem_x509_certificate(files[CERTIFICATE])
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return False
    return name in names.get_values_for_type(x509.DNSName) and certificate.not_valid_after_utc > _now() + _LEAST


def made(name: str, before: Files) -> Files:
    """Return a certificate for this name, its key, and the CAs to trust: its own, and the one `before`."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def certificate(subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_now() - _SKEW)
            .not_valid_after(_now() + _VALID)
        )

    issuer = named("memsvc webhook")
    of_authority, of_server = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = (
        certificate(issuer, of_authority)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(of_authority, hashes.SHA256())
    )
    server = (
        # A common name holds 64 letters; names are read from the extension.
        certificate(named(name[:64]), of_server)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(of_authority, hashes.SHA256())
    )
    key = of_server.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {
        CERTIFICATE: server.public_bytes(serialization.Encoding.PEM),
        KEY: key,
        AUTHORITIES: authority.public_bytes(serialization.Encoding.PEM) + _newest(before.get(AUTHORITIES, b"")),
    }


def _newest(authorities: bytes) -> bytes:
    """Return the first of some certificates, or nothing."""
    first, end, _ = authorities.partition(b"-----END CERTIFICATE-----\n")
    return first + end


def _now() -> datetime:
    return datetime.now(UTC)
