"""The sidecar: its container and volumes, as helm/memsvc-sidecar renders them, from the same values.

A test holds both equal, and the defaults here to the values.yaml there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct, field

from memsvc import __version__
from memsvc.config import ENVIRONMENT_PREFIX, load_config, setting_kinds
from memsvc.errors import invalid
from memsvc.storage.options import nearest

NAME: Final = "memsvc"
SOCKET_VOLUME: Final = "memsvc-socket"
DATA_VOLUME: Final = "memsvc-data"
SOCKET_FOLDER: Final = "/run/memsvc"
TARGET: Final = f"unix://{SOCKET_FOLDER}/memsvc.sock"
TARGET_VARIABLE: Final = "MEMSVC_TARGET"

_DATA_FOLDER: Final = "/data"
_DECIDED: Final = ("listen", "health_listen", "ready_file", "exit_when_unlocked")
_DEFAULT_SETTINGS: Final[Mapping[str, Any]] = {
    "storage_url": f"sqlite:///{_DATA_FOLDER}/memory.db",
    "start_without_storage": True,
    "drain_seconds": 10,
    "log_format": "json",
}

Port = Annotated[int, Meta(ge=1, le=65_535)]
Document = Mapping[str, Any]


class Image(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Which image is run. `tag`: the version of this memsvc, where there is none."""

    repository: str = "memsvc"
    tag: str = ""
    digest: str = ""
    pull_policy: str = "IfNotPresent"

    def __str__(self) -> str:
        if self.digest:
            return f"{self.repository}@{self.digest}"
        return f"{self.repository}:{self.tag or __version__}"


class SecretKey(Struct, frozen=True, forbid_unknown_fields=True):
    """A key of a Secret."""

    name: Annotated[str, Meta(min_length=1)]
    key: Annotated[str, Meta(min_length=1)]


class Data(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Where SQLite's file is."""

    persistent_volume_claim: str = ""
    size_limit: str = "2Gi"


class Sidecar(Struct, frozen=True, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """The values of helm/memsvc-sidecar: see its values.yaml for what each is for."""

    image: Image = Image()
    settings: dict[str, Any] = field(default_factory=dict)
    settings_from_secrets: dict[str, SecretKey | None] = field(default_factory=dict)
    data: Data = Data()
    health_port: Port = 7433
    startup_probe: dict[str, int] = field(
        default_factory=lambda: {"periodSeconds": 1, "timeoutSeconds": 5, "failureThreshold": 120}
    )
    liveness_probe: dict[str, int] = field(
        default_factory=lambda: {"periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6}
    )
    resources: dict[str, Any] = field(
        default_factory=lambda: {
            "requests": {"cpu": "50m", "memory": "128Mi"},
            "limits": {"cpu": "1", "memory": "512Mi"},
        }
    )
    fs_group: Annotated[int, Meta(ge=1)] = 65_532
    security_context: dict[str, Any] = field(
        default_factory=lambda: {
            "runAsNonRoot": True,
            "runAsUser": 65_532,
            "runAsGroup": 65_532,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        }
    )
    agent_stop_seconds: Annotated[int, Meta(ge=0)] = 15
    extra_volume_mounts: list[dict[str, Any]] = field(default_factory=list)

    @property
    def all_settings(self) -> Mapping[str, Any]:
        """The settings with those that every sidecar has."""
        return {**_DEFAULT_SETTINGS, **self.settings}

    @property
    def secrets(self) -> Mapping[str, SecretKey]:
        return {name: secret for name, secret in self.settings_from_secrets.items() if secret is not None}

    @property
    def has_data(self) -> bool:
        """Whether SQLite needs a folder."""
        return "storage_url" not in self.secrets and str(self.all_settings["storage_url"]).startswith("sqlite:")


def sidecar_of(values: Mapping[str, Any]) -> Sidecar:
    """Return the sidecar of some values. Raises InvalidArgument naming what is wrong."""
    try:
        sidecar = msgspec.convert(dict(values), Sidecar)
    except msgspec.ValidationError as error:
        raise invalid("values", str(error)) from error
    known = [name for name in setting_kinds() if name not in _DECIDED]
    for name in (*sidecar.settings, *sidecar.secrets):
        if name not in known:
            raise invalid("values", f"{name} is no setting of a sidecar{nearest(name, known)}")
    load_config({}, {each["name"]: each["value"] for each in _environment(sidecar) if _is_checked(each)})
    return sidecar


def container(sidecar: Sidecar) -> Document:
    """Return the item of initContainers."""
    mounts = [{"name": SOCKET_VOLUME, "mountPath": SOCKET_FOLDER}]
    if sidecar.has_data:
        mounts.append({"name": DATA_VOLUME, "mountPath": _DATA_FOLDER})
    port = sidecar.health_port
    return {
        "name": NAME,
        "image": str(sidecar.image),
        "imagePullPolicy": sidecar.image.pull_policy,
        "restartPolicy": "Always",
        "args": ["serve"],
        "env": _environment(sidecar),
        "ports": [{"name": "memsvc-health", "containerPort": port}],
        "startupProbe": {"grpc": {"port": port}, **sidecar.startup_probe},
        "livenessProbe": {"grpc": {"port": port, "service": "liveness"}, **sidecar.liveness_probe},
        "resources": sidecar.resources,
        "securityContext": sidecar.security_context,
        "volumeMounts": [*mounts, *sidecar.extra_volume_mounts],
    }


def volumes(sidecar: Sidecar) -> Sequence[Document]:
    """Return what the pod's volumes need besides."""
    socket = {"name": SOCKET_VOLUME, "emptyDir": {"sizeLimit": "1Mi"}}
    if not sidecar.has_data:
        return [socket]
    claim = sidecar.data.persistent_volume_claim
    if claim:
        return [socket, {"name": DATA_VOLUME, "persistentVolumeClaim": {"claimName": claim}}]
    return [socket, {"name": DATA_VOLUME, "emptyDir": {"sizeLimit": sidecar.data.size_limit}}]


def _environment(sidecar: Sidecar) -> list[dict[str, Any]]:
    secrets = sidecar.secrets
    variables: list[dict[str, Any]] = [
        {"name": "MEMSVC_LISTEN", "value": TARGET},
        {"name": "MEMSVC_HEALTH_LISTEN", "value": f"[::]:{sidecar.health_port}"},
    ]
    for name, value in sorted(sidecar.all_settings.items()):
        if name not in secrets:
            variables.append({"name": _variable(name), "value": _written(value)})
    for name, secret in sorted(secrets.items()):
        reference = {"name": secret.name, "key": secret.key}
        variables.append({"name": _variable(name), "valueFrom": {"secretKeyRef": reference}})
    if sidecar.has_data:
        # SQLite sorts what is large in a file, and the root file system is read-only.
        variables.append({"name": "SQLITE_TMPDIR", "value": _DATA_FOLDER})
    return variables


def _variable(setting: str) -> str:
    return ENVIRONMENT_PREFIX + setting.upper()


def _is_checked(variable: Mapping[str, Any]) -> bool:
    return "value" in variable and str(variable["name"]).startswith(ENVIRONMENT_PREFIX)


def _written(value: Any) -> str:
    """Return a setting as the environment has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(map(str, value))
    if isinstance(value, dict):
        return json.dumps(value, separators=(",", ":"), sort_keys=True)
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
