"""What every launcher must do, tried on each. A launcher joins by one more fixture in `LAUNCHERS`."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from hygiene import HOSTILE, Baseline

from app.gateway.children.restarts import Restarts
from app.gateway.launcher import Launched, Launcher
from app.gateway.processes import ProcessLauncher, ProcessOptions
from app.gateway.spec import LaunchSpec

LAUNCHERS = ["processes"]


@dataclass
class Subject:
    """A launcher under test, and how it is told to run one of the servers of `hostile.py`."""

    launcher: Launcher
    spec: Callable[..., LaunchSpec]

    async def until(self, server_id: str, *states: str) -> Launched:
        """The next news of a server that say that it is in one of these states."""
        async for launched in self.launcher.watch():
            if launched.id == server_id and launched.state in states:
                return launched
        raise AssertionError("the launcher was closed")


def process_spec(manner: str, number: int = 0, *, name: str = "server", **more: object) -> LaunchSpec:
    command = (sys.executable, "-I", "-S", HOSTILE, manner, str(number))
    return LaunchSpec(**{"id": name, "type": "npx", "transport": "stdio", "command": command, **more})


@pytest.fixture
async def processes(tmp_path: Path) -> AsyncIterator[Subject]:
    """Local processes; nothing may be left of them."""
    folder = tmp_path / "private"
    folder.mkdir()
    before = Baseline.take(folder)
    options = ProcessOptions(
        most_children=6,
        most_children_each=3,
        after_input=0.2,
        after_term=0.2,
        memory_look=0.05,
        listens_within=5.0,
        restarts=Restarts(attempts=3, base=0.02, slow=0.1),
        folder=folder,
    )
    launcher = ProcessLauncher(os.environ, options)
    try:
        async with asyncio.timeout(60):
            yield Subject(launcher, process_spec)
    finally:
        async with asyncio.timeout(30):
            await launcher.close()
        for _ in range(3):
            await asyncio.sleep(0)
    before.check()
    assert len(asyncio.all_tasks()) == 1


@pytest.fixture(params=LAUNCHERS)
def subject(request: pytest.FixtureRequest) -> Subject:
    return request.getfixturevalue(request.param)
