"""Counting everything anew: a list of each kind, compared with what the watches told.

Watches miss what happened while they could not go on, and what lost the label that they look for. A list a kind finds
that out for all agents at once, and costs nothing where nothing was missed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from app.kubernetes import ApiError, Object
from app.operator._labels import MANAGED_BY, MANAGER
from app.operator.kube import Kube
from app.operator.manifests import KINDS, Kind
from app.operator.model import API_VERSION, PLURAL
from app.operator.seen import Key, News, Seen, key_of

_PAGE: Final = "500"
_ATTEMPTS: Final = 3


class Census:
    """Lists what there is, in some namespaces or in all of them."""

    def __init__(self, kube: Kube, seen: Seen, namespaces: tuple[str, ...]) -> None:
        self._kube = kube
        self._seen = seen
        self._namespaces: tuple[str | None, ...] = namespaces or (None,)
        self._counting = asyncio.Lock()

    async def take(self) -> set[Key]:
        """Correct what is known. The agents about which something was not known."""
        changed: set[Key] = set()
        async with self._counting:
            for namespace in self._namespaces:
                changed |= await self._agents(namespace)
                for kind in KINDS.values():
                    changed |= await self._parts(kind, namespace)
        return changed

    async def _agents(self, namespace: str | None) -> set[Key]:
        changed: set[Key] = set()
        keys: set[Key] = set()

        def keep(body: Object) -> None:
            keys.add(key_of(body))
            if self._seen.agent(body):
                changed.add(key_of(body))

        version = await self._list(API_VERSION, PLURAL, namespace, {}, keep)
        return changed | set(self._seen.agents_listed(keys, version or "", namespace))

    async def _parts(self, kind: Kind, namespace: str | None) -> set[Key]:
        changed: set[Key] = set()
        listed: set[tuple[Key, str]] = set()

        def keep(body: Object) -> None:
            told = self._seen.part(body, kind.name)
            if told is not None:
                listed.add((told[0], body["metadata"]["name"]))
                if told[1] is not News.NOTHING:
                    changed.add(told[0])

        labelled = {"labelSelector": f"{MANAGED_BY}={MANAGER}"}
        version = await self._list(kind.api_version, kind.plural, namespace, labelled, keep)
        if version is None:
            self._seen.missing.add(kind.name)
        elif kind.name in self._seen.missing:
            # The cluster has got it: some agent may want one.
            self._seen.missing.remove(kind.name)
            changed.update(self._seen)
        return changed | set(self._seen.parts_listed(kind.name, listed, version or "", namespace))

    async def _list(
        self,
        api_version: str,
        plural: str,
        namespace: str | None,
        query: dict[str, str],
        keep: Callable[[Object], None],
    ) -> str | None:
        """Give every object to `keep`. The version of the list; None for a kind that the cluster does not have."""
        root = f"/api{'s' if '/' in api_version else ''}/{api_version}"
        path = f"{root}/{plural}" if namespace is None else f"{root}/namespaces/{namespace}/{plural}"
        attempt, going_on = 1, ""
        while True:
            asked = {**query, "limit": _PAGE, **({"continue": going_on} if going_on else {})}
            try:
                page = await self._kube.request("GET", path, query=asked)
            except ApiError as error:
                if error.status == 404:
                    return None
                if error.status != 410 or attempt == _ATTEMPTS:
                    raise
                # The list took so long that its version is forgotten: from the beginning.
                attempt, going_on = attempt + 1, ""
                continue
            for body in page["items"]:
                keep(body)
            going_on = str(page["metadata"].get("continue") or "")
            if not going_on:
                return str(page["metadata"].get("resourceVersion", ""))
