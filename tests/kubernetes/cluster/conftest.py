"""Tests against a real API server: `make k8s-test`. Others leave them alone: the server takes long to build."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import must_have
from tests.kubernetes.cluster.jobs import Jobs
from tests.servers.go_tools import go_tool
from tests.servers.kubernetes import ApiServer

HELM = ("helm.sh/helm/v3/cmd/helm", "v3.19.0")

collect_ignore_glob = [] if os.environ.get("MEMSVC_TEST_KUBERNETES") else ["test_*"]


@pytest.fixture(scope="session")
def cluster() -> Iterator[ApiServer]:
    server: ApiServer = must_have(ApiServer)
    server.start()
    _make_kinds(server)
    yield server
    server.close()


@pytest.fixture(scope="session")
def helm() -> str:
    path: Path = must_have(go_tool, *HELM)
    return str(path)


@pytest.fixture(scope="session")
def jobs(cluster: ApiServer) -> Iterator[Jobs]:
    """Runs the Jobs of hooks as processes, since no controller and no node does."""
    with Jobs(cluster) as running:
        yield running


OF_OPERATORS = (
    ("cert-manager.io", "v1", "Issuer", "issuers"),
    ("cert-manager.io", "v1", "Certificate", "certificates"),
    ("monitoring.coreos.com", "v1", "ServiceMonitor", "servicemonitors"),
    ("monitoring.coreos.com", "v1", "PrometheusRule", "prometheusrules"),
)


def _make_kinds(server: ApiServer) -> None:
    """Let there be the kinds that operators bring; what is in them is theirs to check."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    manifests = [
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{plural}.{group}"},
            "spec": {
                "group": group,
                "scope": "Namespaced",
                "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
                "versions": [
                    {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": anything}}
                ],
            },
        }
        for group, version, kind, plural in OF_OPERATORS
    ]
    server.kubectl("apply", manifests=manifests)
    for group, _, _, plural in OF_OPERATORS:
        server.kubectl("wait", "--for=condition=Established", f"crd/{plural}.{group}")
