"""Containers of a pod as processes of this machine, with the user, groups, folders and variables of the manifest.

A container's root file system is a folder that nobody can write to, with this machine's programs and this checkout in
it, and with the pod's volumes at their places. It has a network of its own, in which it listens where it says.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tests.kubernetes.rendering import ROOT
from tests.servers.process import ServerMissing

_PROGRAMS = ("unshare", "nsenter", "chroot", "setpriv", "mount")
_MACHINE = ("bin", "dev", "etc", "lib", "lib64", "proc", "usr")
_ENTER = """
set -eu
root=$1 folders=$2 volumes=$3
shift 3
mount -t tmpfs tmpfs "$root"
for folder in $folders; do
  [ -d "$folder" ] || continue
  mkdir -p "$root$folder"
  mount --rbind "$folder" "$root$folder"
done
for volume in $volumes; do
  place=${volume#*=}; place=${place%%:*}
  mkdir -p "$root$place"
  mount --bind "${volume%%=*}" "$root$place"
  case $volume in *:ro) mount -o remount,bind,ro "$root$place";; esac
done
mount -o remount,ro "$root"
"$LOOPBACK_UP" -c 'import fcntl, socket, struct
with socket.socket() as any:
    fcntl.ioctl(any, 0x8914, struct.pack("16sh", b"lo", 0x1 | 0x40))'
exec chroot "$root" "$@"
"""


@cache
def can_run_containers() -> None:
    """Raise ServerMissing where this machine gives no namespaces, or another user cannot read the checkout."""
    missing = [program for program in _PROGRAMS if shutil.which(program) is None]
    if missing or os.geteuid() != 0:
        raise ServerMissing(f"containers: need to be root, and {' '.join(missing) or 'no program'} besides")
    for trial in (["unshare", "--mount", "--net", "true"], [*_as(65532, 65532, 65532), sys.executable, "-c", ""]):
        if subprocess.run(trial, check=False, capture_output=True).returncode:
            raise ServerMissing(f"containers: this machine does not do {' '.join(trial)}")


class Pod:
    """The folders of a pod's volumes, and the processes of its containers."""

    def __init__(self, spec: Mapping[str, Any], folder: Path) -> None:
        can_run_containers()
        self.spec = spec
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self._group: int = spec["securityContext"]["fsGroup"]
        folder.chmod(0o755)
        for volume in spec["volumes"]:
            made = folder / volume["name"]
            made.mkdir()
            # As the kubelet leaves an emptyDir.
            os.chown(made, 0, self._group)
            made.chmod(0o2777)

    def volume(self, name: str) -> Path:
        return self._folder / name

    def start(
        self,
        container: Mapping[str, Any],
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        groups: str = "",
        output: int | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a container. `command` is what the image and the manifest say together."""
        security = {**self.spec["securityContext"], **container["securityContext"]}
        root = self._folder / f"root-{len(self._processes)}"
        root.mkdir()
        mounts = container.get("volumeMounts", [])
        volumes = [
            f"{self.volume(mount['name'])}={mount['mountPath']}:{'ro' if mount.get('readOnly') else 'rw'}"
            for mount in mounts
        ]
        folders = [*(f"/{name}" for name in _MACHINE), str(ROOT), sys.base_prefix]
        variables = {"PATH": f"{ROOT}/.venv/bin:/usr/bin:/bin", **environment}
        process = subprocess.Popen(
            [
                *("unshare", "--mount", "--net", "--propagation", "private", "--"),
                *("sh", "-c", _ENTER, "sh", str(root), " ".join(dict.fromkeys(folders)), " ".join(volumes)),
                *_as(security["runAsUser"], security["runAsGroup"], groups or str(self._group)),
                *("env", "-i", *(f"{name}={value}" for name, value in variables.items()), *command),
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "LOOPBACK_UP": sys.executable},
        )
        self._processes.append(process)
        return process

    def close(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.wait()


def _as(user: int, group: int, groups: int | str) -> Sequence[str]:
    privileges = ("--no-new-privs", "--bounding-set=-all", "--inh-caps=-all")
    return ["setpriv", f"--reuid={user}", f"--regid={group}", f"--groups={groups}", *privileges, "--"]
