"""Children that misbehave, and a look at what they leave behind after every test."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from children_commands import hostile
from hygiene import Baseline

from app.gateway.children.child import Child
from app.gateway.children.children import Children
from app.gateway.children.masking import Masker
from app.gateway.children.tail import Tail

Run = Callable[..., Awaitable[Child]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "private"
    made.mkdir()
    return made


@pytest.fixture
async def children(folder: Path) -> AsyncIterator[Children]:
    """Closed at the end; then nothing may be left."""
    before = Baseline.take(folder)
    made = Children(folder=folder, most=8)
    try:
        async with asyncio.timeout(60):
            yield made
    finally:
        async with asyncio.timeout(30):
            await made.close()
        await asyncio.sleep(0)  # closed transports let go of their pipes in the next turn
        await asyncio.sleep(0)
    before.check()
    assert len(asyncio.all_tasks()) == 1


@pytest.fixture
def tail() -> Tail:
    return Tail("hostile", Masker({"API_TOKEN": "s3cr3t-value"}))


@pytest.fixture
def run(children: Children, tail: Tail) -> Run:
    async def started(manner: str, number: int = 0, **more: object) -> Child:
        return await children.start(hostile(manner, number, **more), tail)

    return started


@pytest.fixture
async def ready(run: Run) -> Run:
    """A child that has said that it is ready."""

    async def said(manner: str, number: int = 0, **more: object) -> Child:
        child = await run(manner, number, **more)
        assert await anext(child.lines) == b'{"ready":true}'
        return child

    return said
