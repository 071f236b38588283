"""What the union of all servers shows, and one server by itself."""

import asyncio
import json

from app.gateway.catalogue.catalogue import Catalogue
from app.gateway.catalogue.names import LONGEST, prefixed
from app.gateway.catalogue.view import Choice
from app.gateway.upstream import CONNECTED, LOST, UpstreamFailure, UpstreamUnavailable

ECHO = {
    "name": "echo",
    "title": "Echo",
    "description": "Says it again.",
    "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}},
    "outputSchema": {"type": "object"},
    "annotations": {"readOnlyHint": True, "vendorHint": 7},
    "icons": [{"src": "data:,"}],
    "_meta": {"vendor/x": [1]},
    "unheardOf": {"kept": None},
}


async def test_the_union_prefixes_names_and_keeps_everything_else_that_a_server_said(catalogue, scripted, asker):
    await catalogue.put("one", scripted(tools=[ECHO]))
    listed = await asker(catalogue.union).result("tools/list")
    assert listed["tools"] == [{**ECHO, "name": "one_echo"}]


async def test_one_server_by_itself_has_the_names_that_it_uses(catalogue, scripted, asker):
    await catalogue.put("one", scripted(tools=[ECHO], prompts=[{"name": "greet"}]))
    alone = asker(catalogue.server("one"))
    assert (await alone.result("tools/list"))["tools"] == [ECHO]
    assert await alone.names("prompts") == ["greet"]


async def test_an_older_revision_is_not_shown_what_it_lacks(catalogue, scripted, asker):
    await catalogue.put("one", scripted(tools=[ECHO]))
    (shown,) = (await asker(catalogue.union).result("tools/list", revision="2024-11-05"))["tools"]
    assert set(ECHO) - set(shown) == {"title", "icons", "outputSchema", "annotations"}


async def test_servers_with_the_same_names_stand_beside_each_other(catalogue, scripted, asker):
    for server in ("one", "two"):
        await catalogue.put(server, scripted(tools=[ECHO], prompts=[{"name": "greet"}]))
    union = asker(catalogue.union)
    assert await union.names() == ["one_echo", "two_echo"]
    assert await union.names("prompts") == ["one_greet", "two_greet"]


async def test_a_virtual_server_has_the_chosen_servers_and_tools(scripted, asker):
    catalogue = Catalogue(virtual={"some": Choice(servers=("one", "two"), tools=("one_*", "*_b"))})
    for server in ("one", "two", "three"):
        await catalogue.put(server, scripted(tools=[{"name": "a"}, {"name": "b"}], prompts=[{"name": "p"}]))
    some = asker(catalogue.virtual("some"))
    assert await some.names() == ["one_a", "one_b", "two_b"]
    assert await some.names("prompts") == ["one_p", "two_p"]
    assert catalogue.virtual("other") is None
    await catalogue.close()


async def test_virtual_servers_can_be_declared_anew_while_others_go_on(catalogue, scripted, asker):
    await catalogue.put("one", scripted(tools=[{"name": "a"}]))
    catalogue.declare({"x": Choice(servers=("one",)), "y": Choice(servers=())})
    kept = catalogue.virtual("x")
    catalogue.declare({"x": Choice(servers=("one",)), "z": Choice()})
    assert catalogue.virtual("x") is kept
    assert catalogue.virtual("y") is None
    assert await asker(catalogue.virtual("z")).names() == ["one_a"]


async def test_a_name_that_cannot_stand_beside_others_is_served_under_another_and_told(catalogue, scripted, asker):
    listing = await catalogue.put("one", scripted(tools=[{"name": "ünsinn/a"}, {"name": "x" * 200}]))
    names = await asker(catalogue.union).names()
    assert names == [prefixed("one", "ünsinn/a"), prefixed("one", "x" * 200)]
    assert all(len(name) <= LONGEST and name.isascii() for name in names)
    assert [name in problem for name, problem in zip(names, listing.problems, strict=True)] == [True, True]
    assert await asker(catalogue.server("one")).names() == ["ünsinn/a", "x" * 200]


async def test_two_tools_of_one_name_are_told_and_the_first_is_served(catalogue, scripted, asker):
    listing = await catalogue.put("one", scripted(tools=[{"name": "a", "title": "first"}, {"name": "a"}]))
    assert (await asker(catalogue.union).result("tools/list"))["tools"] == [{"name": "one_a", "title": "first"}]
    assert "There are two of the tool 'one_a'" in listing.problems[0]


async def test_what_has_no_name_is_left_out_and_told(catalogue, scripted, asker):
    listing = await catalogue.put("one", scripted(tools=[{"title": "?"}, 7, {"name": 1}, {"name": "a"}]))
    assert await asker(catalogue.union).names() == ["one_a"]
    assert len(listing.problems) == 3
    assert "without a 'name' of text is left out" in listing.problems[0]


async def test_no_tools_after_a_start_that_went_well_is_told(catalogue, scripted):
    listing = await catalogue.put("one", scripted(prompts=[{"name": "p"}]))
    assert listing.tools == 0
    assert "offers no tools (1 prompts and 0 resources)" in listing.problems[0]


async def test_the_last_list_of_a_lost_server_is_kept_and_marked(catalogue, scripted, asker):
    server = scripted(tools=[{"name": "a", "_meta": {"x": 1}}])
    await catalogue.put("one", server)
    await catalogue.put("two", scripted(tools=[{"name": "b"}]))
    server.tell(LOST)
    listed = (await asker(catalogue.union).result("tools/list"))["tools"]
    assert listed == [{"name": "one_a", "_meta": {"x": 1, "slipway.dev/stale": ["one"]}}, {"name": "two_b"}]
    assert catalogue.listing("one").stale
    assert not catalogue.listing("two").stale


async def test_a_server_that_is_back_is_read_again_and_no_longer_marked(catalogue, scripted, asker, turn):
    server = scripted(tools=[{"name": "a"}])
    await catalogue.put("one", server)
    server.tell(LOST)
    server.lists["tools"] = [{"name": "a"}, {"name": "b"}]
    server.tell(CONNECTED)
    await turn(lambda: not catalogue.listing("one").stale)
    assert (await asker(catalogue.union).result("tools/list"))["tools"] == [{"name": "one_a"}, {"name": "one_b"}]


async def test_a_call_of_a_lost_server_fails_at_once_with_server_reason_and_remedy(catalogue, scripted, asker):
    server = scripted(tools=[{"name": "a"}])
    await catalogue.put("one", server)
    server.available = False
    result = await asker(catalogue.union).result("tools/call", {"name": "one_a"})
    assert result["isError"] is True
    (block,) = result["content"]
    assert block["text"] == ("The server 'one' is not available: it exited with status 1. Try again once it is back.")


async def test_a_changed_list_is_read_alone_and_told(catalogue, scripted, asker, turn):
    server = scripted(tools=[{"name": "a"}], prompts=[{"name": "p"}])
    await catalogue.put("one", server)
    server.listed.clear()
    told = []
    catalogue.union.listen(told.append)
    server.lists["tools"] = [{"name": "b"}]
    for _ in range(5):
        server.tell("notifications/tools/list_changed")
    await turn(lambda: bool(told))
    assert server.listed == ["tools"]
    assert told == ["tools"]
    assert await asker(catalogue.union).names() == ["one_b"]


async def test_lists_that_are_what_they_were_when_a_server_comes_back_are_not_told(catalogue, scripted, turn):
    server = scripted(resources=[{"uri": "a:b", "name": "n"}])
    await catalogue.put("one", server)
    server.listed.clear()
    told = []
    catalogue.union.listen(told.append)
    server.tell(CONNECTED)
    await turn(lambda: len(server.listed) == 4)
    await asyncio.sleep(0)
    assert told == []


async def test_one_list_that_cannot_be_read_leaves_the_others_and_what_it_was(catalogue, scripted, asker, turn):
    server = scripted(tools=[{"name": "a"}], prompts=[{"name": "p"}])
    await catalogue.put("one", server)
    server.list_errors["tools"] = UpstreamFailure(-32603, "out of paper")
    server.lists["prompts"] = [{"name": "q"}]
    server.tell("notifications/tools/list_changed")
    server.tell("notifications/prompts/list_changed")
    await turn(lambda: bool(catalogue.listing("one").problems))
    union = asker(catalogue.union)
    assert await union.names() == ["one_a"]
    assert await union.names("prompts") == ["one_q"]
    assert catalogue.listing("one").problems == ("Its tools could not be read: it answered 'out of paper' (-32603).",)


async def test_a_slow_server_delays_no_other(catalogue, scripted, asker):
    slow, free = scripted(tools=[{"name": "s"}]), asyncio.Event()
    slow.before_list = free.wait
    putting = asyncio.create_task(catalogue.put("slow", slow))
    await catalogue.put("quick", scripted(tools=[{"name": "q"}]))
    assert await asker(catalogue.union).names() == ["quick_q"]
    free.set()
    await putting
    assert await asker(catalogue.union).names() == ["quick_q", "slow_s"]


async def test_a_server_that_was_not_reached_yet_is_served_once_it_says_that_it_is_there(
    catalogue, scripted, asker, turn
):
    server = scripted(tools=[{"name": "a"}])
    about, server.about = server.about, None
    assert (await catalogue.put("one", server)).stale
    assert server.listed == []
    server.about = about
    server.tell(CONNECTED)
    await turn(lambda: catalogue.listing("one").tools == 1)
    assert await asker(catalogue.union).names() == ["one_a"]


async def test_a_new_life_of_a_server_takes_its_place_in_one_step(catalogue, scripted, asker):
    old, new = scripted(tools=[{"name": "old"}]), scripted(tools=[{"name": "new"}])
    await catalogue.put("one", old)
    seen = []

    async def look() -> None:
        seen.append(await asker(catalogue.union).names())

    new.before_list = look
    await catalogue.put("one", new)
    assert set(map(tuple, seen)) == {("one_old",)}
    assert await asker(catalogue.union).names() == ["one_new"]
    assert old.listeners == []


async def test_a_removed_server_is_gone_from_every_view(catalogue, scripted, asker):
    server = scripted(tools=[{"name": "a"}])
    await catalogue.put("one", server)
    alone, told = catalogue.server("one"), []
    catalogue.union.listen(told.append)
    await catalogue.remove("one")
    await catalogue.remove("one")
    assert await asker(catalogue.union).names() == []
    assert await asker(alone).names() == []
    assert catalogue.server("one") is None
    assert catalogue.listing("one") is None
    assert told == ["tools", "prompts", "resources"]
    assert server.listeners == []


async def test_a_list_of_a_dead_server_fails_nothing(catalogue, scripted, asker):
    dead = scripted()
    for name in dead.lists:
        dead.list_errors[name] = UpstreamUnavailable("its process is gone")
    listing = await catalogue.put("dead", dead)
    assert "Its tools could not be read: its process is gone" in listing.problems
    await catalogue.put("one", scripted(tools=[{"name": "a"}]))
    assert await asker(catalogue.union).names() == ["one_a"]


async def test_instructions_of_all_servers_are_told_under_their_ids(catalogue, scripted, asker):
    await catalogue.put("one", scripted(instructions="Be kind."))
    await catalogue.put("two", scripted(instructions=""))
    found = await asker(catalogue.union).result("server/discover", revision="2026-07-28")
    assert found["instructions"] == "# one (tools named one_…)\nBe kind."
    alone = await asker(catalogue.server("one")).result("server/discover", revision="2026-07-28")
    assert alone["instructions"] == "Be kind."


async def test_lists_are_encoded_once_for_each_generation(catalogue, scripted, asker):
    await catalogue.put("one", scripted(tools=[{"name": f"t{n}"} for n in range(1000)]))
    union = asker(catalogue.union)
    assert len(await union.names()) == 1000
    tools, catalogue.union.tools = catalogue.union.tools, None
    assert len(await union.names()) == 1000
    catalogue.union.tools = tools
    assert json.dumps((await union.result("tools/list", revision="2026-07-28"))["ttlMs"]).isdigit()
