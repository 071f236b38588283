"""One request, passed on to the server that answers it: between eras, with what it asks for on the way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import msgspec
from msgspec import Raw

from app.gateway.catalogue.downstream import ASKABLE, Client
from app.gateway.catalogue.parking import CarPark
from app.gateway.upstream import Downstream, Upstream, UpstreamFailure, UpstreamUnavailable
from app.protocol.calls import ClientRefused
from app.protocol.context import CallContext, InputRequest, InputRequired
from app.protocol.errors import (
    INVALID_PARAMS,
    RESOURCE_NOT_FOUND,
    UNAVAILABLE,
    URL_ELICITATION_REQUIRED,
    ProtocolError,
)
from app.protocol.handlers import ToolFailure
from app.protocol.passing import Members, decode_members
from app.protocol.revisions import REVISIONS

_encode = msgspec.json.Encoder().encode
_OF_PROTOCOL = "io.modelcontextprotocol/"
_OURS = ("inputResponses", "requestState", "task")
_ASKS = b'"input_required"'


class _Asking(msgspec.Struct, rename="camel"):
    result_type: str = ""
    input_requests: dict[str, InputRequest] = {}
    request_state: str | None = None


class _State(msgspec.Struct):
    """What the client carries between two rounds."""

    parked: str = ""
    """The call that waits here,"""
    replica: str = ""
    """and where 'here' is."""
    theirs: str | None = None
    """What the server itself wants to be brought back."""


class _Visits(msgspec.Struct):
    elicitations: list[dict[str, Any]] = []


_decode_asking = msgspec.json.Decoder(_Asking).decode
_decode_visits = msgspec.json.Decoder(_Visits).decode


class Forwarder:
    """Passes requests on to one server."""

    __slots__ = ("_park", "_seconds", "server_id", "upstream")

    def __init__(self, server_id: str, upstream: Upstream, park: CarPark, seconds: float) -> None:
        self.server_id = server_id
        self.upstream = upstream
        self._park = park
        self._seconds = seconds

    async def call_tool(self, own_name: Raw, context: CallContext, *, repeatable: bool) -> Raw:
        """A tool's result; raises what `Tool.call` may raise."""
        try:
            return await self._forward("tools/call", "name", own_name, context, repeatable=repeatable)
        except UpstreamUnavailable as error:
            raise ToolFailure(self._away(error)) from None
        except TimeoutError:
            raise ToolFailure(self._late()) from None

    async def get(self, method: str, member: str, own: Raw, context: CallContext) -> Raw:
        """The result of `prompts/get` or `resources/read`; raises `ProtocolError` and `InputRequired`."""
        try:
            return await self._forward(method, member, own, context)
        except UpstreamUnavailable as error:
            raise ProtocolError(UNAVAILABLE, self._away(error)) from None
        except TimeoutError:
            raise ProtocolError(UNAVAILABLE, self._late()) from None
        except ClientRefused as error:
            raise ProtocolError(INVALID_PARAMS, f"The client declined: {error.message}") from None

    async def plain(self, method: str, params: object) -> Raw:
        """The result of a request in which nobody is asked anything; raises `ProtocolError`."""
        try:
            return await self.upstream.request(method, Raw(_encode(params)), timeout=self._seconds)
        except UpstreamFailure as error:
            raise ProtocolError(error.code, error.message, error.data) from None
        except UpstreamUnavailable as error:
            raise ProtocolError(UNAVAILABLE, self._away(error)) from None
        except TimeoutError:
            raise ProtocolError(UNAVAILABLE, self._late()) from None

    async def _forward(
        self, method: str, member: str, own: Raw, context: CallContext, *, repeatable: bool = False
    ) -> Raw:
        about = self.upstream.about
        newer = about is not None and about.revision in REVISIONS and REVISIONS[about.revision].stateless
        params = _params(context, member, own)
        try:
            if newer:
                return await self._ask_newer(method, params, context, repeatable=repeatable)
            if context.call.revision.stateless:
                return await self._ask_older(method, params, context, repeatable=repeatable)
            encoded = Raw(_encode(params))
            return await self.upstream.request(
                method, encoded, downstream=Client(context), timeout=self._seconds, repeatable=repeatable
            )
        except UpstreamFailure as error:
            _fail(error, context)

    async def _ask_older(self, method: str, params: Members, context: CallContext, *, repeatable: bool) -> Raw:
        """The server asks in the middle of its call, the client is asked by results."""
        state = _state(context)
        if state.parked:
            return await self._park.resume(context, state.parked, state.replica)
        encoded = Raw(_encode(params))
        if context.client_capabilities.keys() & ASKABLE.values():

            async def call(downstream: Downstream) -> Raw:
                return await self.upstream.request(method, encoded, downstream=downstream, timeout=self._seconds)

            return await self._park.begin(context, call)
        return await self.upstream.request(
            method, encoded, downstream=Client(context), timeout=self._seconds, repeatable=repeatable
        )

    async def _ask_newer(self, method: str, params: Members, context: CallContext, *, repeatable: bool) -> Raw:
        """The server asks by its results; of clients of the older era, the upstream asks what those want to know."""
        stateless = context.call.revision.stateless
        if stateless:
            _continue(params, context.answers, _state(context).theirs)
        encoded = Raw(_encode(params))
        result = await self.upstream.request(
            method, encoded, downstream=Client(context), timeout=self._seconds, repeatable=repeatable
        )
        if stateless and _ASKS in bytes(result):
            asking = _decode_asking(result)
            if asking.result_type == "input_required":
                context.restore({}, {"theirs": asking.request_state})
                raise InputRequired(asking.input_requests)
        return result

    def _away(self, error: UpstreamUnavailable) -> str:
        return f"The server '{self.server_id}' is not available: {_sentence(str(error))} Try again once it is back."

    def _late(self) -> str:
        return f"The server '{self.server_id}' did not answer within {self._seconds:g} s: try again, or ask for less."


def _state(context: CallContext) -> _State:
    return _State() if context.state is None else msgspec.convert(context.state, _State)


def _params(context: CallContext, member: str, own: Raw) -> Members:
    """What the client sent, with the server's own name for what is meant, without what only concerns us."""
    sent = context.call.params
    params: Members = {} if sent is None else decode_members(sent)
    params[member] = own
    for name in _OURS:
        params.pop(name, None)
    trace = context.trace
    meta = params.pop("_meta", None)
    if meta is not None or trace is not None:
        kept = {} if meta is None else _kept(decode_members(meta))
        if trace is not None and "traceparent" not in kept:
            kept["traceparent"] = Raw(_encode(trace.traceparent))
            if trace.tracestate:
                kept["tracestate"] = Raw(_encode(trace.tracestate))
        if kept:
            params["_meta"] = Raw(_encode(kept))
    return params


def _kept(meta: Members) -> Members:
    """What of `_meta` is not between neighbours only."""
    ours = "progressToken"
    return {name: value for name, value in meta.items() if name != ours and not name.startswith(_OF_PROTOCOL)}


def _continue(params: Members, answers: Mapping[str, Any], state: str | None) -> None:
    """Add what the next round brings."""
    if answers:
        params["inputResponses"] = Raw(_encode(answers))
    if state is not None:
        params["requestState"] = Raw(_encode(state))
    else:
        params.pop("requestState", None)


def _fail(error: UpstreamFailure, context: CallContext) -> NoReturn:
    """The server's error, with a code that the client's revision knows."""
    code = error.code
    if context.call.revision.stateless:
        if code == URL_ELICITATION_REQUIRED and error.data is not None:
            _ask_to_visit(error.data, context)
        if code == RESOURCE_NOT_FOUND:
            code = INVALID_PARAMS
    raise ProtocolError(code, error.message, error.data) from None


def _ask_to_visit(data: Raw, context: CallContext) -> None:
    """A server of the older era fails until the person has been somewhere; in the newer one, that is a question."""
    try:
        visits = _decode_visits(data).elicitations
    except msgspec.DecodeError:
        return
    requests: dict[str, InputRequest] = {}
    for number, visit in enumerate(visits, 1):
        request = InputRequest("elicitation/create", {k: v for k, v in visit.items() if k != "elicitationId"})
        context.require(request)
        requests[f"visit-{number}"] = request
    if requests:
        context.restore({}, None)
        raise InputRequired(requests)


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
