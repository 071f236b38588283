"""Starting, stopping and changing servers."""

import asyncio

import pytest

from app.gateway.manager.model import Conflict, Refused, UnknownServer
from app.gateway.manager.parts import ManagerLimits
from app.gateway.spec import ServerSpec

EVERYTHING = ServerSpec(type="npx", package="@modelcontextprotocol/server-everything")


async def test_a_started_server_becomes_ready_with_its_tools(yard):
    manager = await yard.manager()
    status, made = await manager.start("calc", EVERYTHING, by="ann")
    assert (made, status.id, status.by) == (True, "calc", "ann")
    status = await manager.settled("calc", 5)
    assert (status.phase, status.reason, status.tools) == ("ready", "", 2)
    assert status.package == "@modelcontextprotocol/server-everything@1"
    assert status.server.name == "http://calc/1"
    assert [tool.definition.name for tool in yard.catalogue.union.tools()] == ["calc_add", "calc_subtract"]


async def test_the_same_spec_again_is_the_same_server(yard):
    manager = await yard.manager()
    for _ in range(3):
        await manager.start("calc", EVERYTHING)
    await manager.settled("calc", 5)
    status, made = await manager.start("calc", EVERYTHING)
    assert not made
    assert status.phase == "ready"
    assert yard.launcher.started == ["calc"]


async def test_starts_at_the_same_moment_are_one_start(yard):
    manager = await yard.manager()
    outcomes = await asyncio.gather(*(manager.start("calc", EVERYTHING) for _ in range(20)))
    assert sorted(made for _, made in outcomes) == [False] * 19 + [True]
    await manager.settled("calc", 5)
    assert yard.launcher.started == ["calc"]
    assert yard.resolver.asked == ["calc"]


async def test_another_spec_of_the_same_name_is_a_conflict_that_names_the_differences(yard):
    manager = await yard.manager()
    secret = ServerSpec(type="npx", package="one", environment={"API_KEY": "hunter2hunter2"})
    await manager.start("calc", secret)
    with pytest.raises(Conflict) as caught:
        await manager.start("calc", ServerSpec(type="npx", package="two", args=("--fast",)))
    assert [difference.field for difference in caught.value.differences] == ["package", "args", "environment"]
    assert "'two' was asked for, and 'one' runs" in str(caught.value)
    assert "hunter2" not in str(caught.value)


async def test_a_replaced_server_serves_until_the_new_one_is_ready(yard, until):
    manager = await yard.manager()
    await manager.start("calc", ServerSpec(type="npx", package="one"))
    await manager.settled("calc", 5)
    yard.launcher.held.add("calc--2")
    await manager.start("calc", ServerSpec(type="npx", package="two"), replace=True)
    await until(lambda: "calc--2" in yard.launcher.running)
    first = yard.upstreams["calc"][0]
    assert "calc" in yard.launcher.running
    assert not first.closed
    assert len(yard.catalogue.union.tools()) == 2
    yard.launcher.say("calc--2", "running")
    status = await manager.settled("calc", 5)
    await until(lambda: first.closed and "calc" not in yard.launcher.running)
    assert status.phase == "ready"
    assert status.package == "two@1"


async def test_a_replacement_that_does_not_start_leaves_the_one_before_serving(yard, until):
    manager = await yard.manager()
    await manager.start("calc", ServerSpec(type="npx", package="one"))
    await manager.settled("calc", 5)
    yard.launcher.failing["calc--2"] = "exit status 1: no such file"
    await manager.start("calc", ServerSpec(type="npx", package="two"), replace=True)
    await until(lambda: manager.get("calc").phase == "degraded")
    assert "exit status 1: no such file" in manager.get("calc").reason
    assert list(yard.launcher.running) in (["calc"], ["calc", "calc--2"])
    assert len(yard.catalogue.union.tools()) == 2
    del yard.launcher.failing["calc--2"]
    await until(lambda: manager.get("calc").phase == "ready")
    assert list(yard.launcher.running) == ["calc--2"]


async def test_where_both_would_listen_on_one_port_the_old_one_goes_first(yard, until):
    manager = await yard.manager()
    await manager.start("calc", ServerSpec(type="npx", package="one", port=9000))
    await manager.settled("calc", 5)
    yard.launcher.held.add("calc--2")
    await manager.start("calc", ServerSpec(type="npx", package="two", port=9000), replace=True)
    await until(lambda: "calc--2" in yard.launcher.running)
    assert list(yard.launcher.running) == ["calc--2"]


async def test_a_failed_server_says_the_launchers_own_reason_and_nothing_of_it_stays(yard, until):
    manager = await yard.manager(limits=ManagerLimits(retry_first=60))
    yard.launcher.failing["calc"] = "ErrImagePull: manifest unknown"
    yard.launcher.words["calc"] = ["starting", "Error: no API key"]
    await manager.start("calc", EVERYTHING)
    status = await manager.settled("calc", 5)
    assert (status.phase, status.reason) == ("failed", "ErrImagePull: manifest unknown")
    await until(lambda: not yard.launcher.running)
    assert [line async for line in manager.logs("calc")] == ["starting", "Error: no API key"]
    assert yard.catalogue.listing("calc") is None


async def test_a_server_that_failed_is_tried_again(yard, until):
    manager = await yard.manager()
    yard.launcher.failing["calc"] = "quota exceeded"
    await manager.start("calc", EVERYTHING)
    assert (await manager.settled("calc", 5)).phase == "failed"
    del yard.launcher.failing["calc"]
    await until(lambda: manager.get("calc").phase == "ready")


async def test_starting_a_failed_server_again_tries_at_once(yard, until):
    manager = await yard.manager(limits=ManagerLimits(retry_first=60))
    yard.launcher.failing["calc"] = "quota exceeded"
    await manager.start("calc", EVERYTHING)
    await manager.settled("calc", 5)
    await until(lambda: not yard.launcher.running)
    del yard.launcher.failing["calc"]
    await manager.start("calc", EVERYTHING)
    await until(lambda: manager.get("calc").phase == "ready")


async def test_a_server_that_cannot_be_reached_is_failed_and_stopped(yard, until):
    manager = await yard.manager(limits=ManagerLimits(retry_first=60))
    yard.refusals["calc"] = "it speaks no MCP"
    await manager.start("calc", EVERYTHING)
    status = await manager.settled("calc", 5)
    assert (status.phase, status.reason) == ("failed", "it speaks no MCP")
    await until(lambda: not yard.launcher.running)
    assert yard.upstreams["calc"][0].closed


async def test_one_that_dies_during_the_handshake_fails_at_once_with_its_reason(yard, until):
    manager = await yard.manager(limits=ManagerLimits(retry_first=60, start_seconds=60))
    yard.silent.add("calc")
    await manager.start("calc", EVERYTHING)
    await until(lambda: manager.get("calc").phase == "initializing")
    yard.launcher.say("calc", "failed", "exit status 7")
    status = await manager.settled("calc", 5)
    assert (status.phase, status.reason) == ("failed", "exit status 7")


async def test_a_silent_server_fails_when_its_time_is_over(yard):
    manager = await yard.manager(limits=ManagerLimits(retry_first=60, start_seconds=0.05))
    yard.silent.add("calc")
    await manager.start("calc", EVERYTHING)
    status = await manager.settled("calc", 5)
    assert (status.phase, status.reason) == ("failed", "it was not ready within 0.05 seconds")


async def test_zero_tools_are_no_success(yard):
    manager = await yard.manager()
    yard.tools["calc"] = []
    await manager.start("calc", EVERYTHING)
    status = await manager.settled("calc", 5)
    assert (status.phase, status.tools) == ("degraded", 0)
    assert "no tools" in status.reason


async def test_a_lost_server_is_degraded_and_its_lists_are_kept(yard, until):
    manager = await yard.manager()
    await manager.start("calc", EVERYTHING)
    await manager.settled("calc", 5)
    upstream = yard.upstreams["calc"][0]
    upstream.lose()
    status = manager.get("calc")
    assert (status.phase, status.tools, status.stale) == ("degraded", 2, True)
    upstream.find()
    await until(lambda: manager.get("calc").phase == "ready")


async def test_a_crash_is_told_and_a_server_that_comes_back_is_ready_again(yard, until):
    manager = await yard.manager(limits=ManagerLimits(recover_seconds=60))
    await manager.start("calc", EVERYTHING)
    await manager.settled("calc", 5)
    yard.launcher.say("calc", "failed", "exit status 137: out of memory")
    await until(lambda: manager.get("calc").phase == "failed")
    assert manager.get("calc").reason == "exit status 137: out of memory"
    yard.launcher.say("calc", "running")
    await until(lambda: manager.get("calc").phase == "ready")
    assert yard.launcher.started == ["calc"]


async def test_a_server_that_stays_down_is_started_anew(yard, until):
    manager = await yard.manager()
    await manager.start("calc", EVERYTHING)
    await manager.settled("calc", 5)
    yard.launcher.say("calc", "failed", "exit status 1")
    await until(lambda: yard.launcher.started == ["calc", "calc"])
    await until(lambda: manager.get("calc").phase == "ready")
    assert yard.upstreams["calc"][0].closed


async def test_a_server_at_a_new_address_is_reached_there(yard, until):
    manager = await yard.manager()
    await manager.start("calc", EVERYTHING)
    await manager.settled("calc", 5)
    yard.launcher.started.append("calc")
    yard.launcher.say("calc", "running")
    await until(lambda: len(yard.upstreams["calc"]) == 2 and manager.get("calc").phase == "ready")
    assert yard.upstreams["calc"][1].url == "http://calc/2"
    assert yard.upstreams["calc"][0].closed


async def test_a_stopped_server_is_gone_everywhere(yard):
    manager = await yard.manager()
    await manager.start("calc", EVERYTHING)
    await manager.settled("calc", 5)
    await manager.stop("calc")
    assert manager.list() == []
    assert yard.launcher.running == {}
    assert yard.catalogue.listing("calc") is None
    assert yard.upstreams["calc"][0].closed
    with pytest.raises(UnknownServer, match="there is no server 'calc'"):
        manager.get("calc")


async def test_a_server_is_stopped_while_it_starts(yard, until):
    manager = await yard.manager()
    yard.launcher.held.add("calc")
    await manager.start("calc", EVERYTHING)
    await until(lambda: "calc" in yard.launcher.running)
    await manager.stop("calc")
    assert yard.launcher.running == {}
    assert manager.list() == []


async def test_a_caller_who_goes_away_leaves_nothing_half_done(yard, until):
    manager = await yard.manager()
    starting = asyncio.create_task(manager.start("calc", EVERYTHING))
    await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    await until(lambda: bool(manager.list()) and manager.get("calc").phase == "ready")


async def test_many_start_at_the_same_time_but_not_more_than_the_cap(yard, until):
    manager = await yard.manager(limits=ManagerLimits(starts_at_once=4))
    names = [f"s{number}" for number in range(12)]
    yard.launcher.held.update(names)
    for name in names:
        await manager.start(name, EVERYTHING)
    await until(lambda: len(yard.launcher.running) == 4)
    assert yard.launcher.most_at_once == 4
    yard.launcher.held.clear()
    for name in list(yard.launcher.running):
        yard.launcher.say(name, "running")
    await until(lambda: all(status.phase == "ready" for status in manager.list()))
    assert len(yard.launcher.running) == 12


async def test_one_dead_server_does_not_keep_others_from_starting(yard):
    manager = await yard.manager()
    yard.silent.add("dead")
    await manager.start("dead", EVERYTHING)
    await manager.start("alive", EVERYTHING)
    assert (await manager.settled("alive", 5)).phase == "ready"
    assert manager.get("dead").phase == "initializing"


async def test_a_server_lives_as_long_as_it_was_given(yard, until):
    manager = await yard.manager()
    await manager.start("calc", EVERYTHING, ttl=0.05)
    await manager.start("other", EVERYTHING)
    await until(lambda: [status.id for status in manager.list()] == ["other"])
    await until(lambda: list(yard.launcher.running) == ["other"])


async def test_what_cannot_be_started_is_refused_with_every_problem_and_not_kept(yard):
    manager = await yard.manager()
    with pytest.raises(Refused) as caught:
        await manager.start("a b/", ServerSpec(package="x y", url="ftp://h", port=0), ttl=-1)
    assert {problem.field for problem in caught.value.problems} == {"name", "package", "url", "port", "ttlSeconds"}
    yard.resolver.refused["calc"] = "is blocked by packages.block"
    with pytest.raises(Refused, match=r"is blocked by packages\.block") as caught:
        await manager.start("calc", EVERYTHING)
    assert caught.value.problems[0].field == "package"
    assert manager.list() == []
    assert await manager.store.load() == {}


async def test_a_registry_that_is_away_is_waited_for(yard, until):
    manager = await yard.manager()
    yard.resolver.away = "no route to the registry"
    await manager.start("calc", EVERYTHING)
    status = await manager.settled("calc", 5)
    assert (status.phase, status.reason) == ("failed", "it could not be resolved: no route to the registry")
    yard.resolver.away = ""
    await until(lambda: manager.get("calc").phase == "ready")


async def test_a_remote_server_is_reached_and_nothing_is_launched(yard):
    manager = await yard.manager()
    await manager.start("docs", ServerSpec(type="remote", url="https://docs.example.org/mcp"))
    status = await manager.settled("docs", 5)
    assert status.phase == "ready"
    assert yard.launcher.started == []
    assert yard.upstreams["docs"][0].url == "https://docs.example.org/mcp"
    await manager.stop("docs")
    assert yard.launcher.stopped == []


async def test_a_server_without_a_name_is_called_after_what_it_is(yard):
    manager = await yard.manager()
    status, _ = await manager.start(None, EVERYTHING)
    assert status.id == "everything"
    other = ServerSpec(type="npx", package="@modelcontextprotocol/server-everything", args=("stdio",))
    first, _ = await manager.start(None, other)
    again, made = await manager.start(None, other)
    assert first.id == again.id
    assert first.id.startswith("everything-")
    assert not made


async def test_a_health_check_asks_the_server_itself(yard):
    manager = await yard.manager()
    await manager.start("calc", EVERYTHING)
    await manager.settled("calc", 5)
    status, seconds, reason = await manager.health("calc")
    assert (status.phase, reason) == ("ready", "")
    assert seconds is not None
    yard.upstreams["calc"][0].refusal = "it was lost"
    _, seconds, reason = await manager.health("calc")
    assert (seconds, reason) == (None, "it was lost")
