"""All that knows kopf: what is watched, and that each piece of news is kept and looked at."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import kopf

from app.kubernetes.access import Access
from app.kubernetes.client import Login
from app.operator._labels import MANAGED_BY, MANAGER
from app.operator.manifests import KINDS, Kind
from app.operator.model import GROUP, PLURAL, VERSION
from app.operator.seen import Key, News, Seen, key_of

_GONE: Final = "DELETED"
# A rollout is many small steps: one look, and one status, for those within a second.
_STEP_SECONDS: Final = 1.0

Look = Callable[[Key, float], None]
"""Asks for a look at an agent, after some seconds."""


def registry_of(
    seen: Seen,
    look: Look,
    gone: Callable[[Key], None],
    listed: Callable[[], None],
    login: Login,
) -> kopf.OperatorRegistry:
    """Handlers that keep what the watches tell in `seen`, and ask for a look at the agent it concerns.

    `listed` is called for what comes from a list, by which a watch begins, and begins again when it lost the thread.
    """
    registry = kopf.OperatorRegistry()

    async def log_in(**_: Any) -> kopf.ConnectionInfo:
        return _connection(await login())

    async def agent_changed(event: kopf.RawEvent, **_: Any) -> None:
        body = event["object"]
        if event["type"] is None:
            listed()
        if event["type"] == _GONE:
            seen.agent_gone(key_of(body))
            gone(key_of(body))
        elif seen.agent(body):
            look(key_of(body), 0.0)

    def of(kind: Kind) -> Callable[..., Awaitable[None]]:
        async def part_changed(event: kopf.RawEvent, **_: Any) -> None:
            if event["type"] is None:
                listed()
            if event["type"] == _GONE:
                owner = seen.part_gone(event["object"], kind.name)
                found = None if owner is None else (owner, News.SUBSTANCE)
            else:
                found = seen.part(event["object"], kind.name)
            if found is not None and found[1] is not News.NOTHING:
                look(found[0], 0.0 if found[1] is News.SUBSTANCE else _STEP_SECONDS)

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


def _connection(access: Access) -> kopf.ConnectionInfo:
    return kopf.ConnectionInfo(
        server=access.server,
        ca_path=access.ca_file,
        insecure=access.insecure,
        token=access.token or None,
        certificate_path=access.certificate,
        private_key_path=access.key,
    )
