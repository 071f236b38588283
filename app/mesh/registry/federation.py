"""Registries that ask each other: read-only, each answer marked with whose it is, and no peer can hold another up."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

import msgspec

from app.asgi import Receive, Scope, Send
from app.mesh.model import Found
from app.mesh.registry.access import Access
from app.mesh.registry.api import read_query
from app.mesh.registry.discovery import Discovery, Query
from app.mesh.registry.http import answer, header, method_not_allowed
from app.mesh.registry.replica import Replica
from app.resilience.breaker import CircuitBreaker, CircuitOpen
from app.resilience.flight import SingleFlight
from app.resilience.http import AnswerBroken, AnswerTooLarge, HttpClient

logger = logging.getLogger("slipway.registry")

VIA = "slipway-via"
_DEEPEST = 4
_TIMEOUT = 2.0
_MAX_BYTES = 4 * 1024 * 1024
_FRESH = 2.0
_REMEMBERED = 512
_PEER = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)=(https?://[^/\s@?#]+(?:/[^\s?#]*)?)")
_KNOWN = frozenset({"capability", "version", "tag", "limit"})


class PeerAnswer(msgspec.Struct, frozen=True):
    """What a peer says; whatever else it says is not read."""

    agents: list[Found] = []


class PeerState(msgspec.Struct, frozen=True, omit_defaults=True):
    """How asking a peer went."""

    name: str
    status: str
    milliseconds: float | None = None


class Federated(msgspec.Struct, frozen=True):
    """The body of `GET /federation`."""

    registry: str
    agents: list[Found]
    peers: list[PeerState]


@dataclass(slots=True)
class Peer:
    """Another registry."""

    name: str
    url: str
    breaker: CircuitBreaker

    @classmethod
    def parse(cls, text: str) -> Peer:
        """Read `name=http://address`. Raises ValueError."""
        match = _PEER.fullmatch(text)
        if match is None:
            raise ValueError(f"{text[:80]!r} is not a registry: write name=http://address")
        return cls(match[1], match[2].rstrip("/"), CircuitBreaker((Exception,), failures=3, seconds=10.0))


class Federation:
    """The endpoint at `/federation`."""

    def __init__(
        self,
        peers: Iterable[str],
        replica: Replica,
        discovery: Discovery,
        access: Access,
        *,
        token: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`peers` are written as `name=http://address`. Raises ValueError."""
        self._peers = [Peer.parse(peer) for peer in peers]
        self._replica = replica
        self._discovery = discovery
        self._access = access
        self._token = token
        self._clock = clock
        self._alone = secrets.token_hex(6)
        self._http = HttpClient("slipway-registry")
        self._flights: SingleFlight[tuple[str, Query, str], tuple[list[Found], PeerState]] = SingleFlight()
        self._kept: dict[tuple[str, Query, str], tuple[float, list[Found], PeerState]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 (an ASGI application)
        if scope["method"] not in ("GET", "HEAD"):
            raise method_not_allowed(scope["method"], "GET")
        self._access.reader(scope)
        if not scope["query_string"]:
            states = [PeerState(peer.name, "resting" if peer.breaker.is_open else "asked") for peer in self._peers]
            await answer(send, 200, Federated(self._id, [], states))
            return
        query = read_query(scope, _KNOWN)
        via = [part.strip() for part in (header(scope, VIA.encode()) or "").split(",") if part.strip()]
        await answer(send, 200, await self.ask(query, via))

    async def ask(self, query: Query, via: Sequence[str]) -> Federated:
        """Our own agents, and those of the peers unless the question has been here before."""
        own = self._id
        if own in via:
            return Federated(own, [], [])
        agents = self._discovery.search(query)
        if len(via) >= _DEEPEST:
            return Federated(own, agents, [])
        answers = await asyncio.gather(*(self._peer(peer, query, ",".join((*via, own))) for peer in self._peers))
        seen = {(agent.id, agent.endpoint, agent.version) for agent in agents}
        for found, _ in answers:
            for agent in found:
                key = (agent.id, agent.endpoint, agent.version)
                if key not in seen and len(agents) < query.limit:
                    seen.add(key)
                    agents.append(agent)
        return Federated(own, agents, [state for _, state in answers])

    async def close(self) -> None:
        await self._http.close()

    @property
    def _id(self) -> str:
        """The same on all replicas of one registry, and on no other."""
        return self._replica.hub.position.partition("-")[0] or self._alone

    async def _peer(self, peer: Peer, query: Query, via: str) -> tuple[list[Found], PeerState]:
        key = (peer.name, query, via)
        kept = self._kept.get(key)
        if kept is not None and self._clock() < kept[0]:
            return kept[1], kept[2]
        found, state = await self._flights.run(key, lambda: self._fetch(peer, query, via))
        if len(self._kept) >= _REMEMBERED:
            self._kept.clear()
        self._kept[key] = (self._clock() + _FRESH, found, state)
        return found, state

    async def _fetch(self, peer: Peer, query: Query, via: str) -> tuple[list[Found], PeerState]:
        """What a peer has; nothing where it is away, slow, or says what cannot be understood."""
        began = self._clock()
        try:
            with peer.breaker.attempt():
                async with asyncio.timeout(_TIMEOUT):
                    found = await self._get(peer, query, via)
        except CircuitOpen:
            return [], PeerState(peer.name, "resting")
        except TimeoutError:
            return [], PeerState(peer.name, "slow")
        except (AnswerTooLarge, AnswerBroken, msgspec.MsgspecError):
            return [], PeerState(peer.name, "not understood")
        except Exception as error:  # whatever the client library raises means that it is not there
            logger.debug("a peer does not answer", exc_info=error)
            return [], PeerState(peer.name, "away")
        return found, PeerState(peer.name, "ok", round((self._clock() - began) * 1000, 1))

    async def _get(self, peer: Peer, query: Query, via: str) -> list[Found]:
        asked = [("capability", query.capability), ("version", query.version), ("limit", str(query.limit))]
        text = urlencode([*asked, *(("tag", tag) for tag in query.tags)])
        headers = {VIA: via} | ({"authorization": f"Bearer {self._token}"} if self._token else {})
        url = f"{peer.url}/federation?{text}"
        got = await self._http.get(url, params={}, headers=headers, timeout=_TIMEOUT, max_bytes=_MAX_BYTES)
        if got.status != 200:
            raise AnswerBroken(f"it answers {got.status}")
        told = msgspec.json.decode(got.body, type=PeerAnswer)
        return [_marked(agent, peer.name) for agent in told.agents[: query.limit]]


def _marked(agent: Found, peer: str) -> Found:
    """Whose it is: the peer's, or that of a peer's peer, as in `east/north`."""
    origin = f"{peer}/{agent.origin}" if isinstance(agent.origin, str) else peer
    return msgspec.structs.replace(agent, origin=origin[:200])
