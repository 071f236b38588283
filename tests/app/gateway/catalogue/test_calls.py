"""A request through the catalogue: nothing is lost on the way, and each client is told in its own revision."""

import asyncio
import json

import pytest
from msgspec import Raw

from app.gateway.upstream import UpstreamFailure
from app.protocol.calls import TraceContext

RESULT = {
    "content": [{"type": "text", "text": "hi", "annotations": {"priority": 1.0}, "own": True}],
    "structuredContent": {"n": 1.0e2},
    "_meta": {"vendor/x": 1},
    "unheardOf": [None],
}
META = "io.modelcontextprotocol/"


async def put(catalogue, server, server_id="one"):
    await catalogue.put(server_id, server)
    return server


async def test_a_result_is_passed_on_byte_for_byte_in_the_older_era(catalogue, scripted, asker):
    server = await put(catalogue, scripted(tools=[{"name": "a"}]))
    server.answer("tools/call", Raw(b'{"content": [ ],  "n": 1.00, "x":"\\u00e9"}'))
    desk = asker(catalogue.union)
    found = await desk.dispatcher.registry.tool("one_a").call(None, _context("tools/call", {"name": "one_a"}))
    assert bytes(found) == b'{"content": [ ],  "n": 1.00, "x":"\\u00e9"}'


async def test_the_arguments_arrive_as_they_were_sent_under_the_tools_own_name(catalogue, scripted, asker):
    server = await put(catalogue, scripted(tools=[{"name": "a"}]))
    server.answer("tools/call", RESULT)
    arguments = {"deep": {"er": [1, 2.5, None, "ü"]}, "name": "not me"}
    meta = {"vendor/y": 2, "progressToken": "p"}
    await asker(catalogue.union).result(
        "tools/call", {"name": "one_a", "arguments": arguments, "task": {}, "more": 1}, meta=meta
    )
    assert server.asked == [("tools/call", {"name": "a", "arguments": arguments, "more": 1, "_meta": {"vendor/y": 2}})]


async def test_what_neighbours_tell_each_other_is_not_passed_on_and_the_trace_is(catalogue, scripted, asker):
    server = await put(catalogue, scripted(tools=[{"name": "a"}]))
    server.answer("tools/call", RESULT)
    trace = TraceContext("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "a=b")
    context = _context("tools/call", {"name": "one_a", "_meta": {META + "logLevel": "info"}}, trace=trace)
    await catalogue.union.tool("one_a").call(None, context)
    assert server.asked[0][1]["_meta"] == {"traceparent": trace.traceparent, "tracestate": "a=b"}


async def test_a_result_of_the_older_era_gets_what_the_newer_one_asks_for(catalogue, scripted, asker):
    server = await put(catalogue, scripted(tools=[{"name": "a"}]))
    server.answer("tools/call", RESULT)
    found = await asker(catalogue.union).result("tools/call", {"name": "one_a"}, revision="2026-07-28")
    assert found == {**RESULT, "resultType": "complete"}
    del server.answers["tools/call"]
    server.answer("tools/call", {"content": []})
    found = await asker(catalogue.union).result("tools/call", {"name": "one_a"}, revision="2026-07-28")
    assert found["_meta"] == {META + "serverInfo": {"name": "gateway", "version": "1"}}


async def test_a_result_of_the_newer_era_loses_what_the_older_one_does_not_know(catalogue, scripted, asker):
    server = await put(catalogue, scripted(revision="2026-07-28", tools=[{"name": "a"}]))
    server.answer("tools/call", {**RESULT, "resultType": "complete"})
    assert await asker(catalogue.union).result("tools/call", {"name": "one_a"}) == RESULT


async def test_the_oldest_revision_is_told_in_words_what_it_cannot_show(catalogue, scripted, asker):
    server = await put(catalogue, scripted(tools=[{"name": "a"}], prompts=[{"name": "p"}]))
    link = {"type": "resource_link", "name": "n", "uri": "u:1"}
    sound = {"type": "audio", "data": "", "mimeType": "audio/wav"}
    server.answer("tools/call", {"content": [link, sound, {"type": "text", "text": "t"}], "structuredContent": {}})
    found = await asker(catalogue.union).result("tools/call", {"name": "one_a"}, revision="2024-11-05")
    assert found == {
        "content": [
            {"type": "text", "text": "n: u:1"},
            {"type": "text", "text": "[audio, audio/wav: not shown in this protocol revision]"},
            {"type": "text", "text": "t"},
        ]
    }
    server.answer("prompts/get", {"messages": [{"role": "user", "content": link}]})
    found = await asker(catalogue.union).result("prompts/get", {"name": "one_p"}, revision="2024-11-05")
    assert found == {"messages": [{"role": "user", "content": {"type": "text", "text": "n: u:1"}}]}


async def test_an_error_of_the_servers_is_passed_on_as_it_is(catalogue, scripted, asker):
    server = await put(catalogue, scripted(tools=[{"name": "a"}]))
    server.answer("tools/call", UpstreamFailure(-32099, "no such luck", Raw(b'{"why":[1]}')))
    assert await asker(catalogue.union).error("tools/call", {"name": "one_a"}) == {
        "code": -32099,
        "message": "no such luck",
        "data": {"why": [1]},
    }


async def test_a_missing_resource_has_the_code_of_the_clients_revision(catalogue, scripted, asker):
    server = await put(catalogue, scripted(resources=[{"uri": "a:1", "name": "n"}]))
    server.answer("resources/read", UpstreamFailure(-32002, "gone"))
    desk = asker(catalogue.union)
    assert (await desk.error("resources/read", {"uri": "a:1"}))["code"] == -32002
    assert (await desk.error("resources/read", {"uri": "a:1"}, revision="2026-07-28"))["code"] == -32602


async def test_a_server_that_does_not_answer_in_time_is_named(catalogue, scripted, asker):
    server = await put(catalogue, scripted(tools=[{"name": "a"}], prompts=[{"name": "p"}]))
    server.answer("tools/call", TimeoutError())
    server.answer("prompts/get", TimeoutError())
    told = "The server 'one' did not answer within 5 s: try again, or ask for less."
    desk = asker(catalogue.union)
    found = await desk.result("tools/call", {"name": "one_a"})
    assert (found["isError"], found["content"][0]["text"]) == (True, told)
    assert (await desk.error("prompts/get", {"name": "one_p"}))["message"] == told


async def test_only_tools_that_say_so_may_be_called_again(catalogue, scripted, asker):
    tools = [{"name": "a", "annotations": {"readOnlyHint": True}}, {"name": "b", "annotations": 7}]
    server = await put(catalogue, scripted(tools=tools))
    server.answer("tools/call", RESULT)
    desk = asker(catalogue.union)
    await desk.result("tools/call", {"name": "one_a"})
    assert server.repeatable is True
    await desk.result("tools/call", {"name": "one_b"})
    assert server.repeatable is False


async def test_prompts_and_completions_reach_their_server(catalogue, scripted, asker):
    server = await put(catalogue, scripted(prompts=[{"name": "p"}], templates=[{"uriTemplate": "a:{x}", "name": "t"}]))
    server.answer("prompts/get", {"messages": [], "extra": 1})
    server.answer("completion/complete", {"completion": {"values": ["v"], "extra": 2}})
    desk = asker(catalogue.union)
    assert await desk.result("prompts/get", {"name": "one_p", "arguments": {"k": "v"}}) == {"messages": [], "extra": 1}
    argument = {"name": "x", "value": "v"}
    for reference in ({"type": "ref/prompt", "name": "one_p"}, {"type": "ref/resource", "uri": "a:{x}"}):
        params = {"ref": reference, "argument": argument, "context": {"arguments": {"y": "z"}}}
        assert await desk.result("completion/complete", params) == {"completion": {"values": ["v"], "extra": 2}}
    assert server.asked == [
        ("prompts/get", {"name": "p", "arguments": {"k": "v"}}),
        *(
            ("completion/complete", {"ref": ref, "argument": argument, "context": {"arguments": {"y": "z"}}})
            for ref in ({"type": "ref/prompt", "name": "p"}, {"type": "ref/resource", "uri": "a:{x}"})
        ),
    ]


async def test_progress_and_wanted_log_messages_reach_the_client(catalogue, scripted, asker, ear):
    server = await put(catalogue, scripted(tools=[{"name": "a"}]))

    async def talk(params, downstream):
        assert downstream.progress_token == 7
        await downstream.notify("notifications/progress", Raw(b'{"progressToken":7,"progress":1,"message":"m"}'))
        await downstream.notify("notifications/message", Raw(b'{"level":"debug","data":"quiet"}'))
        await downstream.notify("notifications/message", Raw(b'{"level":"error","data":{"x":1}}'))
        return RESULT

    server.answer("tools/call", talk)
    heard = ear()
    desk = asker(catalogue.union)
    await desk.result("tools/call", {"name": "one_a"}, ear=heard, meta={"progressToken": 7}, log_level="warning")
    assert heard.told == [
        ("notifications/progress", {"progressToken": 7, "progress": 1, "message": "m"}),
        ("notifications/message", {"level": "error", "data": {"x": 1}}),
    ]
    heard = ear()
    await desk.result(
        "tools/call", {"name": "one_a"}, ear=heard, meta={"progressToken": 7}, revision="2024-11-05", log_level="alert"
    )
    assert heard.told == [("notifications/progress", {"progressToken": 7, "progress": 1})]


async def test_a_call_that_its_client_cancels_is_cancelled_at_its_server(catalogue, scripted, asker, turn):
    server = await put(catalogue, scripted(tools=[{"name": "a"}]))

    async def hang(params, downstream):
        await asyncio.Event().wait()

    server.answer("tools/call", hang)
    for options in ({}, {"revision": "2026-07-28"}, {"revision": "2026-07-28", "capabilities": {"sampling": {}}}):
        before = server.cancelled
        calling = asyncio.create_task(asker(catalogue.union).ask("tools/call", {"name": "one_a"}, **options))
        await turn(lambda: bool(server.asked))
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        assert server.cancelled == before + 1
        server.asked.clear()


def _context(method, params, *, trace=None):
    from app.protocol.calls import ANONYMOUS, Call
    from app.protocol.context import CallContext
    from app.protocol.revisions import R_2025_11_25

    call = Call(
        id=1,
        method=method,
        params=Raw(json.dumps(params).encode()),
        revision=R_2025_11_25,
        session=None,
        caller=ANONYMOUS,
        channel=None,
        trace=trace,
    )
    return CallContext(call, None)
