"""`memsvc webhook-certificate`: what helm/memsvc-injector's hook runs where there is no cert-manager."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from memsvc.kubernetes.cluster import Cluster


@click.command()
@click.option("--secret", required=True, help="The Secret that keeps it, in the pod's own namespace.")
@click.option("--name", required=True, help="Whom it is for: SERVICE.NAMESPACE.svc.")
@click.option("--configuration", required=True, help="The MutatingWebhookConfiguration that has to trust it.")
@click.option("--account", default="", metavar="FOLDER", help="Of the service account. Default: where a pod has it.")
def webhook_certificate(secret: str, name: str, configuration: str, account: str) -> None:
    """Make a certificate for the webhook, unless there is one for a year to come, and let the API server trust it."""
    from memsvc.kubernetes.cluster import ACCOUNT_FOLDER, Cluster, NotDone

    try:
        click.echo(_done(Cluster(account or ACCOUNT_FOLDER), secret, name, configuration))
    except NotDone as error:
        raise click.ClickException(str(error)) from error


def _done(cluster: Cluster, secret: str, name: str, configuration: str) -> str:
    """Do it, and return what was done."""
    from memsvc.kubernetes.certificate import is_usable, made

    place = f"/api/v1/namespaces/{cluster.namespace}/secrets"
    kept = cluster.read(f"{place}/{secret}")
    files = {key: base64.b64decode(text) for key, text in ((kept or {}).get("data") or {}).items()}
    usable = is_usable(files, name)
    if not usable:
        files = dict(made(name, files))
    # First: nobody may serve what is not trusted yet.
    trusted = _trust(cluster, configuration, files["ca.crt"])
    if not usable:
        document = _secret(secret, files)
        if kept is None:
            cluster.create(place, document)
        else:
            cluster.replace(f"{place}/{secret}", document)
    return f"{secret}: {'kept' if usable else 'made'}; {configuration}: {'trusts it' if trusted else 'not there yet'}"


def _trust(cluster: Cluster, configuration: str, authorities: bytes) -> bool:
    """Let a configuration's webhooks trust these CAs; whether there is such a configuration."""
    place = f"/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/{configuration}"
    found = cluster.read(place)
    if found is None:
        return False
    bundle = base64.b64encode(authorities).decode()
    operations = [
        {"op": "add", "path": f"/webhooks/{index}/clientConfig/caBundle", "value": bundle}
        for index, webhook in enumerate(found["webhooks"])
        if webhook["clientConfig"].get("caBundle") != bundle
    ]
    if operations:
        cluster.patch(place, operations)
    return True


def _secret(name: str, files: Mapping[str, bytes]) -> Mapping[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"name": name},
        "data": {key: base64.b64encode(content).decode() for key, content in files.items()},
    }
