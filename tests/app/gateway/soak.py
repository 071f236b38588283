"""The soak: servers are started, used, hurt and stopped at random, thousands of times; then nothing may be left.

    python tests/app/gateway/soak.py --starts 2000 --sessions 20000 [--seed 1] [--only starts]

A part is one more function in `PARTS`: it is given the world, does its share until `world.wanted[<its name>]` is
reached, counts in `world.done`, and may leave nothing behind. All parts run side by side.
"""

import argparse
import asyncio
import gc
import json
import logging
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from prometheus_client import CollectorRegistry

sys.path.insert(0, str(Path(__file__).parent / "support"))
import soak_sessions
from hygiene import HOSTILE, Baseline, descendants

from app.gateway.children.metrics import ChildMetrics
from app.gateway.children.restarts import Restarts
from app.gateway.launcher import Launched, LaunchError, Lines
from app.gateway.processes import ProcessLauncher, ProcessOptions
from app.gateway.spec import LaunchSpec, Limits

AT_A_TIME = 12
PATIENCE = 30.0
"""Seconds that anything may take."""
ANSWERING = ["echo", "ignore-end-of-input", "ignore-sigterm", "daemon", "flood-errors", "half-lines"]
USELESS = ["tree", "breeder", "flood-output", "flood-messages", "close-output", "stop-itself", "deaf", "crash", "die"]
MIB = 1 << 20


@dataclass
class World:
    """What the parts share."""

    random: random.Random
    launcher: ProcessLauncher
    wanted: dict[str, int]
    folder: Path
    spare: set[int] = field(default_factory=set)
    """Processes that `starts` leaves alone, with all below them."""
    done: Counter[str] = field(default_factory=Counter)
    """What was done, and what befell: whole parts by their name, everything else for the report."""

    def go_on(self, part: str) -> bool:
        """Begin one more of that part, if it is not enough."""
        if self.done[part] >= self.wanted[part]:
            return False
        self.done[part] += 1
        return True


async def starts(world: World) -> None:
    """Servers of every manner: started, spoken to, hurt, stopped."""

    async def work(number: int) -> None:
        while world.go_on("starts"):
            await one_server(world, f"s{number}-{world.done['starts']}")

    async with asyncio.TaskGroup() as group:
        for number in range(AT_A_TIME):
            group.create_task(work(number))


async def one_server(world: World, name: str) -> None:
    chance = world.random
    manner = chance.choice(ANSWERING + ["echo"] * 6 + USELESS)
    number = 9 if manner == "die" else 1
    spec = LaunchSpec(
        id=name,
        type="npx",
        transport="stdio",
        command=(sys.executable, "-I", "-S", HOSTILE, manner, str(number)),
        limits=Limits(memory="200Mi"),
        idle_seconds=chance.choice([None, None, 0.2]),
    )
    async with asyncio.timeout(PATIENCE):
        launched = await world.launcher.start(spec)
        for _ in range(chance.randint(1, 3)):
            with suppress(LaunchError, EOFError, TimeoutError):
                await use(world, launched, manner)
        if chance.random() < 0.05:
            await asyncio.gather(*(world.launcher.stop(name) for _ in range(3)))
        await world.launcher.stop(name)
    world.done["stopped"] += 1


async def use(world: World, launched: Launched, manner: str) -> None:
    """Open it, say something, and let go of it, or be torn away."""
    chance = world.random
    async with asyncio.timeout(1.0):
        lines = await launched.endpoint.open()
        world.done["opened"] += 1
        injury = asyncio.create_task(injure(world, lines)) if chance.random() < 0.4 else None
        try:
            if manner in ANSWERING:
                await speak(world, lines)
            else:
                async with asyncio.timeout(chance.random() * 0.2):
                    async for _ in lines:
                        world.done["lines"] += 1
        finally:
            if injury is not None:
                await injury
            if chance.random() < 0.6:
                await lines.close()


async def speak(world: World, lines: Lines) -> None:
    for number in range(world.random.randint(0, 30)):
        said = b'{"number":%d}' % number
        await lines.send(said)
        async for line in lines:
            world.done["lines"] += 1
            if line == said:
                break
        else:
            return


async def injure(world: World, lines: Lines) -> None:
    """Kill or stop any process that is not ours to keep: a child, a descendant, a minder, now and then the keeper."""
    await asyncio.sleep(world.random.random() * 0.05)
    keeper = world.launcher.children.keeper
    spared = {pid for root in world.spare if psutil.pid_exists(root) for pid in (root, *descendants(root))}
    victims = [pid for pid in descendants() if pid != keeper and pid not in spared]
    if world.random.random() < 0.02 and keeper:
        world.done["keepers killed"] += 1
        return kill(keeper, signal.SIGKILL)
    if victims:
        victim = world.random.choice(victims)
        # One that has only begun is not known as the keeper yet; when all of this is killed, nobody would wake it.
        stop = world.random.random() < 0.3 and not soak_sessions.is_keeper(victim)
        world.done["stalls" if stop else "kills"] += 1
        kill(victim, signal.SIGSTOP if stop else signal.SIGKILL)
    return None


def kill(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


async def sessions(world: World) -> None:
    """Sessions of clients with two bridges."""
    folder = world.folder / "bridges"
    folder.mkdir()
    await soak_sessions.run(lambda: world.go_on("sessions"), world.random, world.done, folder, world.spare)
    folder.rmdir()


Part = Callable[[World], Awaitable[None]]
PARTS: dict[str, Part] = {"starts": starts, "sessions": sessions}


async def soak(wanted: dict[str, int], seed: int, folder: Path) -> dict[str, object]:
    """Run the parts that something is wanted of; raises if anything is left. Returns the report."""
    registry = CollectorRegistry()
    before = Baseline.take(folder)
    memory = psutil.Process().memory_info().rss
    began = time.monotonic()
    options = ProcessOptions(
        most_children=100,
        after_input=0.1,
        after_term=0.1,
        memory_look=0.1,
        restarts=Restarts(attempts=3, base=0.01, slow=0.5),
        folder=folder,
    )
    launcher = ProcessLauncher(os.environ, options, ChildMetrics(registry))
    world = World(random.Random(seed), launcher, wanted, folder)
    try:
        async with asyncio.TaskGroup() as group:
            for name, part in PARTS.items():
                if wanted.get(name):
                    group.create_task(part(world))
    finally:
        async with asyncio.timeout(60):
            await launcher.close()
    await asyncio.sleep(0.1)
    gc.collect()
    before.check()
    tasks = [task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert not tasks, f"tasks left: {tasks}"
    counted = {
        name: registry.get_sample_value(f"slipway_children_{name}_total") for name in ("started", "reaped", "orphans")
    }
    return {
        "seconds": round(time.monotonic() - began, 1),
        "seed": seed,
        **dict(sorted(world.done.items())),
        **{f"children {name}": int(value or 0) for name, value in counted.items()},
        "memory grown (MiB)": round((psutil.Process().memory_info().rss - memory) / MIB, 1),
        "left": 0,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=2_000)
    parser.add_argument("--sessions", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", choices=sorted(PARTS))
    given = parser.parse_args()
    wanted = {name: getattr(given, name) for name in PARTS if given.only in (None, name)}
    print(f"› {wanted} with seed {given.seed}", file=sys.stderr, flush=True)  # noqa: T201
    import uvloop

    logger = logging.getLogger("slipway.child")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    # As after Ctrl-C: all that was begun is ended first.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    with tempfile.TemporaryDirectory(prefix="slipway-soak-", ignore_cleanup_errors=True) as folder:
        print(json.dumps(uvloop.run(soak(wanted, given.seed, Path(folder))), indent=2))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
