"""What a server asks of its client: passed to the client whose request it concerns, or refused."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

import msgspec
from msgspec import Raw

from app.gateway.upstream import Downstream
from app.gateway.upstreams import wire
from app.gateway.upstreams.calls import RunningCall
from app.protocol.calls import ClientRefused
from app.protocol.errors import INTERNAL_ERROR, METHOD_NOT_FOUND

_log = logging.getLogger("slipway.gateway")
_NEEDS = {"sampling/createMessage": "sampling", "elicitation/create": "elicitation", "roots/list": "roots"}
_NO_ROOTS = Raw(b'{"roots":[]}')
_MAX_ASKED = 200
"""Requests of one server's that wait for clients."""
_RELATED = "io.modelcontextprotocol/related-task"


class _Task(msgspec.Struct):
    task_id: str = msgspec.field(default="", name="taskId")


class _Meta(msgspec.Struct):
    progress_token: int | str | None = msgspec.field(default=None, name="progressToken")
    related: _Task | None = msgspec.field(default=None, name=_RELATED)


class _Params(msgspec.Struct):
    meta: _Meta | None = msgspec.field(default=None, name="_meta")


class _CancelledParams(msgspec.Struct):
    request_id: int | str = msgspec.field(name="requestId")


_decode = msgspec.json.Decoder(_Params).decode
_decode_cancelled = msgspec.json.Decoder(_CancelledParams).decode


class Asker:
    """Answers one server's requests."""

    def __init__(self, label: str, calls: Mapping[int, RunningCall], reply: Callable[[bytes], Awaitable[None]]) -> None:
        self._label = label
        self._calls = calls
        self._reply = reply
        self._asked: dict[wire.Id, asyncio.Task[None]] = {}

    def take(self, request_id: wire.Id, method: str, params: Raw, own: RunningCall | None) -> None:
        """One request; it is answered in its own time."""
        if request_id in self._asked:
            _log.warning("server %r asks twice with the same id: the second is dropped", self._label)
            return
        if len(self._asked) >= _MAX_ASKED:
            _log.warning("server %r has %d requests open: %s is dropped", self._label, _MAX_ASKED, method[:64])
            return
        call = self._concerned(params, own)
        answering = self._answer(request_id, method, params, call)
        task = asyncio.create_task(answering, name=f"a request of {self._label}")
        self._asked[request_id] = task
        task.add_done_callback(lambda _: self._asked.pop(request_id, None))
        if call is not None:
            if call.asks is None:
                call.asks = set()
            call.asks.add(task)
            task.add_done_callback(call.asks.discard)

    def cancel(self, params: Raw) -> None:
        """The server no longer wants to know."""
        try:
            asked = self._asked.get(_decode_cancelled(params).request_id)
        except msgspec.MsgspecError:
            return
        if asked is not None:
            asked.cancel()

    def only_call(self) -> RunningCall | None:
        """The one request that runs for a client, if it is one."""
        found = [call for call in self._calls.values() if call.downstream is not None]
        return found[0] if len(found) == 1 else None

    def close(self) -> None:
        """Nothing can be answered any longer."""
        for task in tuple(self._asked.values()):
            task.cancel()

    def _concerned(self, params: Raw, own: RunningCall | None) -> RunningCall | None:
        """The stream says it, else the server by a token, else it is the latest request that runs for a client."""
        if own is not None:
            return own
        found = [call for call in self._calls.values() if call.downstream is not None]
        if len(found) > 1 and b'"_meta"' in bytes(params):
            try:
                meta = _decode(params).meta
            except msgspec.MsgspecError:
                meta = None
            token = None if meta is None else meta.progress_token
            if isinstance(token, int) and token in self._calls:
                return self._calls[token]
            if meta is not None and meta.related is not None:
                found = [call for call in found if call.task == meta.related.task_id] or found
        return found[-1] if found else None

    async def _answer(self, request_id: wire.Id, method: str, params: Raw, call: RunningCall | None) -> None:
        try:
            answer = wire.result(request_id, await self._ask(method, params, None if call is None else call.downstream))
        except ClientRefused as refused:
            answer = wire.refusal(request_id, refused.code, refused.message)
        except Exception:
            _log.exception("server %r: its request %s could not be passed on", self._label, method)
            answer = wire.refusal(request_id, INTERNAL_ERROR, "The client could not be asked.")
        await self._send(answer)

    async def _ask(self, method: str, params: Raw, downstream: Downstream | None) -> Raw:
        if method == "ping":
            return wire.EMPTY
        capability = _NEEDS.get(method)
        if capability is None:
            raise ClientRefused(METHOD_NOT_FOUND, f"The client has no method {method[:64]!r}.")
        if downstream is None or capability not in downstream.capabilities:
            if method == "roots/list":
                return _NO_ROOTS
            whom = "No client is there to be asked" if downstream is None else "The client does not have it"
            raise ClientRefused(METHOD_NOT_FOUND, f"{whom}: {method}.")
        return await downstream.ask(method, params)

    async def _send(self, answer: bytes) -> None:
        try:
            await self._reply(answer)
        except Exception as error:
            _log.info("server %r: its request could not be answered: %s", self._label, error)
