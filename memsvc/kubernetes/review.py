"""AdmissionReview, version v1: what the API server asks a webhook about a pod, and what it is answered."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from memsvc.errors import InvalidArgument, invalid
from memsvc.kubernetes.injection import has_own_memsvc, injection

_VERSION: Final = "admission.k8s.io/v1"
_UNPROCESSABLE: Final = 422


class _Request(Struct):
    uid: str
    object: dict[str, Any] | None = None


class _Review(Struct):
    apiVersion: str  # noqa: N815
    request: _Request


def answered(body: bytes, values: Mapping[str, Any]) -> bytes:
    """Return the answer to a review: the pod is let in with a sidecar, or, for annotations that make no sense, refused.

    Raises InvalidArgument for what is no review of this version.
    """
    try:
        review = msgspec.json.decode(body, type=_Review)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise invalid("body", f"is no AdmissionReview: {error}") from error
    if review.apiVersion != _VERSION:
        raise invalid("apiVersion", f"must be {_VERSION}")
    response = {"uid": review.request.uid, **_response(review.request.object, values)}
    return msgspec.json.encode({"apiVersion": _VERSION, "kind": "AdmissionReview", "response": response})


def _response(pod: Mapping[str, Any] | None, values: Mapping[str, Any]) -> Mapping[str, Any]:
    if pod is None or not pod.get("spec", {}).get("containers"):
        return {"allowed": True}
    if has_own_memsvc(pod):
        return {"allowed": True, "warnings": ["memsvc was not injected: the pod has a container of that name"]}
    try:
        operations: Sequence[Any] = injection(pod, values)
    except InvalidArgument as error:
        return {"allowed": False, "status": {"code": _UNPROCESSABLE, "reason": "Invalid", "message": error.message}}
    if not operations:
        return {"allowed": True}
    patch = base64.b64encode(msgspec.json.encode(operations)).decode()
    return {"allowed": True, "patchType": "JSONPatch", "patch": patch}
