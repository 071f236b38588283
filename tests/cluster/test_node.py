"""The node does what any cluster does, so that what a stack shows on it means something."""

import base64
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pymongo
import pymongo.errors
import pytest
from cryptography import x509
from harness import acme
from harness.api import Api
from harness.enclosure import NODE_ADDRESS
from harness.ingress import TRAEFIK_ADDRESS
from harness.process import wait_until
from harness.runtime import REGISTRY

RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
Make = Callable[..., str]


@pytest.fixture
def make_pod(api: Api, namespace: str) -> Make:
    """Makes a pod and waits until it is ready; returns its address."""

    def make(
        name: str, image: str, *command: str, claim: str | None = None, data: str = "/data", **container: Any
    ) -> str:
        volumes = [
            {"name": "data", "persistentVolumeClaim": {"claimName": claim}}
            if claim
            else {"name": "data", "emptyDir": {}}
        ]
        spec = {"name": name, "image": image, "command": list(command), "securityContext": RESTRICTED, **container}
        mounts = [{"name": "data", "mountPath": data}, {"name": "tmp", "mountPath": "/tmp"}]
        api.apply(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
                "spec": {
                    "securityContext": {"runAsUser": 999, "runAsGroup": 999, "fsGroup": 999},
                    "terminationGracePeriodSeconds": 0,
                    "containers": [{**spec, "volumeMounts": mounts}],
                    "volumes": [*volumes, {"name": "tmp", "emptyDir": {}}],
                },
            }
        )
        path = f"/api/v1/namespaces/{namespace}/pods/{name}"

        def ready() -> bool:
            conditions = api.get(path)["status"].get("conditions", [])
            return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)

        wait_until(name, ready, seconds=240, why=lambda: f"{api.get(path)['status']} {api.log(namespace, name)}")
        return api.get(path)["status"]["podIP"]

    return make


def web(text: str = "hello") -> tuple[str, ...]:
    """A small HTTP server on port 8080."""
    program = f"""
import http.server
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"{text}")
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Page).serve_forever()
"""
    return "python3", "-c", program


CONNECT = """
import socket
try:
    socket.create_connection(("{address}", 8080), 1)
    print("open")
except TimeoutError:
    print("shut")
"""
LISTENS = {"readinessProbe": {"httpGet": {"port": 8080}, "periodSeconds": 1}}
NAMED = {**LISTENS, "ports": [{"name": "http", "containerPort": 8080}]}


def service(namespace: str, name: str, **spec: Any) -> dict[str, Any]:
    ports = [{"port": 80, "targetPort": 8080}]
    meta = {"name": name, "namespace": namespace}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": meta,
        "spec": {"selector": {"app": name}, "ports": ports, **spec},
    }


def allow(namespace: str, name: str, **spec: Any) -> dict[str, Any]:
    meta = {"name": name, "namespace": namespace}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": meta,
        "spec": {"podSelector": {}, **spec},
    }


def test_a_restricted_pod_is_reached_by_its_services_name_and_through_a_node_port(
    api: Api, namespace: str, make_pod: Make, images: dict[str, str], kubectl: Callable[..., str]
) -> None:
    api.merge(
        f"/api/v1/namespaces/{namespace}",
        {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}},
    )
    make_pod("web", images["base"], *web(), **LISTENS)
    api.apply(service(namespace, "web", type="NodePort"))
    port = api.get(f"/api/v1/namespaces/{namespace}/services/web")["spec"]["ports"][0]["nodePort"]
    wait_until("the node port", lambda: answers(f"http://{NODE_ADDRESS}:{port}/") == "hello", seconds=20)
    fetch = (
        f"import urllib.request as r; print(r.urlopen('http://web.{namespace}.svc.cluster.local/', timeout=5).read())"
    )
    assert kubectl("-n", namespace, "exec", "web", "--", "python3", "-c", fetch) == "b'hello'\n"


def test_a_volume_outlives_its_pod_and_goes_with_its_claim(
    api: Api, namespace: str, make_pod: Make, images: dict[str, str], kubectl: Callable[..., str]
) -> None:
    api.apply(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data", "namespace": namespace},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
        }
    )
    make_pod("writer", images["base"], "sh", "-c", "echo kept > /data/file; exec sleep 1000", claim="data")
    volume = api.get(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/data")["spec"]["volumeName"]
    wait_until(
        "the file", lambda: "file" in kubectl("-n", namespace, "exec", "writer", "--", "ls", "/data"), seconds=10
    )
    kubectl("-n", namespace, "delete", "pod", "writer", "--now")
    make_pod("reader", images["base"], "sleep", "1000", claim="data")
    assert kubectl("-n", namespace, "exec", "reader", "--", "cat", "/data/file") == "kept\n"
    kubectl("-n", namespace, "delete", "pod", "reader", "--now")
    kubectl("-n", namespace, "delete", "pvc", "data")
    wait_until("the end of the volume", lambda: api.get(f"/api/v1/persistentvolumes/{volume}") is None, seconds=240)


def test_network_policies_shut_what_they_do_not_name_and_open_what_they_do(
    api: Api, namespace: str, make_pod: Make, images: dict[str, str], kubectl: Callable[..., str]
) -> None:
    server = make_pod("server", images["base"], *web(), **NAMED)
    for name in ("friend", "stranger"):
        make_pod(name, images["base"], "sleep", "1000")

    def reaches(client: str) -> bool:
        call = CONNECT.format(address=server)
        return kubectl("-n", namespace, "exec", client, "--", "python3", "-c", call) == "open\n"

    def settles(**expected: bool) -> None:
        wait_until(f"{expected}", lambda: all(reaches(name) is want for name, want in expected.items()), seconds=20)

    settles(friend=True, stranger=True)
    api.apply(allow(namespace, "nothing", policyTypes=["Ingress", "Egress"]))
    settles(friend=False, stranger=False)
    friend = {"podSelector": {"matchLabels": {"app": "friend"}}}
    api.apply(
        allow(namespace, "in", ingress=[{"from": [friend], "ports": [{"port": "http"}]}], policyTypes=["Ingress"])
    )
    settles(friend=False, stranger=False)
    out = {"to": [{"ipBlock": {"cidr": "10.77.0.0/24", "except": [f"{server}/32"]}}]}
    api.apply(allow(namespace, "out", egress=[out], policyTypes=["Egress"]))
    settles(friend=False, stranger=False)
    api.apply(allow(namespace, "out", egress=[{"to": [{"ipBlock": {"cidr": f"{server}/32"}}]}], policyTypes=["Egress"]))
    settles(friend=True, stranger=False)
    pods = f"/api/v1/namespaces/{namespace}/pods"
    assert all(entry["status"]["containerStatuses"][0]["ready"] for entry in api.items(pods)), "probes must pass"
    kubectl("-n", namespace, "delete", "networkpolicy", "--all")
    settles(friend=True, stranger=True)


@pytest.mark.parametrize(
    ("ingress", "zone", "address"),
    [("nginx", "slipway.test", NODE_ADDRESS), ("traefik", "slipway.internal", TRAEFIK_ADDRESS)],
)
def test_a_host_gets_a_certificate_by_acme_and_is_served_over_tls(
    api: Api,
    kubeconfig: Path,
    namespace: str,
    make_pod: Make,
    images: dict[str, str],
    ingress: str,
    zone: str,
    address: str,
) -> None:
    host = f"{namespace}.{zone}"
    authority = kubeconfig.with_name("certificates") / "ca.crt"
    make_pod("web", images["base"], *web("over tls"), **LISTENS)
    api.apply(service(namespace, "web"))
    solver = {"http01": {"ingress": {"class": ingress}}}
    kind = {"apiVersion": "cert-manager.io/v1", "metadata": {"name": "acme", "namespace": namespace}}
    account = {
        "server": acme.DIRECTORY,
        "email": "somebody@slipway.test",
        "caBundle": encoded(authority.read_bytes()),
        "privateKeySecretRef": {"name": "account"},
        "solvers": [solver],
    }
    api.apply({**kind, "kind": "Issuer", "spec": {"acme": account}})
    certificate = {"secretName": "tls", "dnsNames": [host], "issuerRef": {"name": "acme"}}
    api.apply({**kind, "kind": "Certificate", "spec": certificate})
    # The platform's profile for traefik says the same; the other class does not read it.
    tls = {"traefik.ingress.kubernetes.io/router.tls": "true"}
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    rule = {"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
    api.apply(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": {"name": "web", "namespace": namespace, "annotations": tls},
            "spec": {"ingressClassName": ingress, "tls": [{"hosts": [host], "secretName": "tls"}], "rules": [rule]},
        }
    )
    path = f"/apis/cert-manager.io/v1/namespaces/{namespace}/certificates/acme"

    def issued() -> bool:
        conditions = api.get(path).get("status", {}).get("conditions", [])
        return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)

    wait_until("the certificate", issued, seconds=240, why=lambda: str(api.get(path).get("status")))
    root = httpx.get(acme.ROOT, verify=ssl.create_default_context(cafile=str(authority)), trust_env=False).text
    assert "Pebble Root" in x509.load_pem_x509_certificate(root.encode()).subject.rfc4514_string()
    trusted = ssl.create_default_context(cadata=root)

    def served() -> bool:
        with httpx.Client(verify=trusted, trust_env=False) as client:
            try:
                request = {"headers": {"Host": host}, "extensions": {"sni_hostname": host}}
                return client.get(f"https://{address}/", **request).text == "over tls"
            except httpx.ConnectError:
                return False

    wait_until("the host over TLS", served, seconds=20)


def test_mongodbs_stand_in_lets_each_user_do_what_he_is_for(make_pod: Make, images: dict[str, str]) -> None:
    environment = {
        "MONGO_INITDB_ROOT_USERNAME": "root",
        "MONGO_INITDB_ROOT_PASSWORD": "root-secret",
        "APP_DATABASE": "slipway",
        "APP_USERNAME": "app",
        "APP_PASSWORD": "app-secret",
        "BACKUP_USERNAME": "backup",
        "BACKUP_PASSWORD": "backup-secret",
    }
    address = make_pod(
        "mongo",
        images["mongo"],
        "docker-entrypoint.sh",
        "mongod",
        data="/data/db",
        env=[{"name": key, "value": value} for key, value in environment.items()],
        readinessProbe={"tcpSocket": {"port": 27017}, "periodSeconds": 1},
    )

    def client(login: str, source: str) -> "pymongo.MongoClient[dict[str, Any]]":
        return pymongo.MongoClient(f"mongodb://{login}@{address}/?authSource={source}", serverSelectionTimeoutMS=5000)

    with client("app:app-secret", "slipway") as app:
        tools = app.slipway.tools
        tools.create_index("name", unique=True)
        tools.insert_one({"name": "roll", "tags": ["dice"]})
        with pytest.raises(pymongo.errors.DuplicateKeyError):
            tools.insert_one({"name": "roll"})
        assert [found["tags"] for found in tools.find({"name": "roll"})] == [["dice"]]
        with pytest.raises(pymongo.errors.OperationFailure, match="not authorized on other"):
            app.other.tools.find_one()
    with client("backup:backup-secret", "admin") as backup:
        assert backup.slipway.tools.count_documents({}) == 1
        with pytest.raises(pymongo.errors.OperationFailure, match="not authorized"):
            backup.slipway.tools.delete_many({})
    with (
        client("app:wrong", "slipway") as wrong,
        pytest.raises(pymongo.errors.OperationFailure, match="Authentication"),
    ):
        wrong.slipway.tools.find_one()
    with (
        pymongo.MongoClient(address, serverSelectionTimeoutMS=5000) as nobody,
        pytest.raises(pymongo.errors.OperationFailure, match="requires authentication"),
    ):
        nobody.slipway.tools.find_one()


def test_images_are_found_by_the_names_of_other_registries(
    make_pod: Make, images: dict[str, str], namespace: str, kubectl: Callable[..., str]
) -> None:
    assert "/library/redis" in images["redis"], "its name on docker.io"
    by_short_name = images["redis"].partition("/library/")[2]
    make_pod("redis", by_short_name, "redis-server", "--dir", "/data")
    make_pod("elsewhere", images["app"].replace(REGISTRY, "registry.slipway.internal"), "sleep", "1000")
    assert kubectl("-n", namespace, "exec", "redis", "--", "redis-cli", "ping") == "PONG\n"


def test_the_bridges_image_has_what_runs_servers_from_npm_and_pypi(
    make_pod: Make, images: dict[str, str], namespace: str, kubectl: Callable[..., str]
) -> None:
    make_pod("bridge", images["bridge"], "sleep", "1000", env=[{"name": "HOME", "value": "/tmp"}])
    for command in ("node", "npm", "npx", "uv", "uvx", "python3"):
        assert kubectl("-n", namespace, "exec", "bridge", "--", command, "--version").strip()


def test_what_pods_use_is_measured(api: Api, namespace: str, make_pod: Make, images: dict[str, str]) -> None:
    make_pod("busy", images["base"], "sh", "-c", "while :; do :; done", resources={"limits": {"cpu": "200m"}})
    path = f"/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods/busy"

    def measured() -> bool:
        seen = api.get(path)
        return bool(seen and seen["containers"] and seen["containers"][0]["usage"]["cpu"] != "0")

    wait_until("the pod's metrics", measured, seconds=240)


def answers(url: str) -> str:
    try:
        return httpx.get(url, timeout=2, trust_env=False).text
    except httpx.HTTPError:
        return ""


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()
