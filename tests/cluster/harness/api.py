"""The node's API server, for the harness's own parts: read, apply, patch, follow."""

import base64
import json
import ssl
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import yaml

Object = dict[str, Any]
MANAGER = "slipway-test-node"
CLUSTER_WIDE = frozenset(
    [
        "APIService",
        "ClusterIssuer",
        "ClusterRole",
        "ClusterRoleBinding",
        "CustomResourceDefinition",
        "IngressClass",
        "MutatingWebhookConfiguration",
        "Namespace",
        "Node",
        "PersistentVolume",
        "StorageClass",
        "ValidatingWebhookConfiguration",
    ]
)


class Api:
    """Speaks as whoever the kubeconfig names."""

    def __init__(self, kubeconfig: Path) -> None:
        cluster, user = _chosen(yaml.safe_load(kubeconfig.read_text(encoding="utf-8")))
        authority = cluster.get("certificate-authority-data")
        context = ssl.create_default_context(cadata=base64.b64decode(authority).decode() if authority else None)
        headers = {"authorization": f"Bearer {user['token']}"} if "token" in user else {}
        if "client-certificate-data" in user:
            # OpenSSL takes a client's certificate from a file only.
            with tempfile.NamedTemporaryFile() as pair:
                pair.write(base64.b64decode(user["client-certificate-data"]))
                pair.write(base64.b64decode(user["client-key-data"]))
                pair.flush()
                context.load_cert_chain(pair.name)
        elif not headers:
            raise ValueError(f"{kubeconfig}: its user has neither a token nor a certificate within the file")
        address = cluster["server"]
        self._http = httpx.Client(base_url=address, verify=context, headers=headers, timeout=30, trust_env=False)

    def close(self) -> None:
        self._http.close()

    def get(self, path: str) -> Object | None:
        """What is at a path; None where nothing is."""
        answer = self._http.get(path)
        return None if answer.status_code == 404 else _checked(answer)

    def items(self, path: str, **query: str) -> list[Object]:
        return _checked(self._http.get(path, params=query))["items"]

    def apply(self, manifest: Object, *, dry_run: bool = False) -> Object:
        """Make an object what the manifest says, by server-side apply; with `dry_run`, only ask whether it may be."""
        query = {"fieldManager": MANAGER, "force": "true", **({"dryRun": "All"} if dry_run else {})}
        headers = {"content-type": "application/apply-patch+yaml"}
        body = json.dumps(manifest).encode()
        return _checked(self._http.patch(path_of(manifest), params=query, content=body, headers=headers))

    def log(self, namespace: str, pod: str, lines: int = 8) -> str:
        """The end of what a pod said, or said before it was started again."""
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/log"
        answers = (
            self._http.get(path, params={"tailLines": lines, "previous": before}) for before in ("true", "false")
        )
        return next((answer.text for answer in answers if answer.status_code == 200 and answer.text), "")

    def merge(self, path: str, change: Mapping[str, Any]) -> Object:
        headers = {"content-type": "application/merge-patch+json"}
        return _checked(self._http.patch(path, content=json.dumps(change).encode(), headers=headers))

    def delete(self, path: str) -> None:
        answer = self._http.delete(path)
        if answer.status_code != 404:
            _checked(answer)

    def follow(self, path: str, version: str, seconds: int = 300) -> Iterator[Object]:
        """What changes after a version, for a while; ends early when the server has forgotten that version."""
        query = {"watch": "true", "resourceVersion": version, "timeoutSeconds": str(seconds)}
        with self._http.stream("GET", path, params=query, timeout=httpx.Timeout(30, read=seconds + 30)) as answer:
            if answer.status_code != 200:
                return
            for line in answer.iter_lines():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return
                yield event

    def list(self, path: str) -> Object:
        """A list with its version, to follow from."""
        return _checked(self._http.get(path))

    def ready(self) -> bool:
        try:
            return self._http.get("/readyz").status_code == 200
        except httpx.HTTPError:
            return False


def _chosen(config: Object) -> tuple[Object, Object]:
    """The cluster and the user of the current context."""
    context = _named(config, "contexts", config["current-context"])["context"]
    return _named(config, "clusters", context["cluster"])["cluster"], _named(config, "users", context["user"])["user"]


def _named(config: Object, kind: str, name: str) -> Object:
    return next(entry for entry in config[kind] if entry["name"] == name)


def path_of(manifest: Object) -> str:
    """Where an object is in the API."""
    kind, meta = manifest["kind"], manifest["metadata"]
    base = "/api/v1" if manifest["apiVersion"] == "v1" else f"/apis/{manifest['apiVersion']}"
    space = "" if kind in CLUSTER_WIDE else f"/namespaces/{meta.get('namespace', 'default')}"
    return f"{base}{space}/{_plural(kind.lower())}/{meta['name']}"


def _plural(kind: str) -> str:
    if kind.endswith("y"):
        return f"{kind[:-1]}ies"
    return f"{kind}es" if kind.endswith("s") else f"{kind}s"


def _checked(answer: httpx.Response) -> Object:
    if answer.is_error:
        raise RuntimeError(
            f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text[:400]}"
        )
    return answer.json()
