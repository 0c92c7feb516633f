"""Giving a pod a sidecar, and taking it away again: the same operations for a command and for an admission webhook.

Before: containers [agent]. After: initContainers [memsvc, ...], the volumes of the socket and of SQLite's file, in each
other container the socket's folder (read-only) and MEMSVC_TARGET, an fsGroup where there was none, and an annotation.
What was injected is known by that annotation: a pod that came with a container named memsvc is left alone.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from memsvc.config import setting_kinds
from memsvc.errors import invalid
from memsvc.kubernetes.patch import Operation, apply, pointer
from memsvc.kubernetes.sidecar import (
    DATA_VOLUME,
    NAME,
    SOCKET_FOLDER,
    SOCKET_VOLUME,
    TARGET,
    TARGET_VARIABLE,
    Sidecar,
    container,
    sidecar_of,
    volumes,
)
from memsvc.storage.options import nearest

PREFIX: Final = "memsvc.dev/"
INJECT: Final = f"{PREFIX}inject"
STATUS: Final = f"{PREFIX}status"
ADDED_FS_GROUP: Final = f"{PREFIX}added-fs-group"

_INJECTED: Final = "injected"
_OF_SECRETS: Final = "secret."
_TEMPLATES: Final[Mapping[str, Sequence[str]]] = {
    "Pod": (),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    **dict.fromkeys(
        ("DaemonSet", "Deployment", "Job", "ReplicaSet", "ReplicationController", "StatefulSet"), ("spec", "template")
    ),
}

Document = Mapping[str, Any]


def pods_of(manifest: Any) -> Iterator[tuple[Sequence[str | int], Document]]:
    """Return the pods, and templates of pods, in a manifest: where each stands, and what it is."""
    if not isinstance(manifest, Mapping):
        return
    if str(manifest.get("kind", "")).endswith("List"):
        for index, item in enumerate(manifest.get("items") or ()):
            yield from ((("items", index, *where), pod) for where, pod in pods_of(item))
        return
    where = _TEMPLATES.get(str(manifest.get("kind")))
    if where is None:
        return
    pod: Any = manifest
    for part in where:
        pod = pod.get(part) if isinstance(pod, Mapping) else None
    if isinstance(pod, Mapping) and isinstance(pod.get("spec"), Mapping) and pod["spec"].get("containers"):
        yield where, pod


def is_injected(pod: Document) -> bool:
    return _annotations(pod).get(STATUS) == _INJECTED


def has_own_memsvc(pod: Document) -> bool:
    """Whether a pod has a container named memsvc that was not injected: the shared deployment's, or the chart's."""
    return not is_injected(pod) and any(each.get("name") == NAME for each in _containers(pod["spec"]))


def injection(pod: Document, values: Mapping[str, Any], where: Sequence[str | int] = ()) -> Sequence[Operation]:
    """Return what gives a pod its sidecar, or brings the one it has up to date; nothing where nothing is to do.

    `values` are those of the chart; annotations of the pod go before them. Raises InvalidArgument for an annotation
    that makes no sense, and for a pod that has a container named memsvc of its own.
    """
    if _annotations(pod).get(INJECT) == "false":
        return []
    sidecar = _with_annotations(values, _annotations(pod))
    bare = _plain(pod)
    taken = removal(bare)
    apply(bare, taken)
    if has_own_memsvc(bare):
        raise invalid("pod", f"has a container named {NAME} that was not injected")
    wanted = copy.deepcopy(bare)
    given = list(_operations(bare, sidecar))
    apply(wanted, given)
    if wanted == _plain(pod):
        return []
    return [_at(where, operation) for operation in (*taken, *given)]


def removal(pod: Document, where: Sequence[str | int] = ()) -> Sequence[Operation]:
    """Return what takes an injected sidecar away; nothing where there is none."""
    if not is_injected(pod):
        return []
    spec = pod["spec"]
    found: list[Operation] = []
    for kind in ("initContainers", "containers"):
        for index, each in enumerate(spec.get(kind) or ()):
            if each.get("name") != NAME:
                place = ("spec", kind, index)
                found += _without(each, place, "volumeMounts", "name", {SOCKET_VOLUME})
                if {"name": TARGET_VARIABLE, "value": TARGET} in (each.get("env") or ()):
                    found += _without(each, place, "env", "name", {TARGET_VARIABLE})
    found += _without(spec, ("spec",), "initContainers", "name", {NAME})
    found += _without(spec, ("spec",), "volumes", "name", {SOCKET_VOLUME, DATA_VOLUME})
    annotations = _annotations(pod)
    if ADDED_FS_GROUP in annotations:
        found += _without_keys(spec, ("spec",), "securityContext", ("fsGroup", "fsGroupChangePolicy"))
    if list(pod["metadata"]) == ["annotations"] and set(annotations) <= {STATUS, ADDED_FS_GROUP}:
        found.append(Operation("remove", pointer("metadata")))
    else:
        found += _without_keys(pod["metadata"], ("metadata",), "annotations", (STATUS, ADDED_FS_GROUP))
    return [_at(where, operation) for operation in found]


def _operations(pod: Document, sidecar: Sidecar) -> Iterator[Operation]:
    """Return what gives a pod that has none its sidecar."""
    spec = pod["spec"]
    for kind in ("initContainers", "containers"):
        for index, each in enumerate(spec.get(kind) or ()):
            place = ("spec", kind, index)
            if all(mount.get("mountPath") != SOCKET_FOLDER for mount in each.get("volumeMounts") or ()):
                mount = {"name": SOCKET_VOLUME, "mountPath": SOCKET_FOLDER, "readOnly": True}
                yield from _appended(each, place, "volumeMounts", [mount])
            if all(variable.get("name") != TARGET_VARIABLE for variable in each.get("env") or ()):
                yield from _appended(each, place, "env", [{"name": TARGET_VARIABLE, "value": TARGET}])
    yield from _appended(spec, ("spec",), "volumes", volumes(sidecar))
    made = container(sidecar)
    if spec.get("initContainers"):
        # Before the others, so that they have a memory, too.
        yield Operation("add", pointer("spec", "initContainers", 0), made)
    else:
        yield Operation("add", pointer("spec", "initContainers"), [made])
    marks = {STATUS: _INJECTED}
    if "fsGroup" not in (spec.get("securityContext") or {}):
        marks[ADDED_FS_GROUP] = "true"
        group = {"fsGroup": sidecar.fs_group, "fsGroupChangePolicy": "OnRootMismatch"}
        yield from _with_keys(spec, ("spec",), "securityContext", group)
    if not isinstance(pod.get("metadata"), Mapping):
        yield Operation("add", pointer("metadata"), {"annotations": marks})
    else:
        yield from _with_keys(pod["metadata"], ("metadata",), "annotations", marks)


def _with_annotations(values: Mapping[str, Any], annotations: Mapping[str, str]) -> Sidecar:
    """Return the sidecar that values and a pod's annotations describe together.

    memsvc.dev/storage-url and every other setting, memsvc.dev/secret.storage-url: name/key, memsvc.dev/image,
    memsvc.dev/data-claim, memsvc.dev/resources as JSON.
    """
    settings = dict(values.get("settings") or {})
    secrets = dict(values.get("settingsFromSecrets") or {})
    more: dict[str, Any] = dict(values)
    names = [name.replace("_", "-") for name in setting_kinds()]
    for annotation, text in annotations.items():
        name = annotation.removeprefix(PREFIX)
        if name == annotation or annotation in (INJECT, STATUS, ADDED_FS_GROUP):
            continue
        if name == "image":
            more["image"] = image_of(text)
        elif name == "data-claim":
            more["data"] = {"persistentVolumeClaim": text}
        elif name == "resources":
            more["resources"] = _json(annotation, text)
        elif name.startswith(_OF_SECRETS):
            secret, separator, key = text.partition("/")
            if not separator:
                raise invalid(annotation, "is written as name/key")
            secrets[name.removeprefix(_OF_SECRETS).replace("-", "_")] = {"name": secret, "key": key}
        elif name in names:
            settings[name.replace("-", "_")] = text
            secrets.pop(name.replace("-", "_"), None)
        else:
            raise invalid(annotation, f"is no annotation of memsvc{nearest(name, names)}")
    return sidecar_of({**more, "settings": settings, "settingsFromSecrets": secrets})


def image_of(reference: str) -> Mapping[str, str]:
    """Return the values of an image that is named as usual: registry/name:tag, or name@sha256:..."""
    repository, _, digest = reference.partition("@")
    if digest:
        return {"repository": repository, "digest": digest}
    name, separator, tag = repository.rpartition(":")
    if not separator or "/" in tag or tag == "latest":
        raise invalid("image", f"{reference!r} needs a tag, other than latest, or a digest")
    return {"repository": name, "tag": tag}


def _json(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise invalid(name, "is no JSON") from error


def _annotations(pod: Document) -> Mapping[str, str]:
    metadata = pod.get("metadata")
    found = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _containers(spec: Document) -> Sequence[Document]:
    return [*(spec.get("initContainers") or ()), *spec["containers"]]


def _appended(owner: Document, place: Sequence[str | int], name: str, items: Sequence[Document]) -> Iterator[Operation]:
    if owner.get(name):
        yield from (Operation("add", pointer(*place, name, "-"), item) for item in items)
    else:
        yield Operation("add", pointer(*place, name), list(items))


def _with_keys(owner: Document, place: Sequence[str | int], name: str, keys: Mapping[str, Any]) -> Iterator[Operation]:
    if owner.get(name):
        yield from (Operation("add", pointer(*place, name, key), value) for key, value in keys.items())
    else:
        yield Operation("add", pointer(*place, name), dict(keys))


def _without(owner: Document, place: Sequence[str | int], name: str, by: str, gone: set[str]) -> Sequence[Operation]:
    """Return what removes items of a list: the list, where nothing would be left."""
    items = owner.get(name) or ()
    found = [index for index, item in enumerate(items) if item.get(by) in gone]
    if found and len(found) == len(items):
        return [Operation("remove", pointer(*place, name))]
    return [Operation("remove", pointer(*place, name, index)) for index in reversed(found)]


def _without_keys(owner: Document, place: Sequence[str | int], name: str, keys: Sequence[str]) -> Sequence[Operation]:
    found = [key for key in keys if key in (owner.get(name) or {})]
    if found and len(found) == len(owner[name]):
        return [Operation("remove", pointer(*place, name))]
    return [Operation("remove", pointer(*place, name, key)) for key in found]


def _at(where: Sequence[str | int], operation: Operation) -> Operation:
    return Operation(operation.op, pointer(*where) + operation.path, operation.value)


def _plain(document: Any) -> Any:
    """Return a copy made of plain mappings and lists."""
    if isinstance(document, Mapping):
        return {key: _plain(value) for key, value in document.items()}
    if isinstance(document, list):
        return [_plain(item) for item in document]
    return document
