"""Several children of one server, as one upstream: the least busy answers, or each session has its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from msgspec import Raw

from app.gateway.upstream import CONNECTED, LOST, About, Downstream, ListName, News, Upstream, UpstreamUnavailable
from app.listeners import Listeners

logger = logging.getLogger("slipway.gateway")

MakeUpstream = Callable[[], Upstream]
_OFTEN = 4


class Lane:
    """One child, begun when it is first needed and ended when it has not been for `idle` seconds."""

    def __init__(self, make: MakeUpstream, hear: Callable[[Lane, News], None], idle: float | None) -> None:
        self.upstream: Upstream | None = None
        self.running = 0
        self._make = make
        self._hear = hear
        self._idle = idle
        self._used = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._changing = asyncio.Lock()
        self._unfollow: Callable[[], None] | None = None
        self._resting: asyncio.Task[None] | None = None
        self._ended = False

    @property
    def away(self) -> bool:
        """A child was there and is lost."""
        return self.upstream is not None and not self.upstream.available

    async def awake(self) -> Upstream:
        """The child, begun if there is none; raises `UpstreamUnavailable`."""
        found = self.upstream
        if found is not None:
            return found
        async with self._changing:
            if self._ended:
                raise UpstreamUnavailable("it was let go", unsent=True)
            if self.upstream is None:
                made = self._make()
                self._unfollow = made.follow(lambda news: self._hear(self, news))
                self.upstream = made  # which goes on trying where it cannot be reached at once
                self._touch()
                await made.open()
        return self.upstream

    async def request(
        self, method: str, params: Raw, downstream: Downstream | None, timeout: float | None, *, repeatable: bool
    ) -> Raw:
        """See `Upstream`."""
        self.running += 1
        try:
            upstream = self.upstream or await self.awake()
            return await upstream.request(method, params, downstream=downstream, timeout=timeout, repeatable=repeatable)
        finally:
            self.running -= 1
            if self._idle is not None:
                self._touch()

    async def close(self) -> None:
        """End it for good."""
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
        await self._rest()
        if self._resting is not None and self._resting is not asyncio.current_task():
            await self._resting

    def _touch(self) -> None:
        if self._idle is None or self._ended:
            return
        loop = asyncio.get_running_loop()
        self._used = loop.time()
        if self._timer is None:
            self._timer = loop.call_later(self._idle / _OFTEN, self._look)

    def _look(self) -> None:
        self._timer = None
        if self.upstream is None or self._idle is None:
            return
        loop = asyncio.get_running_loop()
        if not self.running and loop.time() - self._used >= self._idle:
            self._resting = asyncio.create_task(self._rest(), name="end an idle child")
        else:
            self._timer = loop.call_later(self._idle / _OFTEN, self._look)

    async def _rest(self) -> None:
        async with self._changing:
            upstream, self.upstream = self.upstream, None
            if self._unfollow is not None:
                self._unfollow()
                self._unfollow = None
            if upstream is not None:
                await upstream.close()


class Lanes:
    """An `Upstream` over several children. Sessions share them."""

    def __init__(self, make: MakeUpstream, count: int, *, idle: float | None = None) -> None:
        self._lanes = [Lane(make, self._hear, idle) for _ in range(count)]
        self._turn = 0
        self._about: About | None = None
        self._lost = True  # until the first is reached
        self._listeners = Listeners[News]()

    @property
    def about(self) -> About | None:
        """See `Upstream`."""
        for lane in self._all():
            if lane.upstream is not None and lane.upstream.about is not None:
                self._about = lane.upstream.about
                break
        return self._about

    @property
    def available(self) -> bool:
        """See `Upstream`."""
        return any(not lane.away for lane in self._all())

    async def open(self) -> None:
        """See `Upstream`: one child is enough."""
        outcomes = await asyncio.gather(*(lane.awake() for lane in self._lanes), return_exceptions=True)
        failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        if len(failures) == len(outcomes):
            raise failures[0]

    async def request(
        self,
        method: str,
        params: Raw,
        *,
        downstream: Downstream | None = None,
        timeout: float | None = None,
        repeatable: bool = False,
    ) -> Raw:
        """See `Upstream`; a child that proves away before it was asked is passed over."""
        lane = self._choose(downstream)
        try:
            return await lane.request(method, params, downstream, timeout, repeatable=repeatable)
        except UpstreamUnavailable as error:
            other = self._instead_of(lane) if error.unsent else None
            if other is None:
                raise
        return await other.request(method, params, downstream, timeout, repeatable=repeatable)

    async def list(self, name: ListName) -> list[Raw]:
        """See `Upstream`."""
        return await (await self._choose(None).awake()).list(name)

    def follow(self, listener: Callable[[News], None]) -> Callable[[], None]:
        """See `Upstream`."""
        return self._listeners.add(listener)

    async def close(self) -> None:
        """See `Upstream`."""
        await asyncio.gather(*(lane.close() for lane in self._all()))

    def _all(self) -> Iterable[Lane]:
        return self._lanes

    def _choose(self, downstream: Downstream | None) -> Lane:  # noqa: ARG002 (who asks matters to others)
        lanes = self._lanes
        if len(lanes) == 1:
            return lanes[0]
        self._turn = (self._turn + 1) % len(lanes)
        return min(lanes[self._turn :] + lanes[: self._turn], key=_busyness)

    def _instead_of(self, lane: Lane) -> Lane | None:
        return min(
            (other for other in self._lanes if other is not lane and not other.away), key=_busyness, default=None
        )

    def _hear(self, lane: Lane, news: News) -> None:
        """All are one: it is lost with the last of them."""
        del lane
        if news.method == LOST:
            if self.available or self._lost:
                return
            self._lost = True
        elif news.method == CONNECTED:
            if not self._lost:
                return
            self._lost = False
        self._listeners.tell(news)


class SessionLanes(Lanes):
    """An `Upstream` that begins a child for each session; whoever has none shares one."""

    def __init__(self, make: MakeUpstream, most: int, *, idle: float) -> None:
        super().__init__(make, 1)
        self._make = make
        self._most = most
        self._idle = idle
        self._of_sessions: dict[str, Lane] = {}
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def sessions(self) -> int:
        """How many sessions have a child."""
        return len(self._of_sessions)

    def end(self, session_id: str) -> None:
        """A session is over, and its child with it."""
        lane = self._of_sessions.pop(session_id, None)
        if lane is not None:
            ending = asyncio.create_task(lane.close(), name="end the child of a session")
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        """See `Upstream`."""
        await super().close()
        await asyncio.gather(*self._ending)

    def _all(self) -> Iterable[Lane]:
        return (*self._lanes, *self._of_sessions.values())

    def _choose(self, downstream: Downstream | None) -> Lane:
        session_id = None if downstream is None else downstream.session_id
        if session_id is None:
            return self._lanes[0]
        lane = self._of_sessions.get(session_id)
        if lane is None:
            if len(self._of_sessions) >= self._most:
                self._forget_resting()
            if len(self._of_sessions) >= self._most:
                raise UpstreamUnavailable(
                    f"{self._most} sessions have a child of their own, the most there may be: end one, "
                    "or start the bridge with more --children",
                    unsent=True,
                )
            lane = self._of_sessions[session_id] = Lane(self._make, self._hear, self._idle)
        return lane

    def _instead_of(self, lane: Lane) -> Lane | None:  # noqa: ARG002 (what a session had is in its own child only)
        return None

    def _forget_resting(self) -> None:
        for session_id, lane in tuple(self._of_sessions.items()):
            if lane.upstream is None and not lane.running:
                del self._of_sessions[session_id]


def _busyness(lane: Lane) -> tuple[bool, int]:
    return lane.away, lane.running
