"""Calls through a real Gateway, without a node: traefik reads the routes of an API server, and two agents answer.

Runs alone in a network of its own (`unshare --net`), because endpoints of Services cannot be loopback addresses and no
address of this machine shall serve anybody. Prints, as JSON, who answered the calls of each route.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))

from engine.api_server import ApiServer
from engine.plugins.kube.client import ApiError, Cluster, UnknownKind
from harness.build import Tool
from harness.places import REPOSITORY

ADDRESS = "10.79.0.1"
SPACE = "default"
ROUTING = REPOSITORY / "examples/routing"
AGENTS = {"hello-world": 8601, "hello-world-next": 8602}
HOST = "hello.example.com"
CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "greeting", "arguments": {"name": "Ada"}}}
CALLS = 200
SWAPPED = [
    {"op": "replace", "path": "/spec/rules/1/backendRefs/0/weight", "value": 0},
    {"op": "replace", "path": "/spec/rules/1/backendRefs/1/weight", "value": 1},
]


def main() -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["ip", "address", "add", f"{ADDRESS}/32", "dev", "lo"], check=True)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(ApiServer(folder / "api"))
        cluster = Cluster(str(server.kubeconfig))
        stack.callback(cluster.close)
        objects(cluster)
        for name, port in AGENTS.items():
            given = {"MCP_AGENT_NAME": name, "MCP_ALLOWED_HOSTS": HOST}
            # A host name of its own, as a pod has: by it the agent says who answers.
            alone = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', f"{name}-0"]
            slipway = Path(sys.executable).with_name("slipway")
            command = [*alone, slipway, "agent", "--host", ADDRESS, "--port", str(port)]
            stack.enter_context(running(command, folder / f"{name}.log", given))
        arguments = [
            "--entryPoints.web.address=127.0.0.1:8000",
            "--providers.kubernetesGateway=true",
            "--providers.providersThrottleDuration=200ms",
            "--global.checkNewVersion=false",
            "--global.sendAnonymousUsage=false",
        ]
        traefik = [Tool("traefik").binary("traefik"), *arguments]
        stack.enter_context(running(traefik, folder / "traefik.log", {"KUBECONFIG": str(server.kubeconfig)}))
        for port in AGENTS.values():
            until(lambda port=port: httpx.get(f"http://{ADDRESS}:{port}/livez", trust_env=False).is_success, folder)
        sys.stdout.write(json.dumps(found(cluster, folder)))


def objects(cluster: Cluster) -> None:
    """The definitions, a class, and the agents' Services with where their pods would be."""
    for file in sorted((Tool("gateway-api").folder / "bin").glob("*.yaml")):
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        cluster.request("POST", path, json=yaml.safe_load(file.read_text("utf-8")))
    kind = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass", "metadata": {"name": "example"}}
    apply(cluster, {**kind, "spec": {"controllerName": "traefik.io/gateway-controller"}})
    for name, port in AGENTS.items():
        ports = [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}]
        apply(cluster, {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"ports": ports}})
        pods = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": f"{name}-pods", "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [ADDRESS], "conditions": {"ready": True}}],
            "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
        }
        apply(cluster, pods)
    lay(cluster, "gateway.yaml")


def apply(cluster: Cluster, thing: dict[str, Any]) -> None:
    """A kind is served a moment after its definition is there."""
    placed = {**thing, "metadata": {"namespace": SPACE, **thing["metadata"]}}
    if thing["kind"] == "GatewayClass":
        placed["metadata"].pop("namespace")

    def done() -> bool:
        try:
            cluster.apply(placed, "slipway-tests", force=True)
        except (UnknownKind, ApiError):
            return False
        return True

    until(done, None)


def lay(cluster: Cluster, file: str) -> None:
    thing = yaml.safe_load((ROUTING / file).read_text(encoding="utf-8"))
    if thing["kind"] == "Gateway":
        # Traefik knows a listener by the port of one of its own.
        thing["spec"]["listeners"][0]["port"] = 8000
    apply(cluster, thing)


def running(command: list[Any], log: Path, environment: dict[str, str]) -> ExitStack:
    """A program, until the stack is left."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MCP_", "KUBE"))}
    with log.open("wb") as sink:
        child = subprocess.Popen(command, env={**kept, **environment}, stdout=sink, stderr=sink)
    stack = ExitStack()
    stack.callback(child.wait, 10)
    stack.callback(child.kill)
    return stack


def until(holds: Callable[[], object], folder: Path | None, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            if holds():
                return
        except (httpx.TransportError, KeyError):
            pass
        if time.monotonic() > end:
            logs = () if folder is None else sorted(folder.glob("*.log"))
            raise SystemExit("\n".join(["nothing came of it", *(log.read_text("utf-8")[-1500:] for log in logs)]))
        time.sleep(0.1)


def answered(calls: int, **headers: str) -> Counter[str]:
    """Whose pods answer that many calls."""
    count: Counter[str] = Counter()
    with httpx.Client(base_url="http://127.0.0.1:8000", headers={"host": HOST, **headers}, trust_env=False) as client:
        for _ in range(calls):
            answer = client.post("/messages", json=CALL, timeout=20)
            if answer.status_code != 200:
                count[f"status {answer.status_code}"] += 1
                continue
            text = answer.json()["result"]["content"][0]["text"]
            count["next" if "hello-world-next-0" in text else "now"] += 1
    return count


def found(cluster: Cluster, folder: Path) -> dict[str, Counter[str]]:
    preview = {"x-slipway-preview": "yes"}
    lay(cluster, "canary.yaml")
    until(lambda: set(answered(20)) == {"now", "next"}, folder)
    told = {"canary": answered(CALLS)}
    lay(cluster, "blue-green.yaml")
    until(lambda: answered(20) == {"now": 20} and answered(5, **preview) == {"next": 5}, folder)
    told |= {"blue": answered(CALLS), "preview": answered(20, **preview)}
    live = cluster.get("gateway.networking.k8s.io/v1", "HTTPRoute", SPACE, "hello-world")
    cluster.patch(live or {}, SWAPPED)
    until(lambda: answered(20) == {"next": 20}, folder)
    return {**told, "green": answered(CALLS)}


if __name__ == "__main__":
    main()
