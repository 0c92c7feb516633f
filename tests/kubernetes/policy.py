"""What a platform team demands of manifests: each check says in a sentence what is wrong."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from memsvc.config import load_config

Manifest = Mapping[str, Any]

SAMPLES = {"storage_url": "postgresql://memsvc@db/memsvc", "openai_api_key": "sk-sample"}
"""What the secrets hold that files of values name."""


def violations(manifests: Sequence[Manifest], given: set[str]) -> list[str]:
    """Return what is wrong. `given`: names of Secrets and claims that somebody else makes."""
    return list(
        itertools.chain(
            *(_of_pod(where, pod) for where, pod in pods(manifests)),
            _of_references(manifests, given),
            _of_selectors(manifests),
        )
    )


def pods(manifests: Sequence[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """Return the pods, or templates of pods, that manifests hold: where, and the pod."""
    for manifest in manifests:
        where = f"{manifest['kind']} {manifest['metadata']['name']}"
        if manifest["kind"] == "Pod":
            yield where, manifest
        elif "template" in manifest.get("spec", {}):
            yield where, manifest["spec"]["template"]


def containers(pod: Manifest) -> Sequence[Manifest]:
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def environment(container: Manifest) -> dict[str, str]:
    """Return the variables of a container, with samples for what Secrets hold."""
    return {
        each["name"]: each["value"] if "value" in each else SAMPLES[each["name"].removeprefix("MEMSVC_").lower()]
        for each in container.get("env", [])
    }


def _of_pod(where: str, pod: Manifest) -> Iterator[str]:
    spec = pod["spec"]
    if spec.get("automountServiceAccountToken") is not False and not _asks_the_api_server(spec):
        yield f"{where}: gets a token of its service account"
    for container in containers(pod):
        yield from _of_container(f"{where}, {container['name']}", spec, container)
    mounted = [mount["name"] for container in containers(pod) for mount in container.get("volumeMounts", [])]
    volumes = [volume["name"] for volume in spec.get("volumes", [])]
    if set(mounted) != set(volumes) or len(set(volumes)) != len(volumes):
        yield f"{where}: mounts {sorted(set(mounted))} of the volumes {volumes}"
    ports = [port["containerPort"] for container in containers(pod) for port in container.get("ports", [])]
    if len(set(ports)) != len(ports):
        yield f"{where}: a port is used twice: {ports}"
    yield from _of_sidecar(where, spec)


def _asks_the_api_server(spec: Manifest) -> bool:
    """Whether a pod is the hook's, which keeps the webhook's certificate in a Secret, and runs for a moment."""
    return [each.get("args", [""])[0] for each in containers({"spec": spec})] == ["webhook-certificate"]


def _of_container(where: str, spec: Manifest, container: Manifest) -> Iterator[str]:
    security = {**spec.get("securityContext", {}), **container.get("securityContext", {})}
    if not security.get("runAsNonRoot") or not security.get("runAsUser"):
        yield f"{where}: may run as root"
    if not security.get("readOnlyRootFilesystem"):
        yield f"{where}: may write to its root file system"
    if security.get("allowPrivilegeEscalation") is not False or security.get("capabilities") != {"drop": ["ALL"]}:
        yield f"{where}: has privileges"
    if security.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield f"{where}: has no seccomp profile"
    if not re.search(r"(:(?!latest)[\w.-]+|@sha256:[0-9a-f]{64})$", container["image"]):
        yield f"{where}: image {container['image']} may be any"
    for kind in ("requests", "limits"):
        if not {"cpu", "memory"} <= set(container.get("resources", {}).get(kind, {})):
            yield f"{where}: has no {kind}"
    ports = {port["containerPort"] for port in container.get("ports", [])}
    names = {port.get("name") for port in container.get("ports", [])}
    probes = {name: probe for name, probe in container.items() if name.endswith("Probe")}
    for name, probe in probes.items():
        asked = probe.get("grpc") or probe["httpGet"]
        if asked["port"] not in ports | names:
            yield f"{where}: {name} asks a port that is not served"
    if container.get("args") == ["serve"]:
        yield from _of_server(where, container, set(probes))


def _of_server(where: str, container: Manifest, probes: set[str]) -> Iterator[str]:
    wanted = {"startupProbe", "livenessProbe"}
    if container.get("restartPolicy") != "Always":
        wanted.add("readinessProbe")
    elif "readinessProbe" in probes:
        yield f"{where}: takes its agent out of service while it is away"
    if not wanted <= probes:
        yield f"{where}: lacks {sorted(wanted - probes)}"
    config, _ = load_config({}, environment(container))
    paths = {mount["mountPath"] for mount in container.get("volumeMounts", [])}
    files = [config.tls_certificate_file, config.tls_key_file, config.tls_client_ca_file, config.tokens_file]
    if config.storage_url.startswith("sqlite:"):
        files.append(config.storage_url.removeprefix("sqlite:///"))
    files += [address.removeprefix("unix://") for address in config.listen if address.startswith("unix:")]
    for file in filter(None, files):
        if file.rpartition("/")[0] not in paths:
            yield f"{where}: {file} is on no volume"
    for name in ("listen", "health_listen", "http_listen"):
        value = getattr(config, name)
        for address in [value] if isinstance(value, str) else value:
            port = address.rpartition(":")[2]
            if port.isdigit() and int(port) not in {each["containerPort"] for each in container["ports"]}:
                yield f"{where}: {name} {address} is no port of the container"


def _of_sidecar(where: str, spec: Manifest) -> Iterator[str]:
    beside = [each for each in spec.get("initContainers", []) if each["name"] == "memsvc"]
    served = [each for each in containers({"spec": spec}) if each.get("args") == ["serve"]]
    for container in served:
        config, _ = load_config({}, environment(container))
        wait = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        if wait + config.drain_seconds + 5 > spec["terminationGracePeriodSeconds"]:
            yield f"{where}: is killed before it has drained"
    if not beside:
        return
    if spec["initContainers"][0] is not beside[0] or beside[0].get("restartPolicy") != "Always":
        yield f"{where}: memsvc does not begin first and go on"
    if not spec.get("securityContext", {}).get("fsGroup"):
        yield f"{where}: an agent of another uid cannot reach the socket"


def _of_references(manifests: Sequence[Manifest], given: set[str]) -> Iterator[str]:
    made = {(each["kind"], each["metadata"]["name"]) for each in manifests}
    made |= {("Secret", each["spec"]["secretName"]) for each in manifests if each["kind"] == "Certificate"}
    made |= {("Secret", name) for _, pod in pods(manifests) for name in _made_by_hook(pod)}
    for where, pod in pods(manifests):
        for kind, name in _named_by(pod):
            if (kind, name) not in made and name not in given:
                yield f"{where}: there is no {kind} {name}"
    for manifest in manifests:
        if manifest["kind"] == "HorizontalPodAutoscaler":
            target = manifest["spec"]["scaleTargetRef"]
            if (target["kind"], target["name"]) not in made:
                yield f"scales {target}, which is not there"


def _made_by_hook(pod: Manifest) -> Iterator[str]:
    if _asks_the_api_server(pod["spec"]):
        options = [argument.partition("=") for argument in containers(pod)[0]["args"]]
        yield from (value for name, _, value in options if name == "--secret")


def _named_by(pod: Manifest) -> Iterator[tuple[str, str]]:
    spec = pod["spec"]
    if name := spec.get("serviceAccountName"):
        yield "ServiceAccount", name
    for volume in spec.get("volumes", []):
        if "secret" in volume:
            yield "Secret", volume["secret"]["secretName"]
        if "configMap" in volume:
            yield "ConfigMap", volume["configMap"]["name"]
        if "persistentVolumeClaim" in volume:
            yield "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]
    for container in containers(pod):
        for each in container.get("env", []):
            if secret := each.get("valueFrom", {}).get("secretKeyRef"):
                yield "Secret", secret["name"]


def _of_selectors(manifests: Sequence[Manifest]) -> Iterator[str]:
    everything = [pod for _, pod in pods(manifests)]
    for manifest in manifests:
        where = f"{manifest['kind']} {manifest['metadata']['name']}"
        selector = _selector(manifest)
        if selector is None:
            continue
        chosen = [pod for pod in everything if selector.items() <= pod["metadata"].get("labels", {}).items()]
        if len(chosen) != 1:
            yield f"{where}: chooses {len(chosen)} kinds of pods by {selector}"
            continue
        names = {port["name"] for container in containers(chosen[0]) for port in container.get("ports", [])}
        for port in _ports_named_by(manifest):
            if port not in names:
                yield f"{where}: there is no port {port}"


def _selector(manifest: Manifest) -> Mapping[str, str] | None:
    spec = manifest.get("spec", {})
    if manifest["kind"] == "Service":
        return dict(spec["selector"])
    found = spec.get("podSelector" if manifest["kind"] == "NetworkPolicy" else "selector")
    return dict(found["matchLabels"]) if found and manifest["kind"] != "ServiceMonitor" else None


def _ports_named_by(manifest: Manifest) -> Iterator[str]:
    if manifest["kind"] == "Service":
        yield from (port["targetPort"] for port in manifest["spec"]["ports"])
    if manifest["kind"] == "NetworkPolicy":
        yield from (port["port"] for rule in manifest["spec"]["ingress"] for port in rule["ports"])
