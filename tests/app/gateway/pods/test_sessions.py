"""Sessions with a server that has no bridge, over one pod and the next."""

import asyncio
import json

import pytest
from aiohttp import web

from app.gateway.children.tail import Tail
from app.gateway.launcher import Launched, LaunchError
from app.gateway.pods.api import PROTOCOLS
from app.gateway.pods.asking import PodApi
from app.gateway.pods.options import PodOptions
from app.gateway.pods.sessions import Sessions

END_OF_INPUT = bytes((255, 0))


class Subject:
    """Sessions whose server's state a test says."""

    def __init__(self, cluster, **options):
        self.state, self.reason, self.failed, self.recycled = "running", "", [], 0
        self.paths = []
        self.stubborn = self.wordless = False

        async def answer(request):
            socket = web.WebSocketResponse(protocols=PROTOCOLS)
            await socket.prepare(request)
            self.paths.append((request.path.rpartition("/pods/")[2], request.query.getall("command", [])))
            if self.wordless:
                causes = [{"reason": "ExitCode", "message": "3"}]
                status = {"status": "Failure", "details": {"causes": causes}}
                await socket.send_bytes(b"\3" + json.dumps(status).encode())
                return socket
            await socket.send_bytes(b'\1{"ready":true}\n')
            async for message in socket:
                if message.data == END_OF_INPUT and not self.stubborn:
                    await socket.send_bytes(b'\3{"status":"Success"}')
                    break
            return socket

        cluster.answers = [answer]
        self.api = PodApi(cluster.api(), PodOptions(after_input=0.2, most_sessions=2, **options))
        self.sessions = Sessions(
            self.api, Tail("server", str), now=self._now, failed=self.failed.append, recycle=self._recycle
        )

    def _now(self):
        return Launched("server", self.state, "digest", None, reason=self.reason)

    def _recycle(self):
        self.recycled += 1

    def say(self, state, reason=""):
        self.state, self.reason = state, reason
        self.sessions.nudge()


@pytest.fixture
async def subject(cluster):
    made = Subject(cluster)
    yield made
    await made.sessions.close()
    await made.api.close()


async def first_line(lines):
    return await anext(aiter(lines))


async def test_each_session_is_a_process_of_its_own(subject):
    subject.sessions.take("one", ("serve", "it"))
    lines = [await subject.sessions.open() for _ in range(2)]
    assert [await first_line(each) for each in lines] == [b'{"ready":true}'] * 2
    assert subject.paths == [("one/exec", ["serve", "it"])] * 2
    with pytest.raises(LaunchError, match="one has 2 sessions, the most"):
        await subject.sessions.open()
    await lines[0].close()
    assert await first_line(await subject.sessions.open()) == b'{"ready":true}'
    assert subject.recycled == 0


async def test_without_a_command_the_only_session_is_waited_for(subject):
    subject.sessions.take("one", ())
    lines = await subject.sessions.open()
    assert subject.paths == [("one/attach", [])]
    waiting = asyncio.create_task(subject.sessions.open())
    await asyncio.sleep(0)
    assert not waiting.done()
    await lines.close()
    assert await first_line(await waiting) == b'{"ready":true}'


async def test_opening_waits_until_the_pod_runs_and_outlives_its_replacement(subject):
    subject.say("starting")
    opening = asyncio.create_task(subject.sessions.open())
    await asyncio.sleep(0)
    subject.sessions.take("one", ("it",))
    subject.say("running")
    lines = await opening
    assert await first_line(lines) == b'{"ready":true}'
    await subject.sessions.end()
    assert [line async for line in lines] == []
    again = asyncio.create_task(subject.sessions.open())
    await asyncio.sleep(0)
    subject.sessions.take("two", ("it",))
    assert await first_line(await again) == b'{"ready":true}'
    assert [path for path, _ in subject.paths] == ["one/exec", "two/exec"]
    assert subject.recycled == 0


async def test_a_process_that_stays_is_recycled_once_nobody_has_a_session(subject):
    subject.sessions.take("one", ("it",))
    stubborn, other = await subject.sessions.open(), await subject.sessions.open()
    await first_line(stubborn)
    await first_line(other)
    subject.stubborn = True
    await stubborn.close()
    assert subject.recycled == 0
    subject.stubborn = False
    await other.close()
    assert subject.recycled == 1


async def test_a_failed_and_a_stopped_server_cannot_be_opened(subject):
    subject.sessions.take("one", ("it",))
    subject.say("failed", "CrashLoopBackOff: exit status 1")
    with pytest.raises(LaunchError, match="CrashLoopBackOff: exit status 1"):
        await subject.sessions.open()
    subject.say("starting")
    opening = asyncio.create_task(subject.sessions.open())
    await asyncio.sleep(0)
    await subject.sessions.close()
    with pytest.raises(LaunchError, match="stopped"):
        await opening


async def test_an_end_without_a_word_is_told(subject):
    subject.sessions.take("one", ("it",))
    subject.wordless = True
    lines = await subject.sessions.open()
    assert [line async for line in lines] == []
    assert subject.failed == ["exit status 3"]


async def test_a_session_that_its_pod_leaves_while_it_opens_is_opened_with_the_next(subject, cluster):
    subject.sessions.take("one", ("it",))
    (plain,) = cluster.answers

    async def first(request):
        await subject.sessions.end()
        subject.sessions.take("two", ("it",))
        return await plain(request)

    cluster.answers = [first, plain]
    assert await first_line(await subject.sessions.open()) == b'{"ready":true}'
    assert [path for path, _ in subject.paths] == ["one/exec", "two/exec"]
