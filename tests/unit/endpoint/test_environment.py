"""A proxy or a certificate that cannot work is named when the server starts, not by the first call that fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from memsvc.endpoint.environment import environment_problems


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"ALL_PROXY": "socks5://u:secret@proxy:1080"}, "ALL_PROXY is a SOCKS proxy"),
        ({"https_proxy": "socks5h://proxy:1080"}, "https_proxy is a SOCKS proxy"),
        ({"HTTPS_PROXY": "ftp://u:secret@proxy"}, "HTTPS_PROXY has a scheme"),
        ({"SSL_CERT_FILE": "/nowhere/ca.pem"}, "SSL_CERT_FILE names what is not there"),
        ({"SSL_CERT_DIR": "/nowhere"}, "SSL_CERT_DIR names what is not there"),
    ],
)
def test_what_cannot_work_is_named_without_what_it_holds(environment: dict[str, str], says: str) -> None:
    (problem,) = environment_problems(environment, has_socks=False)
    assert problem.startswith(says)
    assert "secret" not in problem


def test_what_works_is_not_spoken_of(tmp_path: Path) -> None:
    certificate = tmp_path / "ca.pem"
    certificate.touch()
    environment = {
        "HTTPS_PROXY": "http://proxy:3128",
        "http_proxy": "proxy:3128",
        "ALL_PROXY": "socks5://proxy:1080",
        "SSL_CERT_FILE": str(certificate),
        "SSL_CERT_DIR": str(tmp_path),
    }
    assert list(environment_problems(environment, has_socks=True)) == []
    assert list(environment_problems({}, has_socks=False)) == []
