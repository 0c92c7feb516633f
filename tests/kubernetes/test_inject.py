"""`memsvc inject` gives pods the sidecar that the chart renders, leaves the rest as it is, and takes it away again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import kubernetes_validate
import msgspec
import pytest
import yaml
from click.testing import CliRunner

from memsvc.cli.inject import inject
from memsvc.errors import InvalidArgument
from memsvc.kubernetes.injection import injection, pods_of
from memsvc.kubernetes.patch import apply
from memsvc.kubernetes.sidecar import sidecar_of
from tests.kubernetes.policy import violations
from tests.kubernetes.rendering import CASES, HELM, Case

AGENTS = [case for case in CASES if case.chart.name == "agent"]
DEPLOYMENT = """\
# The agent of support.
apiVersion: v1
kind: ConfigMap
metadata: {name:   settings}   # written by hand
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: agent   # its name
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata:
      labels: {app: agent}
    spec:
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 30
      securityContext:
        runAsNonRoot: true
        seccompProfile: {type: RuntimeDefault}
      containers:
        # the agent itself
        - name: agent
          image: "agent:1.0"   # pinned
          env:
            - {name: ANSWER, value: "yes"}
          resources: &few
            requests: {cpu: 100m, memory: 64Mi}
            limits: {cpu: 100m, memory: 64Mi}
          securityContext: &tight
            runAsUser: 1000
            readOnlyRootFilesystem: true
            allowPrivilegeEscalation: false
            capabilities: {drop: [ALL]}
"""
WITH_INIT = """
      initContainers:
        - name: fetch
          image: fetch:2.1
          resources: *few
          securityContext: *tight
      volumes:
        - name: work
          emptyDir: {}
"""


def run(text: str, *options: str) -> str:
    result = CliRunner().invoke(inject, options, input=text, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return str(result.output)


def documents(text: str) -> list[Any]:
    return list(yaml.safe_load_all(text))


def pod_spec(manifest: Any) -> Mapping[str, Any]:
    ((_, pod),) = pods_of(manifest)
    return dict(pod["spec"])


@pytest.mark.parametrize("case", AGENTS, ids=str)
def test_what_is_injected_is_what_the_chart_renders(case: Case, tmp_path: Path) -> None:
    rendered = next(each for each in case.manifests() if each["kind"] == "Deployment")["spec"]["template"]["spec"]
    bare = {**rendered, "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}}
    bare.pop("initContainers")
    bare.pop("volumes")
    bare["containers"] = [{**rendered["containers"][0], "env": [], "volumeMounts": []}]
    chart_values = yaml.safe_load((case.chart / "values.yaml").read_text())["memsvc-sidecar"]
    values = tmp_path / "values.yaml"
    given = case.values["memsvc-sidecar"]
    merged = {**given, "settings": {**chart_values["settings"], **given.get("settings", {})}}
    values.write_text(json.dumps({"memsvc-sidecar": merged}))

    (injected,) = documents(run(json.dumps({"kind": "Pod", "spec": bare}), "--values", str(values)))

    assert injected["spec"] == {**rendered, "terminationGracePeriodSeconds": bare["terminationGracePeriodSeconds"]}


def test_the_defaults_are_those_of_the_chart() -> None:
    values = yaml.safe_load((HELM / "memsvc-sidecar" / "values.yaml").read_text())
    sidecar = sidecar_of({})
    assert {**msgspec.to_builtins(sidecar), "settings": dict(sidecar.all_settings)} == values


@pytest.mark.parametrize("text", [DEPLOYMENT, DEPLOYMENT + WITH_INIT], ids=["alone", "with its own init containers"])
def test_injected_pods_hold_what_a_platform_team_demands(text: str) -> None:
    result = run(text, "--secret", "storage_url=memory/url", "--secret", "openai_api_key=model/key")
    manifests = documents(result)
    if text.endswith(WITH_INIT):
        assert [each["name"] for each in pod_spec(manifests[1])["initContainers"]] == ["memsvc", "fetch"]
        # `work` is the test's own, and mounted by nobody.
        pod_spec(manifests[1])["volumes"].remove({"name": "work", "emptyDir": {}})
    assert violations(manifests, {"memory", "model"}) == []
    for manifest in manifests:
        kubernetes_validate.validate(manifest, "1.29", strict=True)


@pytest.mark.parametrize("text", [DEPLOYMENT, DEPLOYMENT + WITH_INIT], ids=["alone", "with its own init containers"])
def test_doing_it_again_changes_nothing_and_undoing_it_leaves_what_was_there(text: str) -> None:
    once = run(text, "--setting", "engine=rules")
    assert run(once, "--setting", "engine=rules") == once
    assert documents(run(once, "--uninject")) == documents(text)
    assert run(text, "--uninject") == text


def test_comments_and_what_is_not_a_pod_stay_as_they_are_written() -> None:
    result = run(DEPLOYMENT)
    before = DEPLOYMENT.partition("---")[0]
    assert result.startswith(before + "---\n")
    for line in ("  name: agent   # its name", "        # the agent itself", '          image: "agent:1.0"   # pinned'):
        assert f"\n{line}\n" in result
    assert '{name: ANSWER, value: "yes"}' in result


def test_injecting_otherwise_brings_the_sidecar_up_to_date() -> None:
    once = run(DEPLOYMENT, "--setting", "engine=rules")
    other = run(once, "--secret", "storage_url=memory/url", "--image", "registry:5000/memsvc:2.0")
    assert documents(other) == documents(
        run(DEPLOYMENT, "--secret", "storage_url=memory/url", "--image", "registry:5000/memsvc:2.0")
    )
    sidecar = pod_spec(documents(other)[1])["initContainers"][0]
    assert sidecar["image"] == "registry:5000/memsvc:2.0"
    assert [volume["name"] for volume in pod_spec(documents(other)[1])["volumes"]] == ["memsvc-socket"]


def of_kind(kind: str, pod: Mapping[str, Any]) -> Mapping[str, Any]:
    match kind:
        case "Pod":
            return {"kind": kind, **pod}
        case "CronJob":
            return {"kind": kind, "spec": {"jobTemplate": {"spec": {"template": pod}}}}
        case "List":
            return {"kind": kind, "items": [{"kind": "Service"}, {"kind": "Pod", **pod}]}
    return {"kind": kind, "spec": {"template": pod}}


PODS: Sequence[Mapping[str, Any]] = [
    {"spec": {"containers": [{"name": "a"}, {"name": "b", "env": [{"name": "X", "value": "1"}]}]}},
    {"metadata": {"annotations": {"other/one": "x"}}, "spec": {"containers": [{"name": "a"}]}},
    {"spec": {"securityContext": {"fsGroup": 7}, "containers": [{"name": "a"}], "volumes": [{"name": "v"}]}},
    {"spec": {"securityContext": {"runAsUser": 7}, "containers": [{"name": "a", "volumeMounts": [{"name": "v"}]}]}},
    {"spec": {"initContainers": [{"name": "i"}], "containers": [{"name": "a"}], "volumes": None}},
]


@pytest.mark.parametrize(
    "kind", ["Pod", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "List"]
)
@pytest.mark.parametrize("pod", PODS, ids=str)
def test_every_kind_that_makes_pods_gets_it_and_gives_it_back(kind: str, pod: Mapping[str, Any]) -> None:
    manifest = of_kind(kind, pod)
    text = json.dumps(manifest)
    once = run(text)
    ((_, found),) = pods_of(documents(once)[0])
    assert found["spec"]["initContainers"][0]["name"] == "memsvc"
    group = (pod["spec"].get("securityContext") or {}).get("fsGroup", 65_532)
    assert found["spec"]["securityContext"]["fsGroup"] == group
    for each in [*found["spec"]["initContainers"][1:], *found["spec"]["containers"]]:
        assert {"name": "memsvc-socket", "mountPath": "/run/memsvc", "readOnly": True} in each["volumeMounts"]
    assert run(once) == once
    back = documents(run(once, "--uninject"))[0]
    if pod["spec"].get("volumes", ()) is None:
        ((_, bare),) = pods_of(back)
        bare["spec"]["volumes"] = None  # type: ignore[index]
    assert back == manifest


def test_annotations_say_more_for_one_pod() -> None:
    annotations = {
        "memsvc.dev/inject": "true",
        "memsvc.dev/storage-url": "redis://cache:6379",
        "memsvc.dev/engine": "rules",
        "memsvc.dev/secret.openai-api-key": "model/key",
        "memsvc.dev/image": "memsvc@sha256:" + "0" * 64,
        "memsvc.dev/resources": '{"limits": {"memory": "1Gi"}}',
    }
    pod = {"kind": "Pod", "metadata": {"annotations": annotations}, "spec": {"containers": [{"name": "a"}]}}
    apply(pod, injection(pod, {"settingsFromSecrets": {"storage_url": {"name": "memory", "key": "url"}}}))
    sidecar = pod["spec"]["initContainers"][0]  # type: ignore[index]
    variables = {each["name"]: each.get("value") or each["valueFrom"]["secretKeyRef"] for each in sidecar["env"]}
    assert variables["MEMSVC_STORAGE_URL"] == "redis://cache:6379"
    assert variables["MEMSVC_ENGINE"] == "rules"
    assert variables["MEMSVC_OPENAI_API_KEY"] == {"name": "model", "key": "key"}
    assert sidecar["image"].startswith("memsvc@sha256:0")
    assert sidecar["resources"] == {"limits": {"memory": "1Gi"}}


def test_a_pod_that_does_not_want_it_is_left_alone() -> None:
    text = 'kind: Pod\nmetadata: {annotations: {memsvc.dev/inject: "false"}}\nspec: {containers: [{name: a}]}\n'
    assert run(text) == text


@pytest.mark.parametrize(
    ("annotations", "said"),
    [
        ({"memsvc.dev/storage-ur": "x"}, "did you mean storage-url"),
        ({"memsvc.dev/secret.storage-url": "x"}, "is written as name/key"),
        ({"memsvc.dev/secret.storage-uri": "x/y"}, "did you mean storage_url"),
        ({"memsvc.dev/engine": "magic"}, "engine"),
        ({"memsvc.dev/image": "memsvc:latest"}, "needs a tag"),
        ({"memsvc.dev/image": "registry:5000/memsvc"}, "needs a tag"),
        ({"memsvc.dev/resources": "much"}, "is no JSON"),
        ({"memsvc.dev/listen": "0.0.0.0:1"}, "is no setting of a sidecar"),
    ],
    ids=str,
)
def test_an_annotation_that_makes_no_sense_is_refused(annotations: Mapping[str, str], said: str) -> None:
    pod = {"metadata": {"annotations": annotations}, "spec": {"containers": [{"name": "a"}]}}
    with pytest.raises(InvalidArgument, match=said):
        injection(pod, {})


@pytest.mark.parametrize("kind", ["initContainers", "containers"])
def test_a_pod_with_a_memsvc_of_its_own_is_not_given_another(kind: str) -> None:
    spec = {"containers": [{"name": "a"}], kind: [{"name": "memsvc"}]}
    with pytest.raises(InvalidArgument, match="has a container named memsvc that was not injected"):
        injection({"spec": spec}, {})


def test_texts_stay_texts_where_yaml_of_kubernetes_would_read_something_else() -> None:
    result = run(
        DEPLOYMENT, "--setting", "openai_model=on", "--setting", "allow_clear=true", "--setting", "engine=rules"
    )
    for value in ('"on"', '"true"', '"10"', '"[::]:7433"', "rules"):
        assert f"value: {value}\n" in result


def test_a_list_that_two_containers_share_gets_each_item_once() -> None:
    text = """\
kind: Pod
spec:
  containers:
    - name: a
      env: &env
        - {name: X, value: x}
    - name: b
      env: *env
"""
    once = run(text)
    (pod,) = documents(once)
    assert [each["name"] for each in pod["spec"]["containers"][1]["env"]] == ["X", "MEMSVC_TARGET"]
    assert run(once) == once


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n---\n", "just text\n", "- a\n", "kind: Pod\nspec: {}\n"])
def test_what_holds_no_pod_comes_out_as_it_went_in(text: str) -> None:
    assert run(text) == text


def test_what_cannot_be_read_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe")
    for name, said in (("", "cannot read .*: Is a directory"), ("binary.yaml", ".*binary.yaml is no text in UTF-8")):
        with pytest.raises(InvalidArgument, match=f"^file: {said}$"):
            run("", "-f", str(tmp_path / name))


def test_what_is_no_yaml_says_where() -> None:
    with pytest.raises(InvalidArgument, match="- is no YAML, line 2"):
        run("a: 1\n b: [\n")
