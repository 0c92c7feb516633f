"""What the charts render. `MEMSVC_UPDATE_GOLDEN=1` writes the files anew: look at the difference."""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import helm_python
import kubernetes_validate
import pytest
import yaml

from memsvc import __version__
from memsvc.config import load_config
from memsvc.kubernetes.sidecar import sidecar_of
from tests.conftest import must_have
from tests.kubernetes.policy import environment, violations
from tests.kubernetes.rendering import CASES, HELM, NAMESPACE, RELEASE, ROOT, Case, rendered, with_dependencies
from tests.servers.go_tools import go_tool

MINORS = (29, 33, 37)
"""Minor versions of Kubernetes 1: the oldest, the newest, and one between them."""
SINCE = {"MutatingAdmissionPolicy": 36, "MutatingAdmissionPolicyBinding": 36, "ValidatingAdmissionPolicy": 30}
SINCE |= {"ValidatingAdmissionPolicyBinding": 30}
"""Kinds that came after the oldest."""
HELM_VERSION = "v3.19.0"
KUBE_SCORE_VERSION = "v1.20.0"
OF_OPERATORS = ("cert-manager.io/", "monitoring.coreos.com/")
SHARED, AGENT, INJECTOR = HELM / "memsvc", HELM / "examples" / "agent", HELM / "memsvc-injector"
INSECURE: dict[str, Any] = {"insecure": True, "settings": {"storage_url": "postgresql://db/memsvc"}}

WEBHOOKS = [case for case in CASES if case.chart == INJECTOR and case.values.get("mode") != "policy"]

Manifests = list[dict[str, Any]]


def given(values: Any) -> set[str]:
    """Return every text of a file of values: a Secret or claim that is named there is somebody else's to make."""
    return set(re.findall(r'"([\w.-]+)"', json.dumps(values)))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_chart_renders_what_its_golden_file_holds(case: Case) -> None:
    text = rendered(case.chart, case.values)
    if os.environ.get("MEMSVC_UPDATE_GOLDEN"):
        case.golden.parent.mkdir(parents=True, exist_ok=True)
        case.golden.write_text(text, encoding="utf-8")
    assert text == case.golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_manifests_hold_what_a_platform_team_demands(case: Case) -> None:
    assert violations(case.manifests(), given(case.values)) == []


@pytest.mark.parametrize("case", CASES, ids=str)
def test_manifests_are_right_for_every_version_of_kubernetes(case: Case) -> None:
    for manifest in case.manifests():
        if not manifest["apiVersion"].startswith(OF_OPERATORS):
            for minor in filter(lambda minor: minor >= SINCE.get(manifest["kind"], 0), MINORS):
                kubernetes_validate.validate(manifest, f"1.{minor}", strict=True)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_helm_finds_nothing_to_complain_of(case: Case) -> None:
    with with_dependencies(case.chart) as folder:
        report = helm_python.lint(str(folder), case.values, strict=True, namespace=NAMESPACE)
    assert [found["error"] for found in report["messages"]] == ["icon is recommended"]


@pytest.fixture(scope="module")
def helm() -> str:
    """The program: `MEMSVC_TEST_HELM` names it, `build` has it built by Go, once; else the one on the path."""
    named = os.environ.get("MEMSVC_TEST_HELM", "")
    if named == "build":
        return str(must_have(go_tool, "helm.sh/helm/v3/cmd/helm", HELM_VERSION))
    found = named or shutil.which("helm")
    if not found:
        pytest.skip("helm: there is none on the path; make charts builds it")
    return found


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_helm_itself_renders_the_same_and_finds_nothing_to_complain_of(case: Case, helm: str) -> None:
    with with_dependencies(case.chart) as folder:
        values = ("-f", str(case.values_file))
        lint = [helm, "lint", "--strict", str(folder), *values]
        subprocess.run(lint, check=True, capture_output=True, timeout=60)
        template = [
            helm,
            "template",
            RELEASE,
            str(folder),
            "-n",
            NAMESPACE,
            "--kube-version",
            f"1.{MINORS[-1]}",
            *values,
        ]
        printed = subprocess.run(template, check=True, capture_output=True, timeout=60, text=True).stdout
    found = [each for each in yaml.safe_load_all(printed) if each]
    assert sorted(found, key=name_of) == sorted(case.manifests(), key=name_of)


NOT_ASKED = {
    "container-image-pull-policy": "an image is named by version or digest, and is the same whenever it is pulled",
    "container-ephemeral-storage-request-and-limit": "root file systems are read-only, and volumes have a size",
    "pod-networkpolicy": "the shared deployment has one; other pods are left to who runs the cluster",
    "pod-probes-identical": "the webhook has one answer; it is given up later than it is taken out of service",
    "deployment-has-host-podantiaffinity": "topology spread constraints do that",
    "deployment-has-poddisruptionbudget": "some of the files of values turn it off",
    "container-security-context-user-group-id": "the example's agent is of uid 1000, as its image may be",
}
"""What kube-score would have, and why it is not so here."""


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_kube_score_finds_nothing_that_is_not_so_on_purpose(case: Case) -> None:
    if not os.environ.get("MEMSVC_TEST_KUBE_SCORE"):
        pytest.skip("kube-score: make charts builds it")
    kube_score = must_have(go_tool, "github.com/zegl/kube-score/cmd/kube-score", KUBE_SCORE_VERSION)
    command = [kube_score, "score", "--output-format", "ci", "--kubernetes-version", f"v1.{MINORS[-1]}", "-"]
    command += [option for check in NOT_ASKED for option in ("--ignore-test", check)]
    score = subprocess.run(
        command, input=yaml.safe_dump_all(case.manifests()), capture_output=True, text=True, timeout=60, check=False
    )
    assert [line for line in score.stdout.splitlines() if line.startswith("[CRITICAL]")] == []
    assert score.returncode == 0, score.stderr
    assert "[OK]" in score.stdout or case.values.get("mode") == "policy"


def name_of(manifest: Mapping[str, Any]) -> tuple[str, str]:
    return manifest["kind"], manifest["metadata"]["name"]


@pytest.mark.parametrize(
    ("chart", "wrong", "said"),
    [
        (SHARED, {"replica": 2}, "'replica' not allowed"),
        (SHARED, {"image": {"tag": "latest"}}, "/image/tag"),
        (SHARED, {"image": {"repository": "memsvc:1"}}, "/image/repository"),
        (SHARED, {"settings": {"lease_second": 3}}, "'lease_second' not allowed"),
        (SHARED, {"settings": {"lease_seconds": 0}}, "/settings/lease_seconds"),
        (SHARED, {"settings": {"engine": "magic"}}, "/settings/engine"),
        (SHARED, {"settings": {"listen": ["0.0.0.0:1"]}}, "'listen' not allowed"),
        (SHARED, {"settings": {"storage_url": "sqlite:////data/m.db"}, "replicas": 2}, "/replicas"),
        (SHARED, {"settings": {"storage_url": "memory://x"}, "replicas": 3}, "/replicas"),
        (
            SHARED,
            {"settings": {"storage_url": "sqlite:////data/m.db"}, "replicas": 1, "autoscaling": {"enabled": True}},
            "/autoscaling/enabled",
        ),
        (SHARED, {"settingsFromSecrets": {"storage_url": {"name": "x"}}}, "missing property 'key'"),
        (SHARED, {"insecure": False}, "name a certificate"),
        (SHARED, {"insecure": False, "tls": {"secret": "x"}}, "say who may call"),
        (SHARED, {"settings": {"storage_url": ""}}, "name a database"),
        (SHARED, {"settings": {"drain_seconds": 25}}, "terminationGracePeriodSeconds has to be 35"),
        (INJECTOR, {"failurePolicy": "Maybe"}, "/failurePolicy"),
        (INJECTOR, {"certManager": {"enabled": False}, "tls": {"caBundle": "eA=="}}, "name a certificate"),
        (INJECTOR, {"certManager": {"enabled": False}, "tls": {"secret": "x"}}, "tls.caBundle is needed"),
        (INJECTOR, {"selfSigned": {"enabled": True}}, "one of them makes the certificate"),
        (INJECTOR, {"mode": "sidecar"}, "/mode"),
        (AGENT, {"memsvc-sidecar": {"setting": {}}}, "'setting' not allowed"),
        (AGENT, {"memsvc-sidecar": {"settings": {"enginee": "rules"}}}, "'enginee' not allowed"),
        (AGENT, {"memsvc-sidecar": {"healthPort": 70000}}, "/healthPort"),
        (AGENT, {"memsvc-sidecar": {"startupProbe": {"httpGet": {}}}}, "'httpGet' not allowed"),
    ],
    ids=str,
)
def test_wrong_values_are_refused_with_what_is_wrong(chart: Any, wrong: Mapping[str, Any], said: str) -> None:
    values = merged(INSECURE, wrong) if chart == SHARED else wrong
    with pytest.raises(helm_python.HelmError, match=re.escape(said)):
        rendered(chart, values)


def merged(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    both = dict(base)
    for name, value in more.items():
        both[name] = merged(both[name], value) if isinstance(both.get(name), dict) else value
    return both


def test_every_setting_reaches_memsvc_as_it_was_written() -> None:
    settings = {
        "storage_url": "redis://db",
        "storage_options": {"key_prefix": "a", "pool_size": "4"},
        "cache_bytes": 1 << 40,
        "retry_seconds": 0.25,
        "allow_clear": True,
        "redact": ["default", "iban"],
        "openai_temperature": 0,
    }
    text = rendered(SHARED, {**INSECURE, "settings": settings})
    deployment = next(each for each in yaml.safe_load_all(text.partition("# NOTES")[0]) if each["kind"] == "Deployment")
    config, _ = load_config({}, environment(deployment["spec"]["template"]["spec"]["containers"][0]))
    assert {name: getattr(config, name) for name in settings} == settings


def test_the_migration_has_the_files_that_a_databases_url_names_and_the_nodes_of_the_servers() -> None:
    given = {
        "extraVolumes": [{"name": "database-ca", "configMap": {"name": "database-ca"}}],
        "extraVolumeMounts": [{"name": "database-ca", "mountPath": "/etc/database"}],
        "nodeSelector": {"kubernetes.io/arch": "arm64"},
        "tolerations": [{"key": "memory", "operator": "Exists"}],
    }
    url = "postgresql://memsvc@db/memsvc?sslmode=verify-full&sslrootcert=/etc/database/ca.crt"
    text = rendered(SHARED, {**INSECURE, **given, "settings": {"storage_url": url}})
    found = {each["kind"]: each for each in yaml.safe_load_all(text.partition("# NOTES")[0])}
    for kind in ("Deployment", "Job"):
        pod = found[kind]["spec"]["template"]["spec"]
        placed = {name: pod.get(name) for name in ("volumes", "nodeSelector", "tolerations")}
        assert {**placed, "mounts": pod["containers"][0].get("volumeMounts")} == {
            "volumes": given["extraVolumes"],
            "mounts": given["extraVolumeMounts"],
            "nodeSelector": given["nodeSelector"],
            "tolerations": given["tolerations"],
        }, kind


def test_alerts_and_dashboard_are_those_of_the_docs() -> None:
    metrics = {"enabled": True, "alerts": {"enabled": True}, "dashboard": {"enabled": True}}
    text = rendered(SHARED, {**INSECURE, "metrics": metrics})
    found = {each["kind"]: each for each in yaml.safe_load_all(text.partition("# NOTES")[0])}
    operations = ROOT / "docs" / "operations"
    assert found["PrometheusRule"]["spec"] == yaml.safe_load((operations / "alerts.yaml").read_text())
    dashboard = json.loads(found["ConfigMap"]["data"]["memsvc.json"])
    assert dashboard == json.loads((operations / "dashboard.json").read_text())


@pytest.mark.parametrize("case", WEBHOOKS, ids=str)
def test_the_injector_is_given_values_that_it_takes(case: Case) -> None:
    (found,) = [each for each in case.manifests() if each["kind"] == "ConfigMap"]
    sidecar = sidecar_of(yaml.safe_load(found["data"]["values.yaml"]))
    deployment = next(each for each in case.manifests() if each["kind"] == "Deployment")
    assert str(sidecar.image) == deployment["spec"]["template"]["spec"]["containers"][0]["image"]
    assert set(sidecar.secrets) == set(case.values.get("sidecar", {}).get("settingsFromSecrets", {}))


def test_charts_are_of_this_version() -> None:
    for chart in (SHARED, INJECTOR, HELM / "memsvc-sidecar"):
        assert yaml.safe_load((chart / "Chart.yaml").read_text())["appVersion"] == __version__


@pytest.mark.parametrize("chart", ["memsvc", "memsvc-sidecar", "memsvc-injector"])
def test_every_value_is_known_to_the_schema_and_every_name_in_it_is_a_value(chart: str) -> None:
    schema = json.loads((HELM / chart / "values.schema.json").read_text())
    values = yaml.safe_load((HELM / chart / "values.yaml").read_text())
    assert set(schema["properties"]) - {"global"} == set(values)


def pod_of(manifests: Manifests) -> dict[str, Any]:
    spec = next(each for each in manifests if each["kind"] == "Deployment")["spec"]["template"]["spec"]
    assert isinstance(spec, dict)
    return spec


def sidecar_in(manifests: Manifests) -> dict[str, Any]:
    return dict_of(pod_of(manifests)["initContainers"][0])


def dict_of(found: Any) -> dict[str, Any]:
    assert isinstance(found, dict)
    return found


BROKEN: list[tuple[str, Callable[[Manifests], object]]] = [
    ("run as root", lambda found: sidecar_in(found)["securityContext"].pop("runAsUser")),
    ("root file system", lambda found: sidecar_in(found)["securityContext"].update(readOnlyRootFilesystem=False)),
    ("privileges", lambda found: sidecar_in(found)["securityContext"].pop("capabilities")),
    ("has no limits", lambda found: sidecar_in(found)["resources"].pop("limits")),
    ("may be any", lambda found: sidecar_in(found).update(image="memsvc:latest")),
    ("may be any", lambda found: sidecar_in(found).update(image="memsvc")),
    ("lacks", lambda found: sidecar_in(found).pop("livenessProbe")),
    ("not served", lambda found: sidecar_in(found)["startupProbe"]["grpc"].update(port=1)),
    ("of the volumes", lambda found: pod_of(found)["volumes"].pop()),
    ("begin first", lambda found: pod_of(found)["initContainers"].insert(0, pod_of(found)["containers"][0])),
    ("another uid", lambda found: pod_of(found)["securityContext"].pop("fsGroup")),
    ("drained", lambda found: pod_of(found).update(terminationGracePeriodSeconds=12)),
]
"""Ways to break what the policy holds, each with a word of the sentence that says so."""


@pytest.mark.parametrize(("said", "breaking"), BROKEN)
def test_the_policy_finds_what_is_broken(said: str, breaking: Callable[[Manifests], object]) -> None:
    case = next(case for case in CASES if str(case) == "agent-sqlite")
    manifests: Manifests = [copy.deepcopy(dict(each)) for each in case.manifests()]
    breaking(manifests)
    assert any(said in sentence for sentence in violations(manifests, given(case.values)))


def test_the_policy_finds_secrets_that_nobody_makes() -> None:
    case = next(case for case in CASES if str(case) == "memsvc-postgres")
    found = violations(case.manifests(), set())
    assert {sentence.rpartition(" ")[2] for sentence in found} == {"memory-database", "model", "memory-tokens"}


def test_the_readmes_say_what_the_values_do(tmp_path: Path) -> None:
    subprocess.run([ROOT / "tools" / "chart-readmes", str(tmp_path)], check=True, timeout=60)
    for chart in ("memsvc", "memsvc-injector", "memsvc-sidecar"):
        written = (HELM / chart / "README.md").read_text()
        assert (tmp_path / chart / "README.md").read_text() == written
        for value in yaml.safe_load((HELM / chart / "values.yaml").read_text()):
            assert re.search(rf"^\| `{value}[.`]", written, re.MULTILINE), value


def test_the_schemas_are_made_of_the_settings(tmp_path: Path) -> None:
    subprocess.run([ROOT / "tools" / "chart-schemas", str(tmp_path)], check=True, timeout=60)
    for chart in ("memsvc", "memsvc-sidecar"):
        assert (tmp_path / chart / "values.schema.json").read_text() == (
            HELM / chart / "values.schema.json"
        ).read_text()
