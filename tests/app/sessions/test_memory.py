"""What the memory store does beyond the contract."""

from __future__ import annotations

from app.sessions.memory import MemoryStore
from app.sessions.store import Session, StoreLimits, new_session_id


async def a_session(store: MemoryStore) -> str:
    session = Session(id=new_session_id(), revision="2025-11-25")
    await store.create(session)
    return session.id


async def test_all_logs_together_are_bounded_at_the_cost_of_those_who_write() -> None:
    store = MemoryStore(StoreLimits(max_total_bytes=1_000))
    quiet, busy = await a_session(store), await a_session(store)
    for _ in range(5):
        await store.append(quiet, "main", b"q" * 100)
    for _ in range(100):
        await store.append(busy, "main", b"b" * 100)
    kept = [len(await store.read_after(quiet, "main:0")), len(await store.read_after(busy, "main:99"))]
    assert kept == [5, 1]
    assert sum(log.size for log in store._logs.values()) <= 1_000


async def test_what_ended_no_longer_counts() -> None:
    store = MemoryStore(StoreLimits(max_total_bytes=1_000))
    for _ in range(10):
        session = await a_session(store)
        for _ in range(9):
            await store.append(session, "main", b"x" * 100)
        assert len(await store.read_after(session, "main:0")) == 9
        await store.end(session)
