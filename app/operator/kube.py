"""The Kubernetes API as the operator uses it: beside the usual, server-side apply; and nothing without the lease."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from app.kubernetes import ApiError, Object
from app.kubernetes.client import Client, Login
from app.operator._labels import MANAGER

Counted = Callable[[str, int], None]

_APPLY: Final = "application/apply-patch+yaml"
_MERGE: Final = "application/merge-patch+json"
_NEVER: Final = "1"


class NotPermitted(Exception):
    """This replica may not change anything at this moment."""


class Kube(Client):
    """A client for one cluster. Used from one event loop; `close` it there. Nothing is changed unless `permitted`."""

    def __init__(
        self,
        login: Login,
        *,
        counted: Counted = lambda _verb, _status: None,
        permitted: Callable[[], bool] = lambda: True,
    ) -> None:
        super().__init__(login, manager=MANAGER)
        self._counted = counted
        self._permitted = permitted

    async def apply(self, path: str, manifest: Object, *, manager: str = MANAGER) -> Object:
        """Server-side apply: the fields of the manifest become ours, and what we no longer name goes."""
        query = {"fieldManager": manager, "force": "true"}
        return await self.request("PATCH", path, query, manifest, kind=_APPLY)

    async def apply_new(self, path: str, manifest: Object) -> Object | None:
        """Server-side apply of what should not be there yet. None, and nothing changed, when something may be there.

        An object of the oldest version there is cannot exist, so that the API server refuses to change any that does.
        """
        stamped = {**manifest, "metadata": {**manifest["metadata"], "resourceVersion": _NEVER}}
        try:
            return await self.apply(path, stamped)
        except ApiError as error:
            if error.status == 409:
                return None
            raise

    async def merge(self, path: str, change: Mapping[str, Any]) -> Object:
        """A merge patch. With `metadata.resourceVersion` in it, it is refused (409) when another was faster."""
        return await self.request("PATCH", path, {"fieldManager": MANAGER}, change, kind=_MERGE)

    async def replace(self, path: str, thing: Object) -> Object:
        """Refused (409) when another was faster."""
        return await self.request("PUT", path, {"fieldManager": MANAGER}, thing)

    def _asking(self, method: str) -> None:
        if method != "GET" and not self._permitted():
            raise NotPermitted("another operator has the lease")

    def _answered(self, method: str, status: int) -> None:
        self._counted(method, status)
