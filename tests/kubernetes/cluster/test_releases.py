"""Each chart is installed, upgraded and uninstalled by Helm; the Jobs of its hooks run."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.kubernetes.cluster.jobs import Jobs
from tests.kubernetes.rendering import CASES, Case, with_dependencies
from tests.servers.kubernetes import ApiServer

GIVEN = {
    "memory-database": {"url": "memory://release"},
    "model": {"api-key": "sk-sample", "key": "sk-sample"},
    "memory-tokens": {"tokens": ""},
}
"""Secrets that somebody else makes."""
RELEASE = "demo"
OF_A_RELEASE = (
    "deployments,services,configmaps,serviceaccounts,jobs,pods,roles,rolebindings,networkpolicies,poddisruptionbudgets,"
    "horizontalpodautoscalers,certificates,issuers,servicemonitors,prometheusrules"
)
OF_THE_CLUSTER = (
    "mutatingwebhookconfigurations,mutatingadmissionpolicies,mutatingadmissionpolicybindings,"
    "validatingadmissionpolicies,validatingadmissionpolicybindings,clusterroles,clusterrolebindings"
)


@pytest.fixture
def home(cluster: ApiServer) -> str:
    """A namespace of its own, in which what releases need is."""
    name = f"memory-{uuid.uuid4().hex[:8]}"
    cluster.kubectl("create", "namespace", name)
    secrets = [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": secret, "namespace": name}, "stringData": data}
        for secret, data in GIVEN.items()
    ]
    cluster.kubectl("apply", manifests=secrets)
    return name


def of_release(cluster: ApiServer, namespace: str) -> list[tuple[str, str]]:
    """Return what is there of the release: kind and name."""
    label = ("-l", f"app.kubernetes.io/instance={RELEASE}")
    found = [
        *cluster.get(OF_A_RELEASE, "-n", namespace, *label)["items"],
        *cluster.get(OF_THE_CLUSTER, *label)["items"],
    ]
    return [(each["kind"], each["metadata"]["name"]) for each in found]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_chart_is_installed_upgraded_and_uninstalled(
    case: Case, cluster: ApiServer, helm: str, jobs: Jobs, home: str, tmp_path: Path
) -> None:
    changed = tmp_path / "values.yaml"
    own = "sidecar" if case.chart.name == "memsvc-injector" else "memsvc-sidecar" if case.chart.name == "agent" else ""
    settings = {"settings": {"log_level": "DEBUG"}}
    changed.write_text(yaml.safe_dump({own: settings} if own else settings))
    with with_dependencies(case.chart) as chart:
        named = (RELEASE, str(chart), "-n", home, "-f", str(case.values_file))
        cluster.run(helm, "install", *named)
        installed = of_release(cluster, home)
        before = versions(cluster, home)
        cluster.run(helm, "upgrade", *named, "-f", str(changed))
        assert of_release(cluster, home) == installed
        assert versions(cluster, home) != before
        assert json.loads(cluster.run(helm, "status", RELEASE, "-n", home, "-o", "json"))["version"] == 2
        cluster.run(helm, "uninstall", RELEASE, "-n", home)
    assert installed
    assert of_release(cluster, home) == []
    assert all("Traceback" not in said for said in jobs.said)


def versions(cluster: ApiServer, namespace: str) -> Mapping[str, Any]:
    """Return what each thing of the release is, but for what the API server counts."""
    label = ("-l", f"app.kubernetes.io/instance={RELEASE}")
    kinds = ("deployments,configmaps", "-n", namespace), ("mutatingadmissionpolicies",)
    return {
        each["metadata"]["name"]: each.get("spec") or each.get("data")
        for kind in kinds
        for each in cluster.get(*kind, *label)["items"]
    }
