"""The operator as users run it, on the API server: with the account and the roles that the platform makes for it."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from engine.api_server import ApiServer
from engine.definitions import define
from engine.plugins.kube.client import Cluster
from harness.api import Api
from usage.recording import harness, recorded

REPOSITORY = Path(__file__).parents[4]
SLIPWAY = Path(sys.executable).with_name("slipway")
HOME = "operator-home"


def eventually(holds: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    """What `holds` returns once that is true; fails saying what was waited for, and what was there instead."""
    end = time.monotonic() + seconds
    last: Any = None
    while time.monotonic() < end:
        try:
            last = holds()
        except (httpx.HTTPError, RuntimeError) as error:
            last = error
        else:
            if last:
                return last
        time.sleep(0.05)
    raise AssertionError(f"within {seconds} s: {what}; last seen: {last!r}")


@dataclass
class Process:
    """One running `slipway operator`."""

    process: subprocess.Popen[bytes]
    log: Path
    url: str = ""

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels that match, e.g. `slipway_operator_api_calls_total{.*status="403"`."""
        lines = httpx.get(f"{self.url}/metrics", timeout=5, trust_env=False).text.splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if re.match(name, line))

    def role(self) -> str:
        return httpx.get(f"{self.url}/ready", timeout=5, trust_env=False).json()["role"]

    def end(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(30)


@dataclass
class Operators:
    """Starts operators against one API server and ends them."""

    kubeconfig: Path
    folder: Path
    running: list[Process] = field(default_factory=list)

    def start(self, **environment: str) -> Process:
        log = self.folder / f"operator-{len(self.running)}.log"
        command = [str(SLIPWAY), "operator", "--kubeconfig", str(self.kubeconfig), "--port", "0", "--namespace", HOME]
        keep = {name: value for name, value in os.environ.items() if not name.startswith(("MCP_", "KUBE"))}
        given = {"ARCHON_MCP_IMAGE": "slipway@sha256:1", "POD_NAME": f"operator-{len(self.running)}", **environment}
        with log.open("wb") as sink:
            child = subprocess.Popen(command, env={**keep, **given}, stdout=sink, stderr=sink)
        made = Process(child, log)
        self.running.append(made)
        made.url = eventually(lambda: self._address(made), f"{log} tells the address", seconds=120)
        return made

    def lead(self, **environment: str) -> Process:
        """An operator that has the lease."""
        made = self.start(**environment)
        eventually(lambda: made.role() == "leader", "it leads")
        return made

    def end(self) -> None:
        for each in self.running:
            each.process.send_signal(signal.SIGCONT)
            each.end()

    @staticmethod
    def _address(made: Process) -> str | None:
        assert made.process.poll() is None, made.log.read_text()
        found = re.search(r'"address":"(http://[^"]+)"', made.log.read_text())
        return found[1] if found else None


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """An API server of these tests' own, which they freeze."""
    with ApiServer(tmp_path_factory.mktemp("operator-api-server")) as found:
        yield found


def prepare(server: ApiServer) -> Api:
    """A client that may do anything, of a server that knows agents and what the Prometheus operator brings."""
    from infra.components.mesh import AgentDefinition

    client = Api(server.kubeconfig)
    know_monitors(server)
    for manifest in recorded(harness().run_program(lambda: AgentDefinition("mcpagents")), "CustomResourceDefinition"):
        client.apply(manifest)
    eventually(lambda: client.items("/apis/mesh.mcp.io/v1/mcpagents") is not None, "the definition is served")
    return client


def know_monitors(server: ApiServer) -> None:
    """Define what comes with other software, the Prometheus operator's kinds among them."""
    cluster = Cluster(str(server.kubeconfig))
    define(cluster)
    cluster.close()


def grant(server: ApiServer, admin: Api, folder: Path) -> Path:
    """A kubeconfig of the operator's account, with exactly the roles that the platform gives it."""
    from infra.components.mesh import Operator, OperatorArgs

    made = harness().run_program(
        lambda: Operator("operator", OperatorArgs(namespace=HOME, image="slipway", registry_url="http://registry"))
    )
    admin.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": HOME}})
    kinds = ("ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
    for manifest in recorded(made, *kinds):
        admin.apply(manifest)
    path = f"/api/v1/namespaces/{HOME}/serviceaccounts/operator/token"
    answer = admin._http.post(path, json={"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}})
    config = yaml.safe_load(server.kubeconfig.read_text())
    for user in config["users"]:
        user["user"] = {"token": answer.json()["status"]["token"]}
    file = folder / "account.kubeconfig"
    file.write_text(yaml.safe_dump(config))
    return file


def restart(server: ApiServer) -> None:
    """Kill the API server, and start it again as it was."""
    [child] = [child for name, child in server._children if name == "kube-apiserver"]
    child.kill()
    child.wait(10)
    server._children.remove(("kube-apiserver", child))
    server._spawn("kube-apiserver", child.args)
    client = Api(server.kubeconfig)
    eventually(client.ready, "the API server is back", seconds=120)
    client.close()


@pytest.fixture(scope="session")
def admin(server: ApiServer) -> Iterator[Api]:
    client = prepare(server)
    yield client
    client.close()


@pytest.fixture(scope="session")
def account(server: ApiServer, admin: Api, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return grant(server, admin, tmp_path_factory.mktemp("account"))


@pytest.fixture
def operators(account: Path, tmp_path: Path) -> Iterator[Operators]:
    made = Operators(account, tmp_path)
    yield made
    made.end()


@dataclass
class Space:
    """A namespace of a test's own, and the agents in it."""

    api: Api
    name: str

    def path(self, kind: str, name: str = "", group: str = "") -> str:
        root = f"/apis/{group}" if group else "/api/v1"
        return f"{root}/namespaces/{self.name}/{kind}" + (f"/{name}" if name else "")

    def agent_path(self, name: str) -> str:
        return self.path("mcpagents", name, "mesh.mcp.io/v1")

    def agent(self, name: str, **spec: Any) -> dict[str, Any]:
        """Make an agent, or change one."""
        given = {"capabilities": [{"name": "greeting"}], **spec}
        metadata = {"name": name, "namespace": self.name}
        return self.api.apply({"apiVersion": "mesh.mcp.io/v1", "kind": "MCPAgent", "metadata": metadata, "spec": given})

    def status(self, name: str) -> dict[str, Any]:
        return (self.api.get(self.agent_path(name)) or {}).get("status") or {}

    def condition(self, name: str, kind: str) -> dict[str, Any]:
        return next((each for each in self.status(name).get("conditions", ()) if each["type"] == kind), {})

    def events(self) -> list[tuple[str, str]]:
        """The kind and the reason of each thing that was told about agents."""
        found = self.api.items(self.path("events"))
        return [(each["type"], each["reason"]) for each in found if each["involvedObject"]["kind"] == "MCPAgent"]

    def deployment(self, name: str) -> dict[str, Any] | None:
        return self.api.get(self.path("deployments", name, "apps/v1"))

    def autoscaler(self, name: str) -> dict[str, Any] | None:
        return self.api.get(self.path("horizontalpodautoscalers", name, "autoscaling/v2"))

    def made(self, name: str) -> bool:
        """Whether an agent's objects are there, and its status says that they are of its generation."""
        found = self.api.get(self.agent_path(name))
        return bool(found) and found.get("status", {}).get("observedGeneration") == found["metadata"]["generation"]


PARTS = (
    ("serviceaccounts", ""),
    ("services", ""),
    ("configmaps", ""),
    ("deployments", "apps/v1"),
    ("poddisruptionbudgets", "policy/v1"),
    ("networkpolicies", "networking.k8s.io/v1"),
)


def owned(space: Space, kind: str, group: str = "") -> list[dict[str, Any]]:
    """The objects of a kind that an agent owns."""
    found = space.api.items(space.path(kind, group=group))
    return [each for each in found if each["metadata"].get("ownerReferences")]


@pytest.fixture
def space(admin: Api) -> Iterator[Space]:
    name = f"test-{uuid.uuid4().hex[:8]}"
    admin.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    # Its pods are made as the default account of its namespace exists, or not at all.
    eventually(lambda: admin.get(f"/api/v1/namespaces/{name}/serviceaccounts/default"), "the namespace is ready")
    yield Space(admin, name)
    agents = f"/apis/mesh.mcp.io/v1/namespaces/{name}/mcpagents"
    # What is to go gets no finalizer anew from an operator that still runs; one that stays would keep the definition.
    admin.delete(agents)

    def gone() -> bool:
        left = admin.items(agents)
        for agent in left:
            with suppress(RuntimeError):  # it went meanwhile
                admin.merge(f"{agents}/{agent['metadata']['name']}", _FREE)
        return not left

    eventually(gone, "the agents of the test are gone")
    admin.delete(f"/api/v1/namespaces/{name}")


_FREE = {"metadata": {"finalizers": None}}


@dataclass
class Registry:
    """One running `slipway registry`."""

    url: str
    process: subprocess.Popen[bytes]

    def register(self, name: str, namespace: str, replica: str = "one") -> dict[str, Any]:
        told = {
            "name": name,
            "replica": replica,
            "endpoint": "http://127.0.0.1:9",
            "capabilities": [{"name": "greeting", "version": "1.0.0", "timeout": 30}],
            "metadata": {"namespace": namespace},
            "healthInterval": 30,
        }
        answer = httpx.post(f"{self.url}/agents", json=told, headers=self.headers, timeout=5, trust_env=False)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    def agents(self, name: str) -> list[dict[str, Any]]:
        answer = httpx.get(
            f"{self.url}/agents", params={"name": name}, headers=self.headers, timeout=5, trust_env=False
        )
        return answer.json()["agents"]

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {TOKEN}"}


TOKEN = "a-token-of-the-operator-s-own"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    """A real registry, which asks for a token."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    keep = {name: value for name, value in os.environ.items() if not name.startswith("MCP_")}
    given = {
        "MCP_AUTH_TOKENS": f"{TOKEN}:operator:mesh:register",
        "MCP_MESH_ALLOWED_ENDPOINTS": "127.0.0.0/8",
        "MCP_HOST": "127.0.0.1",
    }
    log = (tmp_path / "registry.log").open("wb")
    child = subprocess.Popen(
        [str(SLIPWAY), "registry", "--port", str(port)], env={**keep, **given}, stdout=log, stderr=log
    )
    url = f"http://127.0.0.1:{port}"
    try:
        eventually(
            lambda: httpx.get(f"{url}/livez", timeout=2, trust_env=False).status_code == 200,
            f"the registry answers: {tmp_path / 'registry.log'}",
        )
        yield Registry(url, child)
    finally:
        child.kill()
        child.wait(10)
        log.close()
