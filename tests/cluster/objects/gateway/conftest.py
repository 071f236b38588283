"""Pods of external servers on the API server, where no kubelet runs them: the tests write what one would."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from engine.api_server import ApiServer
from harness.api import Api as Admin
from usage.gateways import of_the_component

from app.gateway.launcher import Launched
from app.gateway.pods.api import Api
from app.gateway.pods.launcher import PodLauncher
from app.gateway.pods.options import PodOptions
from app.gateway.spec import LaunchSpec
from app.kubernetes.access import of_kubeconfig

REPOSITORY = Path(__file__).parents[4]
GATEWAY = "gateway"


def gateway_objects(namespace: str) -> list[dict[str, Any]]:
    """What the platform makes for a gateway, as the API server takes it."""
    from infra.components.gateway import GatewayArgs

    args = GatewayArgs(namespace=namespace, image="slipway@sha256:1")
    return of_the_component(args, "ServiceAccount", "Role", "RoleBinding", "Deployment")


async def eventually(holds: Callable[[], Any], what: str, seconds: float = 30) -> Any:
    """What `holds` returns (or its awaitable) once that is true."""
    last: Any = None
    try:
        async with asyncio.timeout(seconds):
            while True:
                last = holds()
                if isinstance(last, Awaitable):
                    last = await last
                if last:
                    return last
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"within {seconds} s: {what}; last seen: {last!r}") from None


@pytest.fixture(scope="session")
def admin(api_server: ApiServer) -> Iterator[Admin]:
    client = Admin(api_server.kubeconfig)
    yield client
    client.close()


@dataclass
class Space:
    """A namespace that admits restricted pods only, with a gateway's account in it."""

    admin: Admin
    name: str
    kubeconfig: Path
    launchers: list[PodLauncher] = field(default_factory=list)

    async def launcher(self, **options: Any) -> PodLauncher:
        """As a gateway makes it, with exactly the roles that the platform gives it."""
        chosen = replace(PodOptions(namespace=self.name, gateway=GATEWAY, owner=GATEWAY), **options)
        made = PodLauncher(Api(lambda: of_kubeconfig(self.kubeconfig)), chosen)
        self.launchers.append(made)
        return made

    def spec(self, name: str = "time", **more: Any) -> LaunchSpec:
        given = {"id": name, "type": "uv", "transport": "stdio", "command": ("uvx", "mcp-server-time"), **more}
        return LaunchSpec(**given)

    def path(self, name: str = "", kind: str = "pods") -> str:
        return f"/api/v1/namespaces/{self.name}/{kind}" + (f"/{name}" if name else "")

    def pods(self) -> list[dict[str, Any]]:
        return self.admin.items(self.path())

    def pod(self) -> dict[str, Any]:
        (found,) = self.pods()
        return found

    async def made_since(self, version: str) -> dict[str, Any]:
        """The first pod made after a version, also where it is gone again before anybody could list it."""
        changes = self.admin.follow(self.path(), version, seconds=60)
        made = (change["object"] for change in changes if change["type"] == "ADDED")
        found = await asyncio.to_thread(next, made, None)
        assert found, "within 60 s no pod was made"
        return found

    def write_status(self, pod: dict[str, Any], **status: Any) -> None:
        """As the kubelet does."""
        self.admin.merge(self.path(pod["metadata"]["name"]) + "/status", {"status": status})

    def write_container(
        self,
        pod: dict[str, Any],
        *,
        restarts: int = 0,
        last: Any = None,
        address: str = "10.1.2.3",
        **state: Any,
    ) -> None:
        container = {
            "name": "server",
            "image": "x",
            "imageID": "x",
            "ready": "running" in state,
            "started": "running" in state,
            "restartCount": restarts,
            "state": state,
        }
        if last:
            container["lastState"] = {"terminated": last}
        running = {"podIP": address, "podIPs": [{"ip": address}], "hostIP": "10.0.0.1"} if state else {}
        self.write_status(
            pod, phase="Running" if "running" in state else "Pending", containerStatuses=[container], **running
        )

    def warn(self, pod: dict[str, Any], reason: str, message: str) -> None:
        """As the kubelet tells what its statuses have no place for."""
        about = {"kind": "Pod", "namespace": self.name, "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}
        self.admin.apply(
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"name": f"trouble-{uuid.uuid4().hex[:8]}", "namespace": self.name},
                "involvedObject": about,
                "type": "Warning",
                "reason": reason,
                "message": message,
            }
        )

    async def quota_counts(self) -> None:
        path = f"/api/v1/namespaces/{self.name}/resourcequotas/few"
        await eventually(lambda: (self.admin.get(path).get("status") or {}).get("used"), "the quota is counted")

    def run(self, pod: dict[str, Any], address: str = "10.1.2.3") -> None:
        self.write_container(pod, running={"startedAt": "2026-01-01T00:00:00Z"}, address=address)


@pytest.fixture
async def space(admin: Admin, api_server: ApiServer, tmp_path: Path) -> AsyncIterator[Space]:
    name = f"test-{uuid.uuid4().hex[:8]}"
    labels = {
        "pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/enforce-version": "latest",
    }
    admin.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    await eventually(lambda: admin.get(f"/api/v1/namespaces/{name}/serviceaccounts/default"), "the namespace is ready")
    objects = await asyncio.to_thread(gateway_objects, name)
    for manifest in objects:
        if manifest["kind"] == "Deployment":
            manifest["spec"]["replicas"] = 0
        admin.apply(manifest)
    account = next(each["metadata"]["name"] for each in objects if each["kind"] == "ServiceAccount")
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token = admin._http.post(f"/api/v1/namespaces/{name}/serviceaccounts/{account}/token", json=request).json()
    config = yaml.safe_load(api_server.kubeconfig.read_text())
    for user in config["users"]:
        user["user"] = {"token": token["status"]["token"]}
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(config))
    made = Space(admin, name, file)
    async with asyncio.timeout(400):
        yield made
    for launcher in made.launchers:
        await launcher.close()
    assert len(asyncio.all_tasks()) == 1
    admin.delete(f"/api/v1/namespaces/{name}")


async def told(
    launcher: PodLauncher, server: str, *states: str, wanted: Callable[[Launched], bool] = lambda _: True
) -> Launched:
    """What is known of a server once it is in one of these states, and as wanted."""

    def look() -> Launched | None:
        found = launcher._servers.get(server)
        launched = found.launched() if found else None
        return launched if launched and launched.state in states and wanted(launched) else None

    return await eventually(look, f"{server} is {' or '.join(states)}")


@pytest.fixture
def until() -> Callable[..., Awaitable[Launched]]:
    return told


@pytest.fixture
def soon() -> Callable[..., Awaitable[Any]]:
    return eventually
