"""Packages of private registries, resolved by a gateway in a pod and installed in the pods of their servers."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from engine.lifecycle import wait_for
from harness.api import Api
from usage.clients import patiently
from usage.gateways import UP_SECONDS, Space, of_the_component, small

from app.client import Client

pytestmark = pytest.mark.cluster

REGISTRY = Path(__file__).parents[1] / "app" / "packages" / "support" / "package_registry.py"
NPM_TOKEN, PYPI_TOKEN = "npm-t0ken-of-this-test", "pypi-t0ken-of-this-test"
NPM_PORT, PYPI_PORT = 4873, 4874
IN_JAVASCRIPT = """
const grown = require("@acme/leaf");
const about = {protocolVersion: "2025-06-18", capabilities: {tools: {}}, serverInfo: {name: "letters", version: "1"}};
const answers = {
  initialize: () => about,
  "tools/list": () => ({tools: [{name: "look", inputSchema: {type: "object"}}]}),
  "tools/call": () => ({content: [{type: "text", text: JSON.stringify({grown, environment: process.env})}]}),
};
require("readline").createInterface({input: process.stdin}).on("line", line => {
  const {id, method} = JSON.parse(line);
  if (id !== undefined) console.log(JSON.stringify({jsonrpc: "2.0", id, result: (answers[method] ?? (() => ({})))()}));
});
"""
IN_PYTHON = """
import json, os, sys
about = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "n", "version": "1"}}
for line in sys.stdin:
    message = json.loads(line)
    told = {"grown": "in Python", "environment": dict(os.environ)}
    result = {
        "initialize": about,
        "tools/list": {"tools": [{"name": "look", "inputSchema": {"type": "object"}}]},
        "tools/call": {"content": [{"type": "text", "text": json.dumps(told)}]},
    }.get(message["method"], {})
    if "id" in message:
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
"""
# Serves both, each to those who know its token.
SERVE = f"""
import base64, sys, threading
from pathlib import Path
from package_registry import Registry, server_of, tarball, wheel

here, name = Path(__file__).parent, sys.argv[1]
npm, pypi = Registry(), Registry()
npm.url, npm.token = f"http://{{name}}:{NPM_PORT}/", "Bearer {NPM_TOKEN}"
pypi.url = f"http://{{name}}:{PYPI_PORT}/"
pypi.token = "Basic " + base64.b64encode(b"ci:{PYPI_TOKEN}").decode()
leaf = tarball("@acme/leaf", "1.0.0", 'module.exports = "in JavaScript"', main="run.js")
npm.add_npm("@acme/leaf", "1.0.0", body=leaf)
needs = {{"@acme/leaf": "^1"}}
letters = tarball("@acme/letters", "1.2.3", (here / "letters.js").read_text(), dependencies=needs)
npm.add_npm("@acme/letters", "1.2.3", body=letters, dependencies=needs)
lines = (here / "numbers.txt").read_text().strip().split("\\n")
_, numbers = wheel("acme-numbers", "4.5.6", "\\n    ".join(lines))
pypi.add_pypi("acme-numbers", "4.5.6", body=numbers)
servers = [server_of(npm, "0.0.0.0", {NPM_PORT}), server_of(pypi, "0.0.0.0", {PYPI_PORT})]
for server in servers[1:]:
    threading.Thread(target=server.serve_forever).start()
servers[0].serve_forever()
"""
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def registry(namespace: str, image: str) -> list[dict[str, Any]]:
    """A pod with the two registries, its Service, and what it serves."""
    meta = {"name": "registry", "namespace": namespace, "labels": {"app": "registry"}}
    files = {
        "package_registry.py": REGISTRY.read_text("utf-8"),
        "serve.py": SERVE,
        "letters.js": IN_JAVASCRIPT,
        "numbers.txt": IN_PYTHON,
    }
    container = {
        "name": "registry",
        "image": image,
        "command": ["python3", "/srv/registry/serve.py", f"registry.{namespace}.svc.cluster.local"],
        "env": [{"name": "PYTHONDONTWRITEBYTECODE", "value": "1"}],
        "securityContext": RESTRICTED,
        "readinessProbe": {"tcpSocket": {"port": NPM_PORT}, "periodSeconds": 1},
        "volumeMounts": [{"name": "files", "mountPath": "/srv/registry"}],
    }
    volumes = [{"name": "files", "configMap": {"name": "registry"}}]
    ports = [{"name": f"port-{port}", "port": port} for port in (NPM_PORT, PYPI_PORT)]
    served = {"selector": {"app": "registry"}, "ports": ports}
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": files},
        {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": [container], "volumes": volumes}},
        {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": served},
    ]


def gateway(namespace: str, image: str) -> list[dict[str, Any]]:
    from infra.components.gateway import ExternalServer, GatewayArgs, PackageRegistries, PackageRegistry

    host = f"registry.{namespace}.svc.cluster.local"
    args = GatewayArgs(
        namespace=namespace,
        image=image,
        archon_image=image,
        servers={
            "letters": ExternalServer(type="npx", package="@acme/letters"),
            "numbers": ExternalServer(type="uv", package="acme-numbers"),
        },
        registries=PackageRegistries(
            npm=(PackageRegistry(url=f"http://{host}:{NPM_PORT}/", scopes=("@acme",), token=NPM_TOKEN),),
            pypi=(PackageRegistry(url=f"http://{host}:{PYPI_PORT}/simple", username="ci", token=PYPI_TOKEN),),
        ),
        resources=small(),
        server_resources=small(),
    )
    return of_the_component(args)


@pytest.fixture
def space(api: Api, namespace: str, images: dict[str, str]) -> Space:
    found = Space.restricted(api, namespace, registry(namespace, images["servers"]))
    wait_for(lambda: found.ready("app=registry"), "the registries", seconds=UP_SECONDS)
    found.take(gateway(namespace, images["servers"]))
    return found


async def look(base: str, server: str) -> dict[str, Any]:
    """What a server tells of itself."""
    async with Client(f"{base}/mcp", timeout=30) as client:
        return json.loads((await client.call_tool(f"{server}_look", {}))["content"][0]["text"])


async def test_packages_are_installed_in_pods_by_tokens_that_their_programs_never_see(space, kubectl, namespace):
    base = await asyncio.to_thread(space.address)
    letters = await patiently(lambda: look(base, "letters"), seconds=UP_SECONDS)
    numbers = await patiently(lambda: look(base, "numbers"), seconds=UP_SECONDS)
    # The one of npm needs a dependency from the same registry.
    assert (letters["grown"], numbers["grown"]) == ("in JavaScript", "in Python")
    for told in (letters, numbers):
        assert not [name for name, value in told["environment"].items() if "t0ken" in value]

    async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
        shown = (await client.get(f"{base}/servers")).text
    phases = {server["id"]: server["phase"] for server in json.loads(shown)}
    assert phases == {"letters": "ready", "numbers": "ready"}
    logs = [
        await asyncio.to_thread(kubectl, "-n", namespace, "logs", "-l", label, "--tail=-1")
        for label in ("app.kubernetes.io/component=gateway", "slipway.dev/gateway=gateway")
    ]
    assert "t0ken" not in shown + "".join(logs)
