"""What is asked of the API server about pods, with its refusals in words for people."""

from __future__ import annotations

import logging
import time
from typing import Final

from app.gateway.launcher import LaunchError
from app.gateway.pods.api import Api
from app.gateway.pods.manifest import trial
from app.gateway.pods.options import PodOptions
from app.kubernetes import ApiAway, ApiError, Object
from app.lifecycle import Amiss

logger = logging.getLogger("slipway.gateway.pods")

_CHECK_AGAIN: Final = 20.0


class NoPods(LaunchError, Amiss):
    """Pods cannot be made now; in words that anybody may read."""


class PodApi:
    """The pods of one namespace."""

    def __init__(self, api: Api, options: PodOptions) -> None:
        self.api = api
        self.options = options
        self._owner: Object | None = None
        self._checked = 0.0
        self._refused = ""

    def path(self, name: str = "", *, kind: str = "pods", part: str = "") -> str:
        """Where pods are, one of them, or a part of one."""
        ending = (f"/{name}" if name else "") + (f"/{part}" if part else "")
        return f"/api/v1/namespaces/{self.options.namespace}/{kind}{ending}"

    async def create(self, pod: Object) -> Object | None:
        """The pod as it was made, or the one that has its name already; None where that one just went."""
        try:
            return await self.api.create(self.path(), pod)
        except ApiError as error:
            if error.status == 409 and error.reason == "AlreadyExists":
                return await self.get(str(pod["metadata"]["name"]))
            raise LaunchError(_refused(error, self.options.namespace)) from None
        except ApiAway as error:
            raise LaunchError(str(error)) from None

    async def get(self, name: str) -> Object | None:
        """Raises `LaunchError`."""
        try:
            return await self.api.get(self.path(name))
        except (ApiError, ApiAway) as error:
            raise LaunchError(str(error)) from None

    async def delete(self, name: str, uid: str, grace: int | None) -> bool:
        """Whether it was still there. Raises `LaunchError`."""
        try:
            return await self.api.delete(self.path(name), uid=uid, grace=grace)
        except (ApiError, ApiAway) as error:
            raise LaunchError(f"the pod {name} cannot be deleted: {error}") from None

    async def owner(self) -> Object | None:
        """A reference to the Deployment that pods go with. Raises `LaunchError` while that is not known."""
        name = self.options.owner
        if name is None or self._owner is not None:
            return self._owner
        path = f"/apis/apps/v1/namespaces/{self.options.namespace}/deployments/{name}"
        try:
            found = await self.api.get(path)
        except ApiAway as error:
            raise LaunchError(str(error)) from None
        except ApiError as error:
            logger.warning("pods outlive their gateway, whose Deployment cannot be read: %s", error)
            return None
        if found is None:
            logger.warning("pods outlive their gateway: there is no Deployment %s", name)
            return None
        self._owner = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "name": name,
            "uid": found["metadata"]["uid"],
            # So that a node can be drained of them without force.
            "controller": True,
            "blockOwnerDeletion": False,
        }
        return self._owner

    async def check(self) -> None:
        """Raises `NoPods` where one more pod would not be taken; asked now and then, not every time."""
        if time.monotonic() >= self._checked + _CHECK_AGAIN:
            self._refused = await self._trial()
            self._checked = time.monotonic()
        if self._refused:
            raise NoPods(self._refused)

    async def close(self) -> None:
        await self.api.close()

    async def _trial(self) -> str:
        try:
            await self.api.create(self.path(), trial(self.options), dry_run=True)
        except ApiAway:
            return "no pod can be made: the Kubernetes API does not answer"
        except ApiError as error:
            if error.reason == "AlreadyExists":
                return ""
            logger.warning("no pod can be made: %s", error)
            return f"no pod can be made: {'exceeded quota' if _over_quota(error) else error.reason or error.status}"
        return ""


def _over_quota(error: ApiError) -> bool:
    return error.status == 403 and "exceeded quota" in str(error)


def _refused(error: ApiError, namespace: str) -> str:
    if _over_quota(error):
        return f"QuotaExceeded: {error}: stop a server, or raise the quota of the namespace {namespace}"
    if error.status == 403 and "violates PodSecurity" in str(error):
        return f"PodSecurity: {error}"
    if error.status == 403:
        return f"Forbidden: {error}: the gateway's account needs the verb create on pods in {namespace}"
    return f"{error.reason or error.status}: {error}"
