"""A gateway in a pod with what the platform's component gives it, and its servers' pods beside it."""

from collections.abc import Iterable
from typing import Any

from engine.lifecycle import wait_for
from harness.api import Api

from usage.recording import harness, recorded

UP_SECONDS = 180
KINDS = ("ServiceAccount", "Role", "RoleBinding", "Secret", "ConfigMap", "Deployment")


def of_the_component(args: Any, *kinds: str) -> list[dict[str, Any]]:
    """The objects of a gateway, from its arguments, as the component makes them under mocks: all, or of some kinds."""
    from infra.components.gateway import Gateway

    return recorded(harness().run_program(lambda: Gateway("gateway", args)), *(kinds or KINDS))


def small() -> Any:
    """What a gateway or a server of a test may take."""
    from infra.pods import Resources

    return Resources(cpu_request="20m", memory_request="64Mi", cpu_limit="1", memory_limit="384Mi")


class Space:
    """The namespace of one gateway."""

    def __init__(self, api: Api, name: str) -> None:
        self._api = api
        self._name = name

    @classmethod
    def restricted(cls, api: Api, name: str, manifests: Iterable[dict[str, Any]]) -> "Space":
        """One that admits restricted pods only, with these objects in it."""
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
        made = cls(api, name)
        made.take(manifests)
        return made

    def take(self, manifests: Iterable[dict[str, Any]]) -> None:
        for manifest in manifests:
            self._api.apply(manifest)

    def pods(self, selector: str) -> list[dict[str, Any]]:
        found = self._api.items(f"/api/v1/namespaces/{self._name}/pods", labelSelector=selector)
        return [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]

    def servers(self) -> dict[str, str]:
        """The uid of each server's pod."""
        found = self.pods("slipway.dev/gateway=gateway")
        return {pod["metadata"]["labels"]["slipway.dev/server"]: pod["metadata"]["uid"] for pod in found}

    def gateway(self) -> dict[str, Any] | None:
        return self.ready("app.kubernetes.io/component=gateway")

    def ready(self, selector: str) -> dict[str, Any] | None:
        """Any pod of these that is ready."""
        for pod in self.pods(selector):
            if any(
                each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", ())
            ):
                return pod
        return None

    def address(self) -> str:
        wait_for(self.gateway, "a gateway that is ready", seconds=UP_SECONDS)
        return f"http://{self.gateway()['status']['podIP']}:8051"

    def delete(self, path: str) -> None:
        self._api.delete(f"{path.format(f'namespaces/{self._name}')}")
