"""Children that misbehave, and a look at what they leave behind after every test."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from hygiene import HOSTILE, Baseline

from app.gateway.children.child import Child
from app.gateway.children.children import Children
from app.gateway.children.command import Command
from app.gateway.children.masking import Masker
from app.gateway.children.tail import Tail

ENVIRONMENT = {"PATH": os.environ["PATH"]}
Run = Callable[..., Awaitable[Child]]


def hostile(manner: str, number: int = 0, **more: object) -> Command:
    """One of the servers of `hostile.py`; impatient, so that tests are fast."""
    command = Command(
        server="hostile",
        argv=(sys.executable, "-I", "-S", HOSTILE, manner, str(number)),
        environment=ENVIRONMENT,
        after_input=0.15,
        after_term=0.15,
        look=0.05,
    )
    return replace(command, **more)


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
