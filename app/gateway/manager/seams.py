"""What the manager needs of the others: names resolved, servers reached, and their tools listed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from app.gateway.launcher import Endpoint
from app.gateway.spec import LaunchSpec, ServerSpec
from app.gateway.upstream import Upstream


class Resolver(Protocol):
    """From what a person declares to what a launcher starts: template, package policy, pinned version."""

    async def resolve(self, name: str, spec: ServerSpec) -> LaunchSpec:
        """Raises an exception whose text says what is wrong or not allowed, and the remedy."""
        ...


OpenUpstream = Callable[[str, Endpoint], Upstream]
"""Makes the upstream of a server by its id and endpoint; it is not opened yet."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What the catalogue has of one server."""

    tools: int = 0
    prompts: int = 0
    resources: int = 0
    stale: bool = False
    """Kept from when the server was last reached."""
    problems: tuple[str, ...] = ()
    """Names that collide with another server's or cannot be served, each as a sentence."""


class Catalogue(Protocol):
    """All servers' tools, prompts and resources, each server's under its id."""

    async def put(self, server_id: str, upstream: Upstream) -> Listing:
        """Read the lists of an opened upstream and serve them; in one step in the place of that id's former one."""
        ...

    async def remove(self, server_id: str) -> None:
        """Serve it no longer; an id that is not there is no error. The upstream stays the caller's to close."""
        ...

    def listing(self, server_id: str) -> Listing | None:
        """What is served of it now; None for an id that is not there."""
        ...
