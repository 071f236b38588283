"""Nothing outlives a gateway that is killed, not even together with others of its processes."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from hygiene import HOSTILE, TIED, Baseline, alive, descendants, until

DOOMED = Path(HOSTILE).with_name("doomed.py")


@dataclass
class Gateway:
    """A gateway in a process of its own."""

    process: subprocess.Popen[bytes]
    keeper: int
    minders: list[int]
    children: list[int]
    all: list[psutil.Process]

    def kill(self, *pids: int) -> None:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)  # so that none has the time to act on the end of another
        for pid in pids:
            os.kill(pid, signal.SIGKILL)

    def left(self) -> list[int]:
        return [p.pid for p in self.all if p.is_running() and alive(p.pid)]


def family(pid: int) -> list[psutil.Process]:
    return [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]


@pytest.fixture
def gateway(folder: Path) -> Iterator[Callable[..., Gateway]]:
    """Starts one; at the end nothing of it may be left, whatever happened to it."""
    started: list[Gateway] = []

    def start(*manners: str, loop: str = "uvloop") -> Gateway:
        command = [*TIED, sys.executable, str(DOOMED), str(folder), loop, *manners]
        environment = {**os.environ, "PYTHONPATH": str(DOOMED.parent)}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
        assert process.stdout is not None
        lines = [process.stdout.readline().split() for _ in (*manners, "ready")]
        assert lines[-1] == [b"ready"]
        keepers, minders, children = zip(*(map(int, line) for line in lines[:-1]), strict=True)
        made = Gateway(process, keepers[0], list(minders), list(children), family(process.pid))
        started.append(made)
        return made

    yield start
    for made in started:
        made.process.kill()
        made.process.stdout.close()
        made.process.wait()
        for each in made.all:
            with suppress(psutil.NoSuchProcess):
                each.kill()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
async def test_killing_the_gateway_leaves_nothing(gateway, folder, loop):
    doomed = gateway("ignore-sigterm", "tree", "daemon", "stop-itself", "flood-errors", loop=loop)
    # Some of them fork after they have said that they are there.
    await until(lambda: len(family(doomed.process.pid)) >= 2 + 2 * 5 + 3 + 2 + 1)
    doomed.all = family(doomed.process.pid)
    assert len(list(folder.iterdir())) == 5
    doomed.kill(doomed.process.pid)
    await until(lambda: not doomed.left())
    assert not list(folder.iterdir())


async def test_killing_gateway_and_keeper_together_leaves_nothing(gateway, folder):
    doomed = gateway("ignore-sigterm", "daemon")
    doomed.kill(doomed.process.pid, doomed.keeper)
    await until(lambda: not doomed.left())
    assert not list(folder.iterdir())


async def test_killing_gateway_and_minders_together_leaves_nothing(gateway, folder):
    doomed = gateway("ignore-sigterm", "daemon")
    doomed.kill(doomed.process.pid, *doomed.minders)
    await until(lambda: not doomed.left())
    assert not list(folder.iterdir())


async def test_killing_the_keeper_ends_its_children_and_the_gateway_lives(gateway, folder):
    doomed = gateway("ignore-sigterm", "daemon")
    doomed.kill(doomed.keeper)
    await until(lambda: [psutil.Process(doomed.process.pid)] == [p for p in doomed.all if alive(p.pid)])
    await until(lambda: not descendants(doomed.process.pid))
    await until(lambda: not list(folder.iterdir()))


async def test_killing_keeper_and_minders_together_leaves_nothing_but_the_gateway(gateway, folder):
    doomed = gateway("ignore-sigterm", "daemon")
    doomed.kill(doomed.keeper, *doomed.minders)
    # The daemon that dropped its environment and left its session too.
    await until(lambda: not descendants(doomed.process.pid))
    assert alive(doomed.process.pid)
    await until(lambda: not list(folder.iterdir()))


async def test_a_gateway_below_another_tells_its_own_processes_from_the_others():
    program = (
        "from app.gateway.children.keeper._mark import bear, bears, new_mark\n"
        "import os, time\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"  # root may raise a limit again
        "outer = new_mark(); bear(outer)\n"
        "inner = new_mark(); reading, writing = os.pipe(); pid = os.fork()\n"
        "if pid == 0: bear(inner); bear(outer); os.write(writing, b'.'); time.sleep(60); os._exit(0)\n"
        "os.read(reading, 1)\n"
        "print(bears(pid, inner), bears(pid, outer), bears(os.getpid(), outer), bears(os.getpid(), inner))\n"
        "os.kill(pid, 9); os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)\n"
        "print('zombie', bears(pid, inner)); os.waitpid(pid, 0); print('gone', bears(pid, inner))\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=subprocess.PIPE)
    said, _ = await process.communicate()
    assert said.decode().split("\n") == ["True False True False", "zombie True", "gone False", ""]


async def test_closing_ends_a_keeper_that_somebody_has_stopped(children, run):
    child = await run("echo")
    os.kill(children.keeper, signal.SIGSTOP)
    async with asyncio.timeout(10):
        await children.close()
    assert child.gone.is_set()


async def test_a_signal_to_the_group_of_the_gateway_spares_the_keeper_for_its_work(gateway, folder):
    doomed = gateway("ignore-sigterm", "daemon")
    assert os.getpgid(doomed.keeper) != os.getpgid(doomed.process.pid)
    assert len({os.getpgid(child) for child in doomed.children}) == 2
    doomed.process.send_signal(signal.SIGTERM)
    await until(lambda: not doomed.left())
    assert not list(folder.iterdir())


async def test_the_gateway_adopts_orphans_without_taking_the_status_of_others(children, run):
    await run("echo")
    process = await asyncio.create_subprocess_exec(sys.executable, "-I", "-S", "-c", "raise SystemExit(8)")
    children._look_for_zombies()
    assert await process.wait() == 8
    other = _popen("raise SystemExit(7)")  # seen once: what is seen twice is taken for nobody's
    await until(lambda: psutil.Process(other.pid).status() == psutil.STATUS_ZOMBIE)
    children._look_for_zombies()
    assert other.wait() == 7


async def test_zombies_that_nobody_awaits_are_reaped(children, run):
    await run("echo")
    assert _popen("import os, time\nif os.fork(): raise SystemExit\ntime.sleep(0.05)").wait() == 0
    await until(lambda: "zombie" in str(descendants()))
    for _ in range(2):
        children._look_for_zombies()
    assert "zombie" not in str(descendants())


async def test_starting_many_at_once_leaves_nothing(folder, tail):
    from children_commands import hostile

    from app.gateway.children.children import Children

    before = Baseline.take(folder)
    children = Children(folder=folder)
    started = await asyncio.gather(*(children.start(hostile("echo"), tail) for _ in range(20)))
    assert len({child.pid for child in started}) == 20
    os.kill(children.keeper, signal.SIGKILL)
    await asyncio.gather(*(child.gone.wait() for child in started))
    child = await children.start(hostile("echo"), tail)
    await child.lines.send(b"{}")
    assert await anext(child.lines) == b"{}"
    await children.close()
    await asyncio.sleep(0)
    before.check()


def _popen(program: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-I", "-S", "-c", program])
