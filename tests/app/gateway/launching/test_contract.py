"""The contract of `Launcher`: what local processes and pods have in common."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from app.gateway.launcher import LaunchError, UrlEndpoint

PATIENCE_SECONDS = 60


async def test_a_started_server_is_starting_and_can_be_opened_at_once(subject):
    launched = await subject.launcher.start(subject.spec("echo"))
    assert launched.id == "server"
    assert launched.state == "starting"
    lines = await launched.endpoint.open()
    await lines.send(b'{"id":1}')
    assert await anext(aiter(lines)) == b'{"id":1}'


async def test_the_same_spec_again_changes_nothing(subject):
    spec = subject.spec("echo")
    first = await subject.launcher.start(spec)
    lines = await first.endpoint.open()
    again = await subject.launcher.start(spec)
    assert again.digest == first.digest == spec.digest()
    assert again.restarts == 0
    await lines.send(b"{}")
    assert await anext(aiter(lines)) == b"{}"


async def test_watch_tells_that_a_server_runs_and_that_it_was_stopped(subject):
    news = aiter(subject.launcher.watch())
    launched = await subject.launcher.start(subject.spec("echo"))
    states = [(await anext(news)).state]
    while states[-1] != "running":
        states.append((await anext(news)).state)
    await subject.launcher.stop(launched.id)
    last = await anext(news)
    assert last.state == "stopped"
    assert last.endpoint is None


async def test_every_watcher_is_told(subject):
    one, other = aiter(subject.launcher.watch()), aiter(subject.launcher.watch())
    await subject.launcher.start(subject.spec("echo"))
    assert await anext(one) == await anext(other)


async def test_closing_its_lines_ends_them(subject):
    launched = await subject.launcher.start(subject.spec("ignore-sigterm"))
    lines = await launched.endpoint.open()
    await lines.close()
    with pytest.raises(EOFError):
        await lines.send(b"{}")
    assert [line async for line in lines] in ([], [b'{"ready":true}'])


async def test_it_can_be_opened_again_after_it_was_closed(subject):
    launched = await subject.launcher.start(subject.spec("echo"))
    await (await launched.endpoint.open()).close()
    lines = await launched.endpoint.open()
    await lines.send(b'{"again":1}')
    assert await anext(aiter(lines)) == b'{"again":1}'


async def test_stopping_waits_until_it_is_gone_and_stopping_again_is_no_error(subject):
    launched = await subject.launcher.start(subject.spec("ignore-sigterm"))
    lines = await launched.endpoint.open()
    assert await anext(aiter(lines)) == b'{"ready":true}'
    await subject.launcher.stop(launched.id)
    assert [line async for line in lines] == []
    await subject.launcher.stop(launched.id)
    await subject.launcher.stop("never-there")


async def test_a_stopped_server_cannot_be_opened(subject):
    launched = await subject.launcher.start(subject.spec("echo"))
    await subject.launcher.stop(launched.id)
    with pytest.raises(LaunchError):
        await launched.endpoint.open()


async def test_a_server_that_keeps_ending_fails_with_its_own_words(subject):
    waiting = asyncio.create_task(subject.until("server", "failed"))
    await asyncio.sleep(0)
    launched = await subject.launcher.start(subject.spec("crash", 3))
    failed = await waiting
    assert "cannot find the flux capacitor" in failed.reason
    with pytest.raises(LaunchError, match="flux capacitor"):
        await _open_until_refused(launched.endpoint)


async def test_logs_are_what_it_wrote_to_its_standard_error(subject):
    launched = await subject.launcher.start(subject.spec("tell-secret", environment={"API_TOKEN": "s3cr3t-value"}))
    lines = await launched.endpoint.open()
    assert await anext(aiter(lines)) == b'{"ready":true}'
    # What else it writes on its standard output is told too, and may overtake.
    following = aiter(subject.launcher.logs("server", follow=True))
    async with _being_read(lines), asyncio.timeout(PATIENCE_SECONDS):
        while not (await anext(following)).startswith("connecting with "):
            pass
    await following.aclose()
    assert [line async for line in subject.launcher.logs("server", lines=0)] == []


async def test_logs_are_followed_from_before_its_first_word(subject):
    launched = await subject.launcher.start(subject.spec("grumble"))
    lines = await launched.endpoint.open()
    following = aiter(subject.launcher.logs("server", follow=True))
    first = asyncio.create_task(anext(following))
    async with _being_read(lines), asyncio.timeout(PATIENCE_SECONDS):
        await lines.send(b"{}")
        assert await first == "heard {}"
    await following.aclose()


async def test_another_spec_replaces_what_runs(subject):
    first = await subject.launcher.start(subject.spec("echo"))
    old = await first.endpoint.open()
    second = await subject.launcher.start(subject.spec("ignore-sigterm"))
    assert second.digest != first.digest
    new = await second.endpoint.open()
    assert await anext(aiter(new)) == b'{"ready":true}'
    assert [line async for line in old] == []


async def test_servers_do_not_hinder_each_other(subject):
    await subject.launcher.start(subject.spec("crash", 1, name="broken"))
    await subject.launcher.start(subject.spec("flood-output", name="loud"))
    launched = await subject.launcher.start(subject.spec("echo", name="good"))
    lines = await launched.endpoint.open()
    for _ in range(10):
        await lines.send(b"{}")
        assert await anext(aiter(lines)) == b"{}"


async def test_a_remote_server_runs_already(subject):
    spec = subject.spec("echo", command=(), type="remote", transport="sse", url="https://example.invalid/sse")
    launched = await subject.launcher.start(spec)
    assert launched.state == "running"
    assert launched.endpoint == UrlEndpoint("https://example.invalid/sse", "sse")


async def test_check_is_content_where_servers_can_be_started(subject):
    await subject.launcher.check()


async def test_nothing_is_adopted_where_nothing_ran(subject):
    assert await subject.launcher.adopt() == []


async def _open_until_refused(endpoint):
    while True:
        assert [line async for line in await endpoint.open()] == []


@asynccontextmanager
async def _being_read(lines: AsyncIterator[bytes]) -> AsyncIterator[None]:
    """As a server's lines always are: of one that nobody hears, nothing at all is taken."""
    reader = asyncio.create_task(anext(aiter(lines)))
    yield
    reader.cancel()
    with suppress(asyncio.CancelledError):
        await reader
