"""A gateway that is going to be killed: starts the servers that it is told to, says so, and waits.

`python doomed.py <folder> <asyncio|uvloop> <manner>…` prints the keeper's pid, then one line for each child: its
minder's pid and its own.
"""

import asyncio
import sys
from pathlib import Path

import uvloop
from children_commands import hostile

from app.gateway.children.children import Children
from app.gateway.children.tail import Tail


async def main(folder: str, manners: list[str]) -> None:
    children = Children(folder=Path(folder))
    tail = Tail("doomed", str)
    for manner in manners:
        child = await children.start(hostile(manner, after_input=30.0, after_term=30.0), tail)
        await anext(child.lines)
        print(children.keeper, child.minder, child.pid, flush=True)  # noqa: T201
    print("ready", flush=True)  # noqa: T201
    await asyncio.Event().wait()


if __name__ == "__main__":
    _, folder, loop, *manners = sys.argv
    (uvloop.run if loop == "uvloop" else asyncio.run)(main(folder, manners))
