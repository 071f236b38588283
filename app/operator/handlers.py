"""All that knows kopf: what is watched, and that each piece of news is kept and looked at."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import kopf

from app.operator._labels import MANAGED_BY, MANAGER
from app.operator.manifests import KINDS, Kind
from app.operator.model import GROUP, PLURAL, VERSION
from app.operator.seen import Key, Seen

_GONE: Final = "DELETED"


def registry_of(
    seen: Seen,
    look: Callable[[Key], None],
    gone: Callable[[Key], None],
    login: Callable[[], Awaitable[kopf.ConnectionInfo]],
) -> kopf.OperatorRegistry:
    """Handlers that keep what the watches tell in `seen`, and ask for a look at the agent it concerns."""
    registry = kopf.OperatorRegistry()

    async def log_in(**_: Any) -> kopf.ConnectionInfo:
        return await login()

    async def agent_changed(event: kopf.RawEvent, **_: Any) -> None:
        body = event["object"]
        key = seen.agent(body)
        if event["type"] == _GONE:
            seen.agent_gone(key)
            gone(key)
        else:
            look(key)

    def of(kind: Kind) -> Callable[..., Awaitable[None]]:
        async def part_changed(event: kopf.RawEvent, **_: Any) -> None:
            if event["type"] == _GONE:
                key = seen.part_gone(event["object"], kind.name)
                changed = key is not None
            else:
                key, changed = seen.part(event["object"], kind.name) or (None, False)
            if key is not None and changed:
                look(key)

        return part_changed

    kopf.on.login(registry=registry)(log_in)  # pyright: ignore[reportArgumentType]
    kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)(agent_changed)
    for kind in KINDS.values():
        version = kind.api_version.rpartition("/")[2]
        selector = {MANAGED_BY: MANAGER}
        kopf.on.event(kind.group, version, kind.plural, labels=selector, registry=registry)(of(kind))
    return registry


def settings_of() -> kopf.OperatorSettings:
    """Watches of a few labelled objects; no state of kopf's own is written anywhere."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.networking.request_timeout = 30.0
    settings.networking.connect_timeout = 5.0
    settings.watching.server_timeout = 300
    settings.watching.reconnect_backoff = 1.0
    settings.watching.chunk_size = 500
    settings.queueing.idle_timeout = 1.0
    for kind in KINDS.values():
        where = (kind.group, kind.plural) if kind.group else ("", kind.plural)
        settings.watching.label_selectors[where] = f"{MANAGED_BY}={MANAGER}"
    return settings
