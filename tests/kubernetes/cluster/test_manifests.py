"""What the charts render is taken by a real API server: every manifest, every pod where `restricted` is enforced."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Mapping
from typing import Any

import pytest

from tests.kubernetes.policy import pods
from tests.kubernetes.rendering import CASES, NAMESPACE, Case
from tests.servers.kubernetes import ApiServer, Refused


@pytest.fixture(scope="module")
def restricted(cluster: ApiServer) -> str:
    """A namespace that takes only pods of Pod Security's strictest level."""
    name = f"restricted-{uuid.uuid4().hex[:8]}"
    labels = {
        "pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/enforce-version": "latest",
    }
    cluster.kubectl("apply", manifests=namespace(name, labels))
    return name


def namespace(name: str, labels: Mapping[str, str] | None = None) -> Mapping[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels or {}}}


def pod_of(where: str, pod: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the pod that a controller would make of a template."""
    metadata = {key: value for key, value in pod.get("metadata", {}).items() if key in ("labels", "annotations")}
    made = {**metadata, "name": "".join(letter if letter.isalnum() else "-" for letter in where.lower())[:60]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {**made, "namespace": name}, "spec": pod["spec"]}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_api_server_takes_every_manifest(case: Case, cluster: ApiServer) -> None:
    cluster.kubectl("apply", manifests=namespace(NAMESPACE))
    manifests = list(case.manifests())
    said = cluster.kubectl("apply", "-n", NAMESPACE, "--dry-run=server", "--validate=strict", manifests=manifests)
    assert said.count("(server dry run)") == len(manifests)
    assert "Warning" not in said


def test_a_manifest_that_makes_no_sense_is_not_taken(cluster: ApiServer) -> None:
    cluster.kubectl("apply", manifests=namespace(NAMESPACE))
    case = next(case for case in CASES if str(case) == "agent-sqlite")
    manifests = copy.deepcopy(list(case.manifests()))
    pod = next(pod for _, pod in pods(manifests))
    pod["spec"]["volumes"].pop()
    with pytest.raises(Refused, match=r"volumeMounts.*Not found"):
        cluster.kubectl("apply", "-n", NAMESPACE, "--dry-run=server", manifests=manifests)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_pod_is_let_in_where_restricted_is_enforced(case: Case, cluster: ApiServer, restricted: str) -> None:
    found = [pod_of(where, pod, restricted) for where, pod in pods(case.manifests())]
    if found:
        cluster.kubectl("create", "--dry-run=server", manifests=found)


def test_a_pod_that_may_run_as_root_is_not_let_in(cluster: ApiServer, restricted: str) -> None:
    case = next(case for case in CASES if str(case) == "agent-sqlite")
    ((where, pod),) = pods(copy.deepcopy(list(case.manifests())))
    pod["spec"]["initContainers"][0]["securityContext"].pop("runAsNonRoot")
    pod["spec"].get("securityContext", {}).pop("runAsNonRoot", None)
    with pytest.raises(Refused, match="violates PodSecurity"):
        cluster.kubectl("create", "--dry-run=server", manifests=pod_of(where, pod, restricted))
