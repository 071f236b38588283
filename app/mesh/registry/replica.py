"""One registry replica: its copy of the agents, kept up with the store, and the clock by which agents are missed."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterable, Sequence

from app.mesh.model import Record, State
from app.mesh.registry.directory import Directory, Entry, beaten
from app.mesh.registry.pace import Pace
from app.mesh.registry.pending import Pending
from app.mesh.registry.watch import Event, Hub
from app.mesh.store import STATE_AFTER, AgentStore, Change, Move, News, Pulse, Snapshot, StoreUnavailable
from app.sessions.tasks import stop

logger = logging.getLogger("slipway.registry")

DEGRADED_AFTER, GONE_AFTER, GONE_AFTER_IN_SILENCE = 2, 4, 20
"""Intervals without a heartbeat; the last where most agents are silent, which a cut network is likelier to explain."""
SLACK = 1.0
"""Seconds that a heartbeat may take to be known on every replica."""
_SILENCE = 2 / 3
_FEW = 10  # agents below which silence of most is nothing special
_TICKS = 10  # parts in which all agents are looked at
_TICK = 0.1
_STALL = 2.0  # seconds by which our own clock may jump before we know that we did not listen
_SETTLING = 5.0
_MOVES_AT_ONCE = 500
_FIRST_DELAY, _LONGEST_DELAY = 0.05, 1.0


class Replica:
    """Follows the store, tells it who was heard, and proposes what follows from silence."""

    def __init__(
        self,
        store: AgentStore,
        pending: Pending,
        *,
        max_beats: float = 5_000,
        retention: float = 600.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store = store
        self.pending = pending
        self.directory = Directory(clock)
        self.hub = Hub()
        self.pace = Pace(max_beats=max_beats)
        self.up = False
        """Whether the store is followed now."""
        self.clock = clock
        self._retention = retention
        self._position: str | None = None
        self._heard: dict[str, None] = {}
        self._recovered: dict[str, None] = {}
        self._floor = clock()
        self._down_since = clock()
        self._settled_at = 0.0
        self._first = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def away_for(self) -> float:
        """Seconds for which the store has been away; 0 when it is there."""
        return 0.0 if self.up else max(0.001, self.clock() - self._down_since)

    @property
    def unsure(self) -> bool:
        """Whether agents may exist that this replica has not been told of."""
        return not self.up or self.clock() < self._settled_at

    async def start(self) -> None:
        """Take up what is known here, then what the store has; without it after a moment too."""
        await self.store.start()
        kept = await self.pending.open()
        if kept.position is not None:
            self._position = kept.position
            self.directory.replace(kept.agents)
        for record in self.pending.puts.values():
            self.directory.set(record, State.HEALTHY, self.clock())
        self._tasks = [
            asyncio.create_task(work(), name=f"registry {work.__name__}")
            for work in (self._follow, self._pulse, self._sweep)
        ]
        try:
            async with asyncio.timeout(2.0):
                await self._first.wait()
        except TimeoutError:
            logger.warning("the store does not answer: serving what is known here")

    async def close(self) -> None:
        """Say who was heard last, and let go."""
        await stop(self._tasks)
        try:
            await self._tell_heard()
        except StoreUnavailable:
            logger.warning("the store is away: the last heartbeats are not passed on")
        await self.pending.close()
        await self.store.close()

    def heard(self, entry: Entry, load: float | None) -> float:
        """An agent has beaten here; the seconds after which it should again."""
        record = entry.record
        pace = self.pace.stretched(record.profile.interval)
        if beaten(entry, self.clock(), pace):
            self._recovered[record.id] = None
        if load is not None:
            entry.load = load
        self._heard[record.id] = None
        return pace

    # The store's side.

    async def _follow(self) -> None:
        delay = _FIRST_DELAY
        while True:
            try:
                async with self.store.follow(self._position) as news:
                    came_up = not self.up
                    if came_up:
                        self._come_up()
                    async for item in news:
                        delay = _FIRST_DELAY
                        await self._take(item)
            except StoreUnavailable as error:
                self._go_down(str(error))
            except Exception:
                self._go_down("following failed")
                logger.exception("following the store failed")
            await asyncio.sleep(delay * random.uniform(0.7, 1.3))  # noqa: S311 it spreads replicas and hides nothing
            delay = min(delay * 2, _LONGEST_DELAY)

    def _come_up(self) -> None:
        self.up = True
        self._floor = self.clock()
        if self._position is not None:
            self._settled_at = self.clock() + _SETTLING
            logger.info("the store is back", extra={"fields": {"seconds": round(self.clock() - self._down_since, 1)}})
        asyncio.get_running_loop().create_task(self._deliver_pending()).add_done_callback(_done)

    def _go_down(self, reason: str) -> None:
        if self.up:
            self._down_since = self.clock()
            logger.warning("the store is away: serving what is known here", extra={"fields": {"reason": reason}})
        self.up = False

    async def _take(self, item: News) -> None:
        match item:
            case Pulse():
                self.directory.hear(item.ids, item.stretch)
            case Change():
                self._apply(item)
            case Snapshot():
                await self._take_whole(item)

    def _apply(self, change: Change) -> None:
        self._position = change.position
        entry = self.directory.get(change.id)
        before = None if entry is None else entry.record
        was = None if entry is None else entry.state
        self.directory.apply(change)
        self.pending.keep(change, self.directory.get(change.id))
        if change.kind == "forgotten":
            self.hub.position = change.position
            return
        state = STATE_AFTER.get(change.kind, None if was is None else was)
        self.hub.tell(Event(change.position, change.kind, change.id, state, change.record or before, before))

    async def _take_whole(self, snapshot: Snapshot) -> None:
        epoch = _epoch(snapshot.position)
        lost: list[tuple[Record, State]] = []
        if self._position is not None and _epoch(self._position) != epoch:
            there = {record.id for record, _ in snapshot.agents}
            lost = [(e.record, e.state) for e in self.directory.entries.values() if e.record.id not in there]
            self._settled_at = self.clock() + _SETTLING
        if lost:
            logger.warning("the store has lost agents: giving them back", extra={"fields": {"agents": len(lost)}})
            await self.store.restore(lost)
        waiting = [(record, State.HEALTHY) for record in self.pending.puts.values()]
        self.directory.replace([*snapshot.agents, *lost, *waiting])
        self._position = snapshot.position
        self.pending.keep_whole(snapshot.position, [(e.record, e.state) for e in self.directory.entries.values()])
        self.hub.begin(snapshot.position, self._events(snapshot.log))
        self._first.set()

    def _events(self, log: Iterable[Change]) -> Iterable[Event]:
        for change in log:
            if change.kind != "forgotten":
                entry = self.directory.get(change.id)
                record = change.record or (None if entry is None else entry.record)
                yield Event(change.position, change.kind, change.id, STATE_AFTER.get(change.kind), record)

    async def _deliver_pending(self) -> None:
        """What was accepted while the store was away."""
        for record, outcome in await self.pending.deliver(self.store):
            logger.warning("a registration is refused by the store", extra={"fields": {"outcome": outcome}})
            (known,) = await self.store.find([record.id])
            if known is None:
                self.directory.drop(record.id)
            else:
                self.directory.set(known, State.HEALTHY, self.clock())

    # The agents' side.

    async def _pulse(self) -> None:
        while True:
            began = self.clock()
            await asyncio.sleep(1.0)
            elapsed = self.clock() - began
            self.pace.tick(elapsed, elapsed - 1.0)
            try:
                await self._tell_heard()
            except StoreUnavailable:
                continue  # they are told with the next ones
            if self.up and self.pending.waiting:
                await self._deliver_pending()

    async def _tell_heard(self) -> None:
        heard, self._heard = self._heard, {}
        if not heard:
            return
        try:
            await self.store.beat(list(heard), self.pace.stretch)
        except StoreUnavailable:
            self._heard = {**heard, **self._heard}
            raise

    async def _sweep(self) -> None:
        part: list[Entry] = []
        size = 0
        while True:
            began = self.clock()
            await asyncio.sleep(_TICK)
            now = self.clock()
            if now - began > _TICK + _STALL:
                self._floor = now  # we were held up ourselves, and could not hear anyone
            if not part:
                part = list(self.directory.entries.values())
                size = -(-len(part) // _TICKS) or 1
            looked_at, part = part[:size], part[size:]
            if self.up:
                moves = self.due(looked_at, now)
                recovered, self._recovered = self._recovered, {}
                moves.extend(Move(agent, "recovered") for agent in recovered)
                await self._propose(moves)

    def due(self, entries: Iterable[Entry], now: float) -> list[Move]:
        """What follows from how long agents were silent; nothing from before the store was last away."""
        healthy, degraded, _ = self.directory.counts
        most_are_silent = healthy + degraded >= _FEW and degraded > _SILENCE * (healthy + degraded)
        gone_after = GONE_AFTER_IN_SILENCE if most_are_silent else GONE_AFTER
        moves: list[Move] = []
        floor = self._floor
        for entry in entries:
            silent = now - (max(floor, entry.heard)) - SLACK
            if silent <= DEGRADED_AFTER * entry.pace:
                continue
            if entry.state is State.GONE:
                if silent > self._retention:
                    moves.append(Move(entry.record.id, "forgotten", self._retention))
            elif silent > gone_after * entry.pace:
                moves.append(Move(entry.record.id, "gone", gone_after * entry.pace))
            elif entry.state is State.HEALTHY:
                moves.append(Move(entry.record.id, "degraded", DEGRADED_AFTER * entry.pace))
        return moves

    async def _propose(self, moves: Sequence[Move]) -> None:
        try:
            for start in range(0, len(moves), _MOVES_AT_ONCE):
                await self.store.expire(moves[start : start + _MOVES_AT_ONCE])
        except StoreUnavailable:
            return  # what is true then is found again


def _epoch(position: str) -> str:
    return position.partition("-")[0]


def _done(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, StoreUnavailable):
        logger.error("delivering what was accepted meanwhile failed", exc_info=error)
