"""Whatever a child does about it, it ends with all its descendants, in bounded time."""

import asyncio
import os
import signal
import time

import pytest
from hygiene import alive, descendants, until

from app.gateway.children.keeper import _wire as wire


async def test_a_child_that_ends_with_its_input_is_not_signalled(run):
    child = await run("echo", after_input=30.0)
    await child.stop()
    assert child.ended.result().status == 0


async def test_a_child_that_ignores_the_end_of_its_input_gets_sigterm(ready):
    child = await ready("ignore-end-of-input")
    await child.stop()
    assert child.ended.result().status == -signal.SIGTERM
    assert child.ended.result().asked


async def test_a_child_that_ignores_sigterm_too_is_killed_in_bounded_time(ready):
    child = await ready("ignore-sigterm")
    began = time.monotonic()
    await child.stop()
    assert child.ended.result().status == -signal.SIGKILL
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("manner", ["tree", "daemon", "breeder", "flood-output", "flood-errors", "deaf", "stop-itself"])
async def test_stopping_leaves_no_descendant(ready, children, manner):
    child = await ready(manner)
    await child.stop()
    assert set(descendants()) == {children.keeper}


async def test_daemons_are_ended_when_their_server_ends_by_itself(ready, children):
    child = await ready("daemon")
    await until(lambda: len(descendants(child.minder)) == 3)
    child.lines.close_input()
    await child.gone.wait()
    assert child.orphans == 2
    assert set(descendants()) == {children.keeper}


async def test_what_it_left_behind_is_counted_though_its_minder_ended_without_reading_all_we_said(ready):
    child = await ready("daemon")
    os.kill(child.minder, signal.SIGSTOP)
    await until(lambda: "stopped" in descendants()[child.minder])
    child.lines.close_input()
    await until(lambda: "zombie" in descendants()[child.pid])
    for _ in range(2):  # it reads one, and then sees that its child has ended
        child._control.send(wire.pack(wire.STOP, 1.0, 1.0))
    os.kill(child.minder, signal.SIGCONT)
    await child.gone.wait()
    assert child.orphans == 2


async def test_daemons_that_end_leave_no_zombies_while_their_server_lives_on(ready):
    child = await ready("litter", look=60.0)
    assert await anext(child.lines) == b'{"hundred":true}'
    zombies = [what for what in descendants(child.minder).values() if what.startswith("zombie")]
    assert len(zombies) <= 10
    await child.stop()


async def test_a_stopped_child_still_ends(ready, children):
    child = await ready("stop-itself")
    await until(lambda: "stopped" in descendants()[child.pid])
    await child.stop()
    assert set(descendants()) == {children.keeper}


async def test_a_child_that_closes_its_output_but_lives_is_ended(ready):
    child = await ready("close-output")
    assert [line async for line in child.lines] == []
    await child.gone.wait()
    assert child.ended.result().loss() == "it closed its standard output and lived on: ended"


async def test_a_child_over_its_memory_is_killed_and_told_why(ready):
    child = await ready("hog", 200, memory=60 << 20)
    ending = await child.ended
    await child.gone.wait()
    assert ending.status == -signal.SIGKILL
    assert str(ending) == "ended: it took more memory than its limit of 60 MiB"
    assert child.most_memory > 60 << 20


async def test_a_child_killed_by_somebody_else_may_have_run_out_of_memory(ready):
    child = await ready("die", 9)
    assert str(await child.ended) == "killed by signal 9 (out of memory?)"
    await child.gone.wait()


async def test_a_crash_is_told_with_the_last_words(run):
    child = await run("crash", 3)
    await child.gone.wait()
    assert str(child.ended.result()) == "exit status 3: cannot find the flux capacitor"


async def test_a_child_that_kills_its_minder_dies_with_its_daemons(ready, children):
    child = await ready("kill-parent", 9)
    await child.gone.wait()
    assert set(descendants()) == {children.keeper}
    assert str(child.ended.result()).startswith("lost")
    assert child.orphans >= 1


async def test_a_child_that_stops_its_minder_ends_all_the_same(ready, children):
    child = await ready("kill-parent", signal.SIGSTOP)
    await until(lambda: "stopped" in descendants()[child.minder])
    await child.stop()
    assert set(descendants()) == {children.keeper}


async def test_a_minder_that_does_not_end_its_child_is_killed(ready, children, monkeypatch):
    monkeypatch.setattr("app.gateway.children.child._MINDER", 0.1)
    child = await ready("ignore-sigterm")
    child.end()
    os.kill(child.minder, signal.SIGSTOP)
    await child.stop()
    assert set(descendants()) == {children.keeper}


async def test_stopping_twice_at_once_is_stopping_once(ready):
    child = await ready("ignore-sigterm")
    await asyncio.gather(child.stop(), child.stop())
    assert not alive(child.pid)
