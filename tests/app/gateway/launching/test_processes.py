"""What only local processes do."""

import asyncio
import json
import os
import signal
from contextlib import suppress

import msgspec
import psutil
import pytest
from hygiene import alive, descendants, until
from soak_sessions import MOODY

from app.gateway.launcher import LaunchError, UrlEndpoint
from app.gateway.upstreams import UpstreamOptions, open_upstream


async def first_line(endpoint):
    return await anext(aiter(await endpoint.open()))


async def test_a_child_sees_little_of_our_environment_and_all_of_its_own(processes, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", "/secret")
    launched = await processes.launcher.start(processes.spec("tell-environment", environment={"API_KEY": "abc"}))
    said = json.loads(await first_line(launched.endpoint))
    environment = said["environment"]
    assert environment["API_KEY"] == "abc"
    assert environment["PATH"] == os.environ["PATH"]
    assert environment["HOME"] == environment["TMPDIR"] == said["cwd"] != os.environ["HOME"]
    assert environment["npm_config_cache"].startswith(os.environ["HOME"])
    assert "KUBECONFIG" not in environment
    assert os.getsid(said["pid"]) == os.getpgid(said["pid"]) == said["pid"]


async def test_no_part_of_a_command_is_read_by_a_shell(processes, tmp_path):
    trap = tmp_path / "made"
    spec = processes.spec("echo")
    words = (*spec.command, f"; touch {trap}", f"$(touch {trap})", f"`touch {trap}`", "&& false", "\n", "*")
    launched = await processes.launcher.start(processes.spec("echo", command=words))
    lines = await launched.endpoint.open()
    await lines.send(b"{}")
    assert await anext(aiter(lines)) == b"{}"
    (child,) = (p for p in psutil.Process().children(recursive=True) if p.cmdline()[-1:] == ["*"])
    assert tuple(child.cmdline()) == words
    assert not trap.exists()


async def test_a_crashed_server_is_started_again_without_being_asked(processes):
    news = aiter(processes.launcher.watch())
    await processes.launcher.start(processes.spec("ignore-end-of-input"))
    seen = []
    async for launched in news:
        seen.append(launched)
        if launched.state == "running" and launched.restarts == 0:
            (victim,) = (pid for pid, what in descendants().items() if "hostile.py" in what)
            os.kill(victim, 9)
        elif launched.state == "running":
            break
    assert [launched.reason for launched in seen if launched.reason] == ["killed by signal 9 (out of memory?)"]
    assert seen[-1].restarts == 1


async def test_a_server_that_is_frozen_is_ended_and_started_anew(processes):
    launched = await processes.launcher.start(processes.spec("echo", command=MOODY))
    options = UpstreamOptions(era="handshake", failures=2, open_seconds=60, doubt_seconds=0.2)
    upstream = open_upstream("moody", launched.endpoint, options)

    async def call(mood, seconds):
        params = msgspec.Raw(json.dumps({"name": mood, "arguments": {"text": "hello"}}).encode())
        return bytes(await upstream.request("tools/call", params, timeout=seconds))

    try:
        await upstream.open()
        assert b"hello" in await call("echo", 30)
        (frozen,) = (pid for pid, what in descendants().items() if "moody.py" in what)
        for _ in range(2):
            with pytest.raises(TimeoutError):
                await call("freeze", 0.1)
        await until(lambda: not alive(frozen))
        await until(lambda: upstream.available)
        assert b"hello" in await call("echo", 30)
    finally:
        await upstream.close()


async def test_a_crash_is_a_crash_though_its_lines_are_closed_at_once(processes):
    waiting = asyncio.create_task(processes.until("server", "failed"))
    await asyncio.sleep(0)
    launched = await processes.launcher.start(processes.spec("crash", 3))
    while not waiting.done():
        await asyncio.sleep(0)  # a refusal comes at once
        with suppress(LaunchError):
            lines = await launched.endpoint.open()
            assert [line async for line in lines] == []
            await lines.close()
    assert waiting.result().reason == "exit status 3: cannot find the flux capacitor"


async def test_a_server_that_only_closes_its_output_is_lost_too(processes):
    waiting = asyncio.create_task(processes.until("server", "failed"))
    await asyncio.sleep(0)
    launched = await processes.launcher.start(processes.spec("close-output"))
    while not waiting.done():
        await asyncio.sleep(0)  # a refusal comes at once
        with suppress(LaunchError):
            lines = await launched.endpoint.open()
            assert [line async for line in lines] in ([], [b'{"ready":true}'])
            await lines.close()
    assert waiting.result().reason == "it closed its standard output and lived on: ended"


async def test_a_command_that_is_not_there_fails_at_once_and_says_what_to_do(processes):
    waiting = asyncio.create_task(processes.until("server", "failed"))
    await asyncio.sleep(0)
    await processes.launcher.start(processes.spec("echo", command=("no-such-program",)))
    failed = await waiting
    assert failed.restarts == 0
    assert "there is no such program on PATH" in failed.reason


async def test_a_failed_server_is_tried_again_slowly(processes, tmp_path):
    program = tmp_path / "later"
    waiting = asyncio.create_task(processes.until("server", "failed"))
    await asyncio.sleep(0)
    launched = await processes.launcher.start(processes.spec("echo", command=(str(program),)))
    await waiting
    program.write_text("#!/bin/sh\nexec cat\n")
    program.chmod(0o700)
    assert (await processes.until("server", "running")).id == "server"
    lines = await launched.endpoint.open()
    await lines.send(b"{}")
    assert await anext(aiter(lines)) == b"{}"


async def test_a_second_connection_gets_a_child_of_its_own(processes):
    launched = await processes.launcher.start(processes.spec("tell-environment"))
    pids = {json.loads(await first_line(launched.endpoint))["pid"] for _ in range(3)}
    assert len(pids) == 3
    with pytest.raises(LaunchError, match="has 3 children, the most that one server may have"):
        await launched.endpoint.open()


async def test_a_second_connection_that_is_given_up_leaves_no_child(processes):
    launched = await processes.launcher.start(processes.spec("ignore-end-of-input"))
    await launched.endpoint.open()
    opening = asyncio.create_task(launched.endpoint.open())
    await asyncio.sleep(0)
    opening.cancel()
    await asyncio.wait({opening})
    await until(lambda: len(processes.launcher.children) == 1)


async def test_there_are_no_more_children_than_there_may_be(processes):
    for number in range(6):
        launched = await processes.launcher.start(processes.spec("echo", name=f"s{number}"))
        await launched.endpoint.open()
    with pytest.raises(LaunchError, match="6 child processes run, which is the most there may be"):
        await processes.launcher.check()
    waiting = asyncio.create_task(processes.until("one-more", "starting", "failed"))
    await asyncio.sleep(0)
    await processes.launcher.start(processes.spec("echo", name="one-more"))
    await waiting
    failed = await processes.until("one-more", "failed")
    assert "stop a server, or raise the limit" in failed.reason


async def test_an_idle_server_is_ended_and_starts_again_on_demand(processes):
    waiting = asyncio.create_task(processes.until("server", "stopped"))
    await asyncio.sleep(0)
    launched = await processes.launcher.start(processes.spec("echo", idle_seconds=0.1))
    lines = await launched.endpoint.open()
    stopped = await waiting
    assert stopped.reason == "idle"
    assert lines.idle
    assert len(processes.launcher.children) == 0
    assert stopped.endpoint is launched.endpoint
    lines = await launched.endpoint.open()
    await lines.send(b"{}")
    assert await anext(aiter(lines)) == b"{}"


async def test_a_busy_server_is_not_idle(processes):
    idle = 1.0
    launched = await processes.launcher.start(processes.spec("echo", idle_seconds=idle))
    lines = await launched.endpoint.open()
    end = asyncio.get_running_loop().time() + 1.3 * idle
    while asyncio.get_running_loop().time() < end:
        await lines.send(b"{}")
        assert await anext(aiter(lines)) == b"{}"
        await asyncio.sleep(0.03)


async def test_a_server_over_its_memory_is_told_why(processes):
    waiting = asyncio.create_task(processes.until("server", "failed"))
    await asyncio.sleep(0)
    spec = processes.spec("hog", 120)
    await processes.launcher.start(processes.spec("hog", 120, limits=type(spec.limits)(memory="40Mi")))
    assert (await waiting).reason == "ended: it took more memory than its limit of 40 MiB"


@pytest.mark.parametrize(
    ("transport", "url"),
    [("http", "http://127.0.0.1:{}/mcp"), ("sse", "http://127.0.0.1:{}/sse"), ("websocket", "ws://127.0.0.1:{}/mcp")],
)
async def test_a_server_that_listens_runs_when_it_does(processes, transport, url):
    waiting = asyncio.create_task(processes.until("server", "running"))
    await asyncio.sleep(0)
    launched = await processes.launcher.start(processes.spec("listen", transport=transport))
    assert launched.endpoint is None
    running = await waiting
    assert isinstance(running.endpoint, UrlEndpoint)
    port = running.endpoint.url.split(":")[2].split("/")[0]
    assert running.endpoint == UrlEndpoint(url.format(port), transport)
    _, writer = await asyncio.open_connection("127.0.0.1", int(port))
    writer.close()
    assert [line async for line in processes.launcher.logs("server")] == ["listening"]


async def test_a_port_goes_where_the_command_has_its_place(processes):
    launched = await processes.launcher.start(
        processes.spec(
            "listen", transport="http", environment={"PORT": "{port}"}, port=1, url="http://127.0.0.1:{port}/x"
        )
    )
    assert launched.state == "starting"
    running = await processes.until("server", "running")
    assert running.endpoint.url.endswith("/x")
    assert ":1/" not in running.endpoint.url


async def test_a_server_that_never_listens_fails(processes):
    object.__setattr__(processes.launcher._options, "listens_within", 0.1)
    waiting = asyncio.create_task(processes.until("server", "failed"))
    await asyncio.sleep(0)
    await processes.launcher.start(processes.spec("deaf", transport="http"))
    assert "does not listen on port" in (await waiting).reason


async def test_secrets_of_a_cluster_are_refused_with_the_remedy(processes):
    from app.gateway.spec import SecretRef

    with pytest.raises(LaunchError, match=r"give environment\.TOKEN instead"):
        await processes.launcher.start(
            processes.spec("echo", secret_environment={"TOKEN": SecretRef(secret="keys", key="token")})
        )


async def test_an_image_is_refused_with_the_remedy(processes):
    with pytest.raises(LaunchError, match="images run as pods only"):
        await processes.launcher.start(processes.spec("echo", command=(), type="image", image="x"))


async def test_secrets_do_not_appear_in_logs(processes):
    launched = await processes.launcher.start(
        processes.spec("tell-secret", environment={"API_TOKEN": "s3cr3t-value", "DB": "pg://me:hunter22@host/db"})
    )
    assert await first_line(launched.endpoint) == b'{"ready":true}'
    await until(lambda: len(processes.launcher._servers["server"].tail.lines(9)) == 2)
    assert sorted([line async for line in processes.launcher.logs("server")]) == [
        "connecting with •••",
        "debug: token=•••",
    ]


async def test_a_stop_in_the_midst_of_a_start_leaves_nothing(processes):
    launched = await processes.launcher.start(processes.spec("ignore-sigterm"))
    await asyncio.sleep(0)
    await processes.launcher.stop(launched.id)
    assert len(processes.launcher.children) == 0
    assert not any("hostile.py" in what for what in descendants().values())


async def test_a_start_that_hangs_can_be_stopped_at_once(processes):
    await first_line((await processes.launcher.start(processes.spec("ignore-end-of-input", name="other"))).endpoint)
    os.kill(processes.launcher.children.keeper, signal.SIGSTOP)
    launched = await processes.launcher.start(processes.spec("echo"))
    opening = asyncio.create_task(launched.endpoint.open())
    await until(lambda: len(processes.launcher.children) == 2)
    async with asyncio.timeout(10):
        await asyncio.gather(*(processes.launcher.stop(launched.id) for _ in range(2)))
    assert len(processes.launcher.children) == 1
    with pytest.raises(LaunchError, match="is stopped"):
        await opening


async def test_a_server_lost_with_the_keeper_comes_back_under_a_new_one(processes):
    launched = await processes.launcher.start(processes.spec("ignore-end-of-input"))
    lines = await launched.endpoint.open()
    assert await anext(aiter(lines)) == b'{"ready":true}'
    keeper = processes.launcher.children.keeper
    os.kill(keeper, 9)
    assert [line async for line in lines] == []
    lines = await launched.endpoint.open()
    assert await anext(aiter(lines)) == b'{"ready":true}'
    assert not alive(keeper)
    assert processes.launcher.children.keeper != keeper
