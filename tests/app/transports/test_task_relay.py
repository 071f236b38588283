"""Tasks on two replicas that share a store: either one shows, feeds and cancels what the other runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from app.protocol.calls import Call, Caller
from app.protocol.content import Implementation
from app.protocol.dispatcher import Dispatcher
from app.protocol.errors import INVALID_PARAMS, MISSING_CLIENT_CAPABILITY, UNAVAILABLE
from app.protocol.revisions import NEWEST
from app.sessions.memory import MemoryStore
from app.sessions.store import StoreUnavailable
from app.toolsets import CallContext, ToolsetRegistry, tool
from app.transports._task_relay import TaskRelay

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {
        "elicitation": {},
        "extensions": {"io.modelcontextprotocol/tasks": {}},
    },
}


class Channel:
    def __init__(self) -> None:
        self.sent: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()

    async def notify(self, method: str, params: object) -> None:
        self.sent.put_nowait((method, msgspec.json.decode(msgspec.json.encode(params))))

    async def request(self, method: str, params: object, *, timeout: float | None = None) -> msgspec.Raw:
        raise AssertionError("nobody is asked here")


class TellingStore(MemoryStore):
    """A store that says when a task is put into it, and that can be switched off."""

    def __init__(self) -> None:
        super().__init__()
        self.gone = False
        self.put = asyncio.Condition()

    async def keep(self, key: str, data: bytes, seconds: float) -> None:
        if self.gone:
            raise StoreUnavailable("switched off")
        await super().keep(key, data, seconds)
        async with self.put:
            self.put.notify_all()

    async def kept(self, key: str) -> bytes | None:
        if self.gone:
            raise StoreUnavailable("switched off")
        return await super().kept(key)


@dataclass
class Replica:
    dispatcher: Dispatcher
    relay: TaskRelay
    store: TellingStore

    async def ask(self, method: str, caller: str = "ada", **params: Any) -> dict[str, Any]:
        return await self.ask_on(Channel(), method, caller, **params)

    async def ask_on(self, channel: Channel, method: str, caller: str = "ada", **params: Any) -> dict[str, Any]:
        raw = msgspec.Raw(msgspec.json.encode({"_meta": META, **params}))
        call = Call(1, method, raw, NEWEST, None, Caller(caller), channel)
        return msgspec.json.decode(await self.dispatcher.answer(call))

    async def call(self, name: str) -> str:
        return (await self.ask("tools/call", name=name, arguments={}))["result"]["taskId"]

    async def get(self, task_id: str) -> dict[str, Any]:
        return (await self.ask("tasks/get", taskId=task_id))["result"]

    async def get_when(self, task_id: str, status: str) -> dict[str, Any]:
        async with asyncio.timeout(5), self.store.put:
            while (shown := await self.get(task_id))["status"] != status:
                await self.store.put.wait()
            return shown


class Tools:
    """Tools that wait until a test lets them go on."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.stopped = asyncio.Event()

    def registry(self) -> ToolsetRegistry:
        @tool(tasks="optional", timeout=None)
        async def work() -> str:
            """Work."""
            try:
                await self.go_on.wait()
            except asyncio.CancelledError:
                self.stopped.set()
                raise
            return "done"

        @tool(tasks="optional", timeout=None)
        async def confirm(context: CallContext) -> str:
            """Ask."""
            answer = await context.elicit("Sure?", {"type": "object", "properties": {}}, key="sure")
            return answer.action

        registry = ToolsetRegistry()
        registry.add(work, confirm)
        return registry


@pytest.fixture
def tools() -> Tools:
    return Tools()


@pytest.fixture
def store() -> TellingStore:
    return TellingStore()


@asynccontextmanager
async def replica(tools: Tools, store: TellingStore) -> AsyncIterator[Replica]:
    dispatcher = Dispatcher(tools.registry(), Implementation(name="test", version="1"))

    async def relay_change(data: bytes) -> None:
        await store.publish("changes", data)

    async def take_changes() -> None:
        async with store.follow("changes") as changes:
            following.set()
            async for change in changes:
                dispatcher.changes.receive(change)

    following = asyncio.Event()
    dispatcher.changes.relay = relay_change
    taking = asyncio.create_task(take_changes())
    relay = TaskRelay(dispatcher.tasks, store)
    await relay.start()
    await following.wait()
    await asyncio.sleep(0)
    try:
        yield Replica(dispatcher, relay, store)
    finally:
        await dispatcher.close()
        await relay.close()
        taking.cancel()


async def test_a_task_is_seen_from_another_replica_while_it_runs_and_when_it_is_done(
    tools: Tools, store: TellingStore
) -> None:
    async with replica(tools, store) as here, replica(tools, store) as there:
        task_id = await here.call("work")
        assert (await there.get(task_id))["status"] == "working"
        tools.go_on.set()
        done = await there.get_when(task_id, "completed")
        assert done["result"]["content"] == [{"type": "text", "text": "done"}]
        assert done == await here.get(task_id)


async def test_answers_given_to_another_replica_reach_the_task(tools: Tools, store: TellingStore) -> None:
    async with replica(tools, store) as here, replica(tools, store) as there:
        task_id = await here.call("confirm")
        asked = await there.get_when(task_id, "input_required")
        (key,) = asked["inputRequests"]
        acknowledged = await there.ask("tasks/update", taskId=task_id, inputResponses={key: {"action": "decline"}})
        assert acknowledged["result"]["resultType"] == "complete"
        done = await there.get_when(task_id, "completed")
        assert done["result"]["content"][0]["text"] == "decline"


async def test_a_task_is_cancelled_from_another_replica(tools: Tools, store: TellingStore) -> None:
    async with replica(tools, store) as here, replica(tools, store) as there:
        task_id = await here.call("work")
        await asyncio.sleep(0)
        assert "result" in await there.ask("tasks/cancel", taskId=task_id)
        assert (await there.get(task_id))["status"] == "cancelled"
        assert (await here.get(task_id))["status"] == "cancelled"
        await asyncio.wait_for(tools.stopped.wait(), 2)


async def test_another_callers_task_is_not_there_on_any_replica(tools: Tools, store: TellingStore) -> None:
    async with replica(tools, store) as here, replica(tools, store) as there:
        task_id = await here.call("work")
        for asked in (here, there):
            refused = await asked.ask("tasks/get", caller="eve", taskId=task_id)
            assert refused["error"]["code"] == INVALID_PARAMS


async def test_the_result_of_a_task_outlives_the_replica_that_ran_it(tools: Tools, store: TellingStore) -> None:
    tools.go_on.set()
    async with replica(tools, store) as there:
        async with replica(tools, store) as here:
            task_id = await here.call("work")
            await there.get_when(task_id, "completed")
        assert (await there.get(task_id))["status"] == "completed"


async def test_a_task_whose_replica_shuts_down_is_said_to_have_failed(tools: Tools, store: TellingStore) -> None:
    async with replica(tools, store) as there:
        async with replica(tools, store) as here:
            task_id = await here.call("work")
        failed = await there.get(task_id)
        assert (failed["status"], failed["error"]["code"]) == ("failed", UNAVAILABLE)


async def test_a_task_whose_replica_is_not_heard_of_any_more_is_said_to_have_failed(
    tools: Tools, store: TellingStore
) -> None:
    async with replica(tools, store) as here, replica(tools, store) as there:
        task_id = await here.call("work")
        store._kept = {key: value for key, value in store._kept.items() if "lease" not in key}
        failed = await there.get(task_id)
        assert (failed["status"], failed["error"]["code"]) == ("failed", UNAVAILABLE)


async def test_without_the_store_no_task_is_begun_and_the_client_is_told_to_call_again(
    tools: Tools, store: TellingStore
) -> None:
    async with replica(tools, store) as here:
        store.gone = True
        refused = await here.ask("tools/call", name="work", arguments={})
        assert refused["error"]["code"] == UNAVAILABLE
        assert here.dispatcher.tasks.running == []
        store.gone = False


async def test_who_listens_to_a_task_on_another_replica_is_told_how_it_ends(tools: Tools, store: TellingStore) -> None:
    async with replica(tools, store) as here, replica(tools, store) as there:
        task_id = await here.call("work")
        channel = Channel()
        wanted = {"taskIds": [task_id, "nonesuch"]}
        listening = asyncio.create_task(there.ask_on(channel, "subscriptions/listen", notifications=wanted))
        method, params = await channel.sent.get()
        assert method == "notifications/subscriptions/acknowledged"
        assert params["notifications"] == {"taskIds": [task_id]}
        tools.go_on.set()
        async with asyncio.timeout(2):
            method, params = await channel.sent.get()
        assert method == "notifications/tasks"
        assert params["_meta"] == {"io.modelcontextprotocol/subscriptionId": 1}
        assert (params["taskId"], params["status"], "resultType" in params) == (task_id, "completed", False)
        listening.cancel()


@pytest.mark.parametrize("member", ["taskIds", "resourceSubscriptions"])
async def test_nobody_is_told_of_another_callers_task(tools: Tools, store: TellingStore, member: str) -> None:
    async with replica(tools, store) as here:
        task_id = await here.call("work")
        channel = Channel()
        listen = here.ask_on(channel, "subscriptions/listen", "eve", notifications={member: [task_id]})
        listening = asyncio.create_task(listen)
        assert (await channel.sent.get())[0] == "notifications/subscriptions/acknowledged"
        tools.go_on.set()
        await here.get_when(task_id, "completed")
        assert channel.sent.empty()
        listening.cancel()


async def test_listening_to_tasks_needs_the_extension(tools: Tools, store: TellingStore) -> None:
    async with replica(tools, store) as here:
        meta = META | {"io.modelcontextprotocol/clientCapabilities": {}}
        refused = await here.ask("subscriptions/listen", notifications={"taskIds": ["x"]}, _meta=meta)
        assert refused["error"]["code"] == MISSING_CLIENT_CAPABILITY
