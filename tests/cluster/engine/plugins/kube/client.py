"""A small client of the Kubernetes API: objects by kind, server-side apply, and what the API server refuses."""

import base64
import os
import ssl
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"


class ApiError(Exception):
    """A refusal of the API server."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(body.get("message") or f"the API server answered {status}")
        self.status = status
        self.reason = str(body.get("reason") or "")
        details = body.get("details") or {}
        self.causes: list[dict[str, Any]] = details.get("causes") or []


class UnknownKind(Exception):
    """The API server has no such kind (yet): its definition may come in the same update."""


@dataclass(frozen=True)
class Place:
    """Where objects of a kind are served."""

    root: str
    plural: str
    namespaced: bool

    def path(self, namespace: str | None, name: str | None = None) -> str:
        middle = f"/namespaces/{namespace or 'default'}" if self.namespaced else ""
        return f"{self.root}{middle}/{self.plural}" + (f"/{name}" if name else "")


class Cluster:
    """One cluster, as a kubeconfig names it. Certificates and tokens are understood, login programs are not."""

    def __init__(self, kubeconfig: str | None = None, context: str | None = None) -> None:
        self._kubeconfig = kubeconfig or os.environ.get("KUBECONFIG") or str(Path.home() / ".kube/config")
        self._context = context
        self._places: dict[tuple[str, str], Place] = {}
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None

    def get(self, api_version: str, kind: str, namespace: str | None, name: str) -> dict[str, Any] | None:
        try:
            return self.request("GET", self.place(api_version, kind).path(namespace, name))
        except ApiError as refusal:
            if refusal.status == 404:
                return None
            raise

    def select(self, api_version: str, kind: str, namespace: str | None, selector: str = "") -> list[dict[str, Any]]:
        path = self.place(api_version, kind).path(namespace)
        return self.request("GET", path, params={"labelSelector": selector}).get("items") or []

    def apply(
        self, thing: dict[str, Any], manager: str, *, dry_run: bool = False, force: bool = False
    ) -> dict[str, Any]:
        params = {"fieldManager": manager, "force": str(force).lower(), "fieldValidation": "Strict"}
        if dry_run:
            params["dryRun"] = "All"
        return self.request("PATCH", self.path_of(thing), params=params, json=thing, kind=APPLY)

    def patch(self, thing: dict[str, Any], operations: list[dict[str, Any]]) -> dict[str, Any]:
        return self.request("PATCH", self.path_of(thing), json=operations, kind=JSON_PATCH)

    def delete(self, thing: dict[str, Any], propagation: str) -> bool:
        """Whether there was something to delete."""
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        try:
            self.request("DELETE", self.path_of(thing), json=options)
        except ApiError as refusal:
            if refusal.status == 404:
                return False
            raise
        return True

    def path_of(self, thing: dict[str, Any]) -> str:
        metadata = thing["metadata"]
        return self.place(thing["apiVersion"], thing["kind"]).path(metadata.get("namespace"), metadata["name"])

    def place(self, api_version: str, kind: str) -> Place:
        """Raises UnknownKind for what the API server does not serve at this moment."""
        with self._lock:
            found = self._places.get((api_version, kind))
        if found is None:
            self._discover(api_version)
            with self._lock:
                found = self._places.get((api_version, kind))
        if found is None:
            raise UnknownKind(f"the cluster does not serve {kind} of {api_version}")
        return found

    def _discover(self, api_version: str) -> None:
        root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        try:
            resources = self.request("GET", root)["resources"]
        except ApiError as refusal:
            if refusal.status in (404, 503):
                return
            raise
        with self._lock:
            for resource in resources:
                if "/" not in resource["name"]:
                    place = Place(root, resource["name"], resource["namespaced"])
                    self._places[api_version, resource["kind"]] = place

    def request(
        self, method: str, path: str, *, params: dict[str, str] | None = None, json: Any = None, kind: str | None = None
    ) -> dict[str, Any]:
        headers = {"Content-Type": kind} if kind else None
        try:
            answer = self._connected().request(method, path, params=params, json=json, headers=headers)
        except (httpx.TransportError, OSError) as problem:
            raise ApiError(503, {"message": f"the API server cannot be reached: {problem}"}) from None
        body = answer.json() if "json" in answer.headers.get("content-type", "") else {"message": answer.text}
        if answer.status_code >= 300:
            raise ApiError(answer.status_code, body)
        return body

    def close(self) -> None:
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _connected(self) -> httpx.Client:
        with self._lock:
            if self._client is None:
                self._client = _client(self._kubeconfig, self._context)
            return self._client


def _client(kubeconfig: str, context: str | None) -> httpx.Client:
    text = kubeconfig if "\n" in kubeconfig else Path(kubeconfig).expanduser().read_text(encoding="utf-8")
    document = yaml.safe_load(text)
    chosen = _named(document, "context", context or document.get("current-context"))
    cluster = _named(document, "cluster", chosen["cluster"])
    user = _named(document, "user", chosen["user"])
    authority = _data(cluster, "certificate-authority")
    security = ssl.create_default_context(cadata=authority.decode() if authority else None)
    if cluster.get("insecure-skip-tls-verify"):
        security.check_hostname = False
        security.verify_mode = ssl.CERT_NONE
    certificate, key = _data(user, "client-certificate"), _data(user, "client-key")
    if certificate and key:
        # OpenSSL reads a client's certificate from a file only.
        with tempfile.NamedTemporaryFile() as file:
            file.write(certificate + b"\n" + key)
            file.flush()
            security.load_cert_chain(file.name)
    headers = {"Authorization": f"Bearer {user['token']}"} if user.get("token") else None
    limits = httpx.Limits(max_connections=32)
    return httpx.Client(
        base_url=cluster["server"], verify=security, headers=headers, timeout=60, trust_env=False, limits=limits
    )


def _named(document: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    for entry in document.get(f"{kind}s") or ():
        if entry["name"] == name:
            return entry[kind]
    raise ValueError(f"the kubeconfig has no {kind} {name}")


def _data(entry: dict[str, Any], key: str) -> bytes | None:
    if f"{key}-data" in entry:
        return base64.b64decode(entry[f"{key}-data"])
    return Path(entry[key]).read_bytes() if key in entry else None
