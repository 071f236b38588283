"""Which era a server is of is found out, quickly, and whatever it does when it is asked."""

import asyncio

import pytest

from app.gateway.upstream import UpstreamUnavailable


@pytest.fixture
def opening(make, peers):
    """Begins to open an upstream."""

    def begin(**changes):
        upstream = make(peers, **changes)
        return upstream, asyncio.create_task(upstream.open(), name="test opens")

    return begin


async def test_a_server_that_refuses_the_question_is_initialized(opening, peers):
    upstream, task = opening()
    peer = await peers.next()
    hello = await peer.greet()
    await task
    assert hello["params"]["protocolVersion"] == "2025-11-25"
    assert set(hello["params"]["capabilities"]) == {"sampling", "elicitation", "roots"}
    assert upstream.available
    assert (upstream.about.name, upstream.about.version, upstream.about.revision) == ("peer", "1", "2025-11-25")


async def test_a_server_that_answers_it_gets_no_handshake(opening, peers, call):
    upstream, task = opening()
    peer = await peers.next()
    probe = await peer.introduce()
    await task
    assert probe["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] == "2026-07-28"
    assert upstream.about.revision == "2026-07-28"
    calling = call(upstream, "tools/call", {"name": "a"})
    request = await peer.receive()
    assert set(request["params"]["_meta"]) == {
        "io.modelcontextprotocol/protocolVersion",
        "io.modelcontextprotocol/clientInfo",
        "io.modelcontextprotocol/clientCapabilities",
    }
    peer.answer(request)
    await calling


@pytest.mark.parametrize("revision", ["2024-11-05", "2025-03-26", "2025-06-18"])
async def test_a_server_may_name_an_earlier_revision(opening, peers, revision):
    upstream, task = opening()
    await (await peers.next()).greet(revision)
    await task
    assert upstream.about.revision == revision


async def test_a_server_that_is_silent_at_the_question_is_also_initialized(opening, peers):
    upstream, task = opening(probe_timeout=0.01)
    peer = await peers.next()
    assert (await peer.receive())["method"] == "server/discover"
    await peer.greet()
    await task
    assert upstream.about.revision == "2025-11-25"


async def test_a_slow_server_of_the_newer_era_is_still_known_as_one(opening, peers):
    upstream, task = opening(probe_timeout=0.01)
    peer = await peers.next()
    probe = await peer.receive()
    hello = await peer.receive()
    assert hello["method"] == "initialize"
    peer.refuse(hello, -32022, "Unsupported protocol version")
    peer.answer(probe, {"supportedVersions": ["2026-07-28"], "capabilities": {}})
    await task
    assert upstream.about.revision == "2026-07-28"


async def test_of_both_answers_in_one_go_the_one_of_the_newer_era_counts(opening, peers):
    upstream, task = opening(probe_timeout=0.01)
    peer = await peers.next()
    probe, hello = await peer.receive(), await peer.receive()
    peer.answer(hello, {"protocolVersion": "2025-11-25", "capabilities": {}})
    peer.answer(probe, {"supportedVersions": ["2026-07-28"], "capabilities": {}})
    await task
    assert upstream.about.revision == "2026-07-28"


async def test_a_server_that_ends_at_the_question_is_opened_again_without_it(opening, peers):
    upstream, task = opening()
    first = await peers.next()
    await first.receive()
    first.end()
    second = await peers.next()
    hello = await second.greet()
    await task
    assert hello["method"] == "initialize"
    assert upstream.available
    assert len(peers.opened) == 2


async def test_what_was_found_out_is_remembered_for_the_next_time(opening, peers):
    _, task = opening()
    first = await peers.next()
    await first.greet()
    await task
    first.end()
    again = await peers.next()
    assert (await again.receive())["method"] == "initialize"


async def test_a_discovery_without_a_revision_that_we_know_is_a_server_of_the_older_era(opening, peers):
    upstream, task = opening()
    peer = await peers.next()
    probe = await peer.receive()
    peer.answer(probe, {"supportedVersions": ["2025-11-25"], "capabilities": {}})
    await peer.greet()
    await task
    assert upstream.about.revision == "2025-11-25"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"result": {"protocolVersion": "1999-01-01", "capabilities": {}}}, "1999-01-01"),
        ({"result": {"protocolVersion": 7}}, "not one"),
        ({"error": {"code": -32000, "message": "go away"}}, "go away"),
    ],
)
async def test_a_handshake_that_fails_says_why(opening, peers, answer, words):
    upstream, task = opening()
    peer = await peers.next()
    peer.refuse(await peer.receive())
    hello = await peer.receive()
    peer.say(id=hello["id"], **answer)
    with pytest.raises(UpstreamUnavailable, match=words):
        await task
    assert not upstream.available
    assert upstream.about is None


async def test_a_server_that_says_nothing_is_given_up_on(opening, peers):
    _, task = opening(probe_timeout=0.01, handshake_timeout=0.05)
    await peers.next()
    with pytest.raises(UpstreamUnavailable, match=r"within 0\.05 s"):
        await task


async def test_a_server_that_cannot_be_started_says_why(opening, peers):
    peers.failing = OSError("no such program")
    _, task = opening()
    with pytest.raises(UpstreamUnavailable, match="no such program"):
        await task


async def test_a_known_era_is_not_asked_for(opening, peers):
    _, task = opening(era="handshake")
    peer = await peers.next()
    assert (await peer.receive())["method"] == "initialize"
    task.cancel()
