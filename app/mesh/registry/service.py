"""What the registry does when it is asked: register, beat, deregister. No HTTP here."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from app.mesh.checks import check_registration, check_token
from app.mesh.endpoints import EndpointPolicy, address_of, is_own_machine
from app.mesh.model import (
    Beat,
    BeatAnswer,
    BeatResult,
    BeatStatus,
    Record,
    Registered,
    Registration,
    State,
    secret_digest,
)
from app.mesh.problems import Problem, shown
from app.mesh.registry.directory import Entry
from app.mesh.registry.pending import CannotBuffer
from app.mesh.registry.replica import Replica
from app.mesh.store import OutcomeKind, Put, StoreUnavailable

MAX_BEATS = 1_000
_PUTS_AT_ONCE = 200
_MOST_QUEUED = 2_000
_REMEMBERED_UNKNOWN = 10_000
_UNKNOWN_FOR = 2.0
_TAKEN = "This name and replica are taken"
_FOREIGN = "This name belongs to somebody else"


@dataclass(frozen=True, slots=True)
class Requester:
    """Who asks: the subject of a configured token where there are any, the bearer token itself, and from where."""

    subject: str = ""
    token: str | None = None
    """A bearer token that is not a configured one."""
    peer: str | None = None


class Registry:
    """The operations. Raises `Problem` for what is refused."""

    def __init__(
        self,
        replica: Replica,
        endpoints: EndpointPolicy,
        *,
        max_at_address: int = 100,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`max_at_address`: so many agents may be at one address that is not this machine's own."""
        self.replica = replica
        self._max_at_address = max_at_address
        self.heartbeats = {"ok": 0, "unknown": 0, "refused": 0}
        self.registrations = {"registered": 0, "changed": 0, "same": 0, "buffered": 0, "refused": 0}
        self._endpoints = endpoints
        self._wall = wall
        self._queue: list[tuple[Put, asyncio.Future[OutcomeKind]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._unknown: dict[str, float] = {}

    async def register(self, told: Registration, who: Requester) -> tuple[int, Registered]:
        """Keep a registration; the HTTP status and what to answer."""
        token = told.token or who.token or secrets.token_urlsafe(32)
        check_token(token)
        endpoint = self._endpoints.check(told.endpoint, who.peer)
        told = msgspec.structs.replace(told, endpoint=endpoint)
        record = check_registration(told, owner=who.subject, token=token, now=self._wall())
        known = self.replica.directory.get(record.id)
        if known is None:
            self._refuse_crowd(record)
        elif known.state is not State.GONE:
            same = known.record.digest == record.digest
            changed = known.record.changed if same else record.changed
            record = msgspec.structs.replace(record, registered=known.record.registered, changed=changed)
        proved = known is not None and bool(who.subject) and known.record.owner == who.subject
        try:
            outcome = await self._put(Put(record, proved))
        except StoreUnavailable:
            return await self._buffer(Put(record, proved), known, token)
        self._raise_for(outcome, record)
        self.registrations[outcome] += 1
        interval = self._seen(record)
        return 201 if outcome == "registered" else 200, Registered(record.id, interval, token, record.digest)

    async def beat(self, beats: Sequence[Beat], who: Requester) -> BeatAnswer:
        """Take heartbeats. While the store is away none of them is called unknown."""
        directory = self.replica.directory
        results: list[BeatResult] = []
        interval = 0.0
        doubtful: list[int] = []
        for at, beat in enumerate(beats):
            entry = directory.entries.get(beat.id)
            if entry is None or not self._owns(entry.record, beat.token, who):
                doubtful.append(at)
                results.append(BeatResult(beat.id, "unknown"))
                continue
            pace = self.replica.heard(entry, beat.load)
            interval = min(interval or pace, pace)
            resend = beat.digest is not None and beat.digest != entry.record.digest and not self.replica.unsure
            results.append(BeatResult(beat.id, "ok", resend))
        if doubtful:
            statuses = await self._doubted([beats[at] for at in doubtful], who)
            for at, status in zip(doubtful, statuses, strict=True):
                results[at] = BeatResult(beats[at].id, status)
                self.heartbeats[status] += 1
        self.heartbeats["ok"] += len(beats) - len(doubtful)
        self.replica.pace.count(len(beats))
        return BeatAnswer(results, interval or 30.0 * self.replica.pace.stretch)

    async def deregister(self, agent: str, who: Requester) -> None:
        """Let an agent go."""
        record = await self._find(agent)
        if record is None:
            raise Problem(404, "There is no such agent", f"id {shown(agent)} is not registered, or is gone")
        if not self._owns(record, who.token or "", who):
            detail = "present the registration's token: Authorization: Bearer …"
            raise Problem(403, "This agent is not yours", detail)
        try:
            await self.replica.store.remove([agent])
        except StoreUnavailable:
            try:
                await self.replica.pending.remove(agent)
            except (CannotBuffer, StoreUnavailable):
                raise _busy("the store is away") from None
        self.replica.directory.drop(agent)

    async def _put(self, put: Put) -> OutcomeKind:
        """Many registrations at once become few writes; more than can wait are told when to come back."""
        if not self.replica.up:
            raise StoreUnavailable("the store is away")
        if len(self._queue) >= _MOST_QUEUED:
            raise _busy(f"{len(self._queue)} registrations are waiting")
        answer: asyncio.Future[OutcomeKind] = asyncio.get_running_loop().create_future()
        self._queue.append((put, answer))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        return await answer

    async def _write(self) -> None:
        try:
            while self._queue:
                batch, self._queue = self._queue[:_PUTS_AT_ONCE], self._queue[_PUTS_AT_ONCE:]
                try:
                    outcomes = await self.replica.store.put([put for put, _ in batch])
                except Exception as error:
                    for _, answer in batch:
                        if not answer.done():
                            answer.set_exception(error)
                    continue
                for (_, answer), outcome in zip(batch, outcomes, strict=True):
                    if not answer.done():
                        answer.set_result(outcome)
        finally:
            self._writing = None

    async def _buffer(self, put: Put, known: Entry | None, token: str) -> tuple[int, Registered]:
        """The store is away: keep it here, if it is not plainly somebody else's."""
        record = put.record
        if known is not None and known.state is not State.GONE and known.record.secret != record.secret:
            if not put.proved:
                self._raise_for("taken", record)
        elif any(entry.record.owner != record.owner for entry in self.replica.directory.named(record.name)):
            self._raise_for("foreign", record)
        try:
            await self.replica.pending.put(put)
        except (CannotBuffer, StoreUnavailable):
            raise _busy("the store is away, and no more can be kept until it is back") from None
        self.registrations["buffered"] += 1
        interval = self._seen(record)
        return 202, Registered(record.id, interval, token, record.digest, buffered=True)

    def _seen(self, record: Record) -> float:
        """Known here at once, whenever the store's own word of it comes."""
        replica = self.replica
        entry = replica.directory.set(record, State.HEALTHY, replica.clock(), fresh=True)
        entry.pace = replica.pace.stretched(record.profile.interval)
        return entry.pace

    def _refuse_crowd(self, record: Record) -> None:
        """One machine does not fill the registry, nor its memory, with what it makes up."""
        address = address_of(record.endpoint)
        crowd = self.replica.directory.at_address.get(address, 0)
        if crowd < self._max_at_address or is_own_machine(address):
            return
        self.registrations["refused"] += 1
        detail = (
            f"{crowd} agents are registered at {address} already: let some of them go, or have the registry's "
            "MCP_MESH_MAX_AGENTS_PER_ADDRESS allow more"
        )
        raise Problem(429, "Too many agents at one address", detail, field="endpoint", retry_after=30)

    def _raise_for(self, outcome: OutcomeKind, record: Record) -> None:
        if outcome in ("registered", "changed", "same"):
            return
        self.registrations["refused"] += 1
        if outcome == "taken":
            detail = (
                f"replica {shown(record.replica)} of {shown(record.name)} is registered with another token: present "
                "that token, or register under a replica name that is new with each start"
            )
            raise Problem(409, _TAKEN, detail, field="replica")
        if outcome == "foreign":
            detail = f"name {shown(record.name)} is held by another subject: use its token, or another name"
            raise Problem(403, _FOREIGN, detail, field="name")
        raise _busy("as many agents are registered as may be (MCP_MESH_MAX_AGENTS)", least=30)

    @staticmethod
    def _owns(record: Record, token: str, who: Requester) -> bool:
        return secret_digest(token) == record.secret or (bool(who.subject) and who.subject == record.owner)

    async def _doubted(self, beats: Sequence[Beat], who: Requester) -> list[BeatStatus]:
        """Heartbeats that do not fit what this replica knows: the store may know more."""
        if self.replica.unsure:
            return ["ok"] * len(beats)
        now = self.replica.clock()
        ids = list({beat.id for beat in beats if self._unknown.get(beat.id, 0.0) < now})
        try:
            found = dict(zip(ids, await self.replica.store.find(ids) if ids else [], strict=True))
        except StoreUnavailable:
            return ["ok"] * len(beats)
        return [self._judged(beat, found.get(beat.id), who, now) for beat in beats]

    def _judged(self, beat: Beat, record: Record | None, who: Requester, now: float) -> BeatStatus:
        entry = self.replica.directory.get(beat.id)
        if record is None:
            if entry is not None:
                return "refused"
            if len(self._unknown) >= _REMEMBERED_UNKNOWN:
                self._unknown.clear()
            self._unknown[beat.id] = now + _UNKNOWN_FOR
            return "unknown"
        if not self._owns(record, beat.token, who):
            return "refused"
        state = State.HEALTHY if entry is None else entry.state
        self.replica.heard(self.replica.directory.set(record, state, now), beat.load)
        return "ok"

    async def _find(self, agent: str) -> Record | None:
        entry = self.replica.directory.get(agent)
        if entry is not None:
            return entry.record
        try:
            return (await self.replica.store.find([agent]))[0]
        except StoreUnavailable:
            raise _busy("the store is away, and this agent is not known here") from None


def _busy(reason: str, *, least: int = 1) -> Problem:
    """To be tried again later, but not by everyone at once."""
    wait = least + random.randrange(5)  # noqa: S311 it spreads load and hides nothing
    return Problem(503, "Try again later", f"{reason}: try again in {wait} seconds", retry_after=wait)
