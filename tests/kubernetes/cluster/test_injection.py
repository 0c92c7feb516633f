"""The webhook and the admission policy give a pod what `memsvc inject` does, as a real API server carries them out."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from memsvc.cli.inject import inject
from tests.kubernetes.cluster.jobs import Jobs
from tests.kubernetes.rendering import HELM
from tests.servers.kubernetes import ApiServer, Refused

START_SECONDS = 60.0
INJECTOR = HELM / "memsvc-injector"
SIDECAR = {
    "settings": {"engine": "openai", "openai_temperature": 0.5, "redact": ["default", "iban"]},
    "settingsFromSecrets": {"openai_api_key": {"name": "model", "key": "api-key"}},
}
VALUES = {
    "webhook": {"certManager": {"enabled": False}, "selfSigned": {"enabled": True}, "sidecar": SIDECAR},
    "policy": {"mode": "policy", "sidecar": SIDECAR},
}
CONTAINER: Mapping[str, Any] = {
    "name": "agent",
    "image": "agent:1",
    "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "10m", "memory": "16Mi"}},
    "securityContext": {
        "runAsUser": 1000,
        "runAsNonRoot": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    },
}
MOUNTED = {**CONTAINER, "volumeMounts": [{"name": "work", "mountPath": "/work"}], "env": [{"name": "A", "value": "b"}]}
PODS: Mapping[str, Mapping[str, Any]] = {
    "alone": {"containers": [CONTAINER]},
    "with its own init containers": {
        "initContainers": [{**MOUNTED, "name": "fetch"}, {**CONTAINER, "name": "unpack"}],
        "containers": [MOUNTED, {**CONTAINER, "name": "helper"}],
        "volumes": [{"name": "work", "emptyDir": {}}],
        "securityContext": {"fsGroup": 2000},
    },
    "with a group's policy": {
        "containers": [MOUNTED],
        "volumes": [{"name": "work", "emptyDir": {}}],
        "securityContext": {"runAsGroup": 7},
    },
}
ANNOTATIONS: Mapping[str, Mapping[str, str]] = {
    "as the values say": {},
    "a database in a secret": {"memsvc.dev/secret.storage-url": "memory/url", "memsvc.dev/engine": "rules"},
    "a database of its own": {"memsvc.dev/storage-url": "redis://cache", "memsvc.dev/openai-api-key": "sk-other"},
    "a claim and an image": {
        "memsvc.dev/data-claim": "memory",
        "memsvc.dev/image": f"registry:5000/memsvc@sha256:{'0' * 64}",
        "memsvc.dev/secret.openai-api-key": "other/key",
    },
}


class Installed:
    """The injector's chart in a namespace of its own, and a namespace of agents."""

    def __init__(self, cluster: ApiServer, helm: str, mode: str, folder: Path) -> None:
        self.cluster, self._helm = cluster, helm
        self.mode = mode
        unique = uuid.uuid4().hex[:8]
        self.home, self.agents = f"injector-{unique}", f"agents-{unique}"
        for name in (self.home, self.agents):
            cluster.kubectl("create", "namespace", name)
        cluster.kubectl("label", "namespace", self.agents, "pod-security.kubernetes.io/enforce=restricted")
        self.values = folder / "values.yaml"
        self.values.write_text(yaml.safe_dump(VALUES[mode]))

    def upgrade(self, *options: str) -> None:
        how = ("upgrade", "--install", "injector", str(INJECTOR), "-n", self.home, "-f", str(self.values))
        self.cluster.run(self._helm, *how, *options)

    def uninstall(self) -> None:
        self.cluster.run(self._helm, "uninstall", "injector", "-n", self.home)

    def created(self, spec: Mapping[str, Any], annotations: Mapping[str, str]) -> Any:
        """Return the pod that the API server makes of this one."""
        pod = pod_with(spec, annotations)
        return json.loads(
            self.cluster.kubectl("create", "-n", self.agents, "--dry-run=server", "-o", "json", manifests=pod)
        )

    def injected(self, annotations: Mapping[str, str], spec: Mapping[str, Any] = PODS["alone"]) -> Any:
        return self.created(spec, {"memsvc.dev/inject": "true", **annotations})


def pod_with(spec: Mapping[str, Any], annotations: Mapping[str, str]) -> dict[str, Any]:
    metadata = {"name": "agent", "annotations": dict(annotations)} if annotations else {"name": "agent"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": dict(spec)}


@contextmanager
def serving(installed: Installed, folder: Path) -> Iterator[None]:
    """The webhook that the chart's Deployment runs, at the address of the chart's Service, with the hook's Secret."""
    cluster, home = installed.cluster, installed.home
    secret = cluster.get("secret", "injector-memsvc-injector-tls", "-n", home)
    for name in ("tls.crt", "tls.key"):
        (folder / name).write_bytes(base64.b64decode(secret["data"][name]))
    (folder / "webhook.yaml").write_text(
        cluster.get("configmap", "injector-memsvc-injector", "-n", home)["data"]["values.yaml"]
    )
    address = cluster.get("service", "injector-memsvc-injector", "-n", home)["spec"]["clusterIP"]
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "memsvc", "webhook", f"--listen={address}:443"),
                *(f"--values={folder}/webhook.yaml", f"--tls-certificate-file={folder}/tls.crt"),
                f"--tls-key-file={folder}/tls.key",
            ],
            stdout=output,
            stderr=output,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while " serving " not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


@pytest.fixture(params=["webhook", "policy"])
def installed(
    request: pytest.FixtureRequest, cluster: ApiServer, helm: str, jobs: Jobs, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installed]:
    tmp_path = tmp_path_factory.mktemp("injector")
    if request.param == "webhook" and os.geteuid() != 0:
        pytest.skip("the webhook's Service is served on port 443, for which one has to be root")
    made = Installed(cluster, helm, request.param, tmp_path)
    made.upgrade()
    if request.param == "webhook":
        with serving(made, tmp_path):
            yield made
    else:
        _wait_for_policy(made)
        yield made
    made.uninstall()


def _wait_for_policy(installed: Installed) -> None:
    """Return once the API server has read the policies: the one that changes pods, and the one that refuses them."""
    deadline = time.monotonic() + START_SECONDS
    while names(installed.injected({})) != ["memsvc"] or not _refuses(installed):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def _refuses(installed: Installed) -> bool:
    try:
        installed.injected({"memsvc.dev/no-such-setting": "x"})
    except Refused:
        return True
    return False


def names(pod: Any) -> list[str]:
    return [each["name"] for each in pod["spec"].get("initContainers", [])]


def in_effect(pod: Any) -> Any:
    """Return what of a pod counts: variables and volumes in any order, and nothing that is of this one alone."""
    found = json.loads(json.dumps({"spec": pod["spec"], "annotations": pod["metadata"].get("annotations", {})}))
    for container in [*found["spec"].get("initContainers", []), *found["spec"]["containers"]]:
        for name in ("env", "volumeMounts"):
            container.get(name, []).sort(key=lambda each: each["name"])
    found["spec"].get("volumes", []).sort(key=lambda each: each["name"])
    return found


@pytest.mark.parametrize("annotations", ANNOTATIONS.values(), ids=ANNOTATIONS)
@pytest.mark.parametrize("spec", PODS.values(), ids=PODS)
def test_a_pod_gets_what_the_command_gives_it(
    installed: Installed, spec: Mapping[str, Any], annotations: Mapping[str, str], tmp_path: Path
) -> None:
    asking = {"memsvc.dev/inject": "true", **annotations}
    values = tmp_path / "sidecar.yaml"
    values.write_text(yaml.safe_dump(SIDECAR))
    text = json.dumps(pod_with(spec, asking))
    result = CliRunner().invoke(inject, ["--values", str(values)], input=text, catch_exceptions=False)
    by_command = yaml.safe_load(result.output)

    once = installed.created(spec, asking)

    assert names(once)[0] == "memsvc"
    assert names(once)[1:] == [each["name"] for each in spec.get("initContainers", [])]
    # What the command wrote is taken as it is: nothing is injected twice.
    accepted = installed.created(by_command["spec"], by_command["metadata"]["annotations"])
    assert in_effect(accepted) == in_effect(once)
    # ... nor is what was injected already.
    again = installed.created(once["spec"], once["metadata"]["annotations"])
    assert in_effect(again) == in_effect(once)


def test_pods_get_what_they_and_their_namespaces_ask_for(installed: Installed) -> None:
    bare = PODS["alone"]
    assert names(installed.created(bare, {})) == []
    installed.cluster.kubectl("label", "namespace", installed.agents, "memsvc.dev/inject=true")
    deadline = time.monotonic() + START_SECONDS
    # The API server hears of a label a moment later.
    while names(installed.created(bare, {})) != ["memsvc"]:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert names(installed.created(bare, {"memsvc.dev/inject": "false"})) == []
    own = {"containers": [{**CONTAINER, "name": "memsvc"}]}
    assert names(installed.created(own, {})) == []
    installed.cluster.kubectl("label", "namespace", installed.agents, "memsvc.dev/inject-")


@pytest.mark.parametrize(
    ("annotations", "said"),
    [
        ({"memsvc.dev/storage-ur": "x"}, "storage-ur"),
        ({"memsvc.dev/secret.storage-uri": "x/y"}, "storage.uri"),
        ({"memsvc.dev/secret.storage-url": "x"}, "is written as name/key"),
        ({"memsvc.dev/image": "memsvc:latest"}, "needs a tag"),
        ({"memsvc.dev/image": "registry:5000/memsvc"}, "needs a tag"),
    ],
    ids=str,
)
def test_an_annotation_that_makes_no_sense_keeps_the_pod_out(
    installed: Installed, annotations: Mapping[str, str], said: str
) -> None:
    with pytest.raises(Refused, match=said):
        installed.injected(annotations)


def test_resources_are_for_the_webhook(installed: Installed) -> None:
    """A policy cannot read JSON, and says so rather than leave them out."""
    annotation = {"memsvc.dev/resources": '{"limits": {"memory": "1Gi"}}'}
    if installed.mode == "policy":
        with pytest.raises(Refused, match=r"memsvc\.dev/resources: no annotation"):
            installed.injected(annotation)
    else:
        assert installed.injected(annotation)["spec"]["initContainers"][0]["resources"]["limits"] == {"memory": "1Gi"}


@pytest.mark.parametrize("failure", ["Fail", "Ignore"])
def test_while_the_webhook_is_away_its_failure_policy_says_what_becomes_of_pods(
    failure: str, cluster: ApiServer, helm: str, jobs: Jobs, tmp_path: Path
) -> None:
    installed = Installed(cluster, helm, "webhook", tmp_path)
    installed.upgrade("--set", f"failurePolicy={failure}", "--set", "timeoutSeconds=2")
    try:
        deadline = time.monotonic() + START_SECONDS
        # The API server hears of a configuration a moment later.
        while not (said := refusal(installed)) and failure == "Fail":
            assert time.monotonic() < deadline
        assert ("failed calling webhook" in said) == (failure == "Fail")
        if failure == "Ignore":
            assert names(installed.injected({})) == []
        # Who does not ask for it is not held up.
        assert names(installed.created(PODS["alone"], {})) == []
    finally:
        installed.uninstall()


def refusal(installed: Installed) -> str:
    """Return why a pod that asks for a sidecar is not let in; empty: it is."""
    try:
        installed.injected({})
    except Refused as refused:
        return str(refused)
    return ""


def test_an_upgrade_keeps_the_certificate_and_mends_what_is_gone(
    cluster: ApiServer, helm: str, jobs: Jobs, tmp_path: Path
) -> None:
    installed = Installed(cluster, helm, "webhook", tmp_path)
    installed.upgrade()

    def certificate() -> Any:
        return cluster.get("secret", "injector-memsvc-injector-tls", "-n", installed.home)["data"]

    def trusted() -> set[str]:
        found = cluster.get("mutatingwebhookconfiguration", f"injector-memsvc-injector-{installed.home}")
        return {each["clientConfig"]["caBundle"] for each in found["webhooks"]}

    try:
        first = certificate()
        assert trusted() == {first["ca.crt"]}
        installed.upgrade("--set", "replicas=3")
        assert certificate() == first
        assert trusted() == {first["ca.crt"]}
        cluster.kubectl("delete", "secret", "injector-memsvc-injector-tls", "-n", installed.home)
        installed.upgrade()
        assert certificate()["tls.crt"] != first["tls.crt"]
        assert trusted() == {certificate()["ca.crt"]}
    finally:
        installed.uninstall()
    # It asked for no more than it may: its account is gone with it.
    assert cluster.get("clusterroles", "-l", "app.kubernetes.io/instance=injector")["items"] == []
