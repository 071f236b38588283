"""`subscriptions/listen`: a request whose answer is a stream of changes (since 2026-07-28)."""

from contextlib import suppress
from itertools import count
from typing import Any

import msgspec
from msgspec import UNSET

from app.protocol.calls import Call
from app.protocol.changes import METHODS, Change, Feed
from app.protocol.content import Result
from app.protocol.context import CallContext
from app.protocol.errors import LIMIT_REACHED, ProtocolError
from app.protocol.extensions import TASKS, declares, lacking
from app.protocol.handlers import Watchable
from app.protocol.methods._method import Method, method
from app.protocol.params import META_SERVER_INFO, META_SUBSCRIPTION, ListenParams, SubscriptionFilter
from app.protocol.services import Services
from app.protocol.tasks import TaskBoard

MAX_LISTENERS = 10_000


class Subscriptions:
    """Streams of changes."""

    def __init__(self, services: Services, tasks: TaskBoard) -> None:
        self._services = services
        self._tasks = tasks
        self._open = 0
        self._numbers = count(1)

    def methods(self) -> list[Method]:
        """The methods of this group."""
        return [method("subscriptions/listen", ListenParams, self._listen, handshake=False)]

    async def _listen(self, call: Call, params: ListenParams) -> object:
        if self._open >= MAX_LISTENERS:
            raise ProtocolError(LIMIT_REACHED, f"{MAX_LISTENERS} subscriptions are open: try again later.")
        watcher = f"listener-{next(self._numbers)}"
        tasks = await self._visible_tasks(call, params)
        watched = await self._watch(params.notifications.resource_subscriptions or [], watcher)
        honoured = _honoured(params.notifications, watched, tasks)
        meta: dict[str, Any] = {META_SUBSCRIPTION: call.id}
        self._open += 1
        try:
            feed = Feed(_Filter(honoured))
            with self._services.changes.listen(feed):
                await call.channel.notify(
                    "notifications/subscriptions/acknowledged", {"notifications": honoured, "_meta": meta}
                )
                async for change in feed:
                    await call.channel.notify(METHODS[change.kind], _params(change, meta))
        finally:
            self._open -= 1
            self._unwatch(watched, watcher)
        return Result(result_type="complete", meta={**meta, META_SERVER_INFO: self._services.server})

    async def _watch(self, uris: list[str], watcher: str) -> list[str]:
        """Those of the resources that there will be news of."""
        registry = self._services.registry
        if not isinstance(registry, Watchable):
            return uris
        watched: list[str] = []
        for uri in uris:
            with suppress(ProtocolError):
                await registry.watch(uri, watcher)
                watched.append(uri)
        return watched

    def _unwatch(self, uris: list[str], watcher: str) -> None:
        registry = self._services.registry
        if isinstance(registry, Watchable):
            for uri in uris:
                registry.unwatch(uri, watcher)

    async def _visible_tasks(self, call: Call, params: ListenParams) -> list[str]:
        """Those of the tasks asked for that are the caller's."""
        asked = params.notifications.task_ids
        if not asked:
            return []
        context = CallContext(call, None if params.meta is UNSET else params.meta)
        if not declares(context.client_capabilities, TASKS):
            raise lacking(TASKS, "Listening to tasks")
        visible: list[str] = []
        for task_id in asked:
            with suppress(ProtocolError):
                await self._tasks.find(task_id, call.caller)
                visible.append(task_id)
        return visible


class _Filter:
    """Which changes are told of."""

    def __init__(self, asked: SubscriptionFilter) -> None:
        self._kinds = {
            kind
            for kind, wanted in (
                ("tools", asked.tools_list_changed),
                ("prompts", asked.prompts_list_changed),
                ("resources", asked.resources_list_changed),
            )
            if wanted is True
        }
        self._uris = frozenset(asked.resource_subscriptions or ())
        self._tasks = frozenset(asked.task_ids or ())

    def __call__(self, change: Change) -> bool:
        if change.kind == "task":
            return change.uri in self._tasks
        return change.uri in self._uris if change.uri else change.kind in self._kinds


def _honoured(asked: SubscriptionFilter, uris: list[str], tasks: list[str]) -> SubscriptionFilter:
    return SubscriptionFilter(
        tools_list_changed=asked.tools_list_changed or UNSET,
        prompts_list_changed=asked.prompts_list_changed or UNSET,
        resources_list_changed=asked.resources_list_changed or UNSET,
        resource_subscriptions=uris or UNSET,
        task_ids=tasks or UNSET,
    )


def _params(change: Change, meta: dict[str, Any]) -> dict[str, Any]:
    if change.kind == "task":
        shown = msgspec.json.decode(change.detail, type=dict[str, Any])
        shown.pop("resultType", None)
        return {**shown, "_meta": meta}
    return {"uri": change.uri, "_meta": meta} if change.uri else {"_meta": meta}
