"""The catalogue: every server that is there, and the views that serve them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from app.gateway.catalogue.member import Member
from app.gateway.catalogue.parking import CarPark
from app.gateway.catalogue.view import KINDS, Choice, View
from app.gateway.manager.seams import Listing
from app.gateway.upstream import Upstream
from app.protocol.handlers import ListKind

CALL_SECONDS = 300.0


class Catalogue:
    """All servers, each under its id; see `app.gateway.manager.seams.Catalogue`."""

    def __init__(
        self,
        *,
        virtual: Mapping[str, Choice] | None = None,
        call_seconds: float = CALL_SECONDS,
        park: CarPark | None = None,
        union: Choice | None = None,
    ) -> None:
        self.park = park or CarPark()
        self.union = View(union or Choice())
        self._virtual = {name: View(choice) for name, choice in (virtual or {}).items()}
        self._single: dict[str, View] = {}
        self._members: dict[str, Member] = {}
        self._seconds = call_seconds
        self._placing: dict[str, asyncio.Lock] = {}

    async def put(self, server_id: str, upstream: Upstream) -> Listing:
        """Read the lists of an opened upstream and serve them; in one step in the place of that id's former one.

        Of one that was not reached yet, nothing is served until it says that it is there.
        """
        async with self._placing.setdefault(server_id, asyncio.Lock()):
            member = self._members.get(server_id)
            if member is None:
                member = Member(
                    server_id,
                    upstream,
                    park=self.park,
                    seconds=self._seconds,
                    changed=lambda changed: self._changed(server_id, changed),
                    updated=self._updated,
                )
                self._members[server_id] = member
                self._single[server_id] = View(Choice(servers=(server_id,), beside_others=False))
            await member.attach(upstream)
            return member.listing()

    async def remove(self, server_id: str) -> None:
        """Serve it no longer; an id that is not there is no error. The upstream stays the caller's to close."""
        async with self._placing.setdefault(server_id, asyncio.Lock()):
            member = self._members.pop(server_id, None)
            if member is not None:
                await member.detach()
                view = self._single.pop(server_id)
                view.update({}, set(KINDS))
                self._refresh(server_id, set(KINDS))
        self._placing.pop(server_id, None)

    def listing(self, server_id: str) -> Listing | None:
        """What is served of it now; None for an id that is not there."""
        member = self._members.get(server_id)
        return None if member is None else member.listing()

    def status(self) -> dict[str, Listing]:
        """What is served of each server."""
        return {server_id: member.listing() for server_id, member in self._members.items()}

    def problems(self) -> list[str]:
        """What is wrong between servers."""
        return self.union.problems()

    def server(self, server_id: str) -> View | None:
        """One server with the names that it uses itself; None for an id that is not there."""
        return self._single.get(server_id)

    def virtual(self, name: str) -> View | None:
        """A declared virtual server."""
        return self._virtual.get(name)

    def declare(self, virtual: Mapping[str, Choice]) -> None:
        """Have these virtual servers and no others; those that stay the same go on."""
        kept = {name: view for name, view in self._virtual.items() if virtual.get(name) == view.choice}
        self._virtual = {name: kept.get(name) or View(choice) for name, choice in virtual.items()}
        for name, view in self._virtual.items():
            if name not in kept:
                view.update(self._members, set(KINDS))

    async def close(self) -> None:
        """Let go of all servers, which stay open."""
        for server_id in tuple(self._members):
            await self.remove(server_id)
        await self.park.close()

    def _changed(self, server_id: str, changed: set[ListKind]) -> None:
        if server_id in self._members:
            self._single[server_id].update({server_id: self._members[server_id]}, changed)
            self._refresh(server_id, changed)

    def _refresh(self, server_id: str, changed: set[ListKind]) -> None:
        for view in (self.union, *self._virtual.values()):
            if view.choice.has(server_id):
                view.update(self._members, changed)

    def _updated(self, member: Member, uri: str) -> None:
        for view in (self.union, self._single[member.id], *self._virtual.values()):
            view.updated(member, uri)
