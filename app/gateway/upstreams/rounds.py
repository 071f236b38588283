"""A server without a handshake asks by its result; a client of the older era is asked while it waits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
from msgspec import Raw

from app.gateway.upstream import Downstream, UpstreamFailure
from app.gateway.upstreams.wire import EMPTY, decode_members, encode
from app.protocol.calls import ClientRefused
from app.protocol.errors import INTERNAL_ERROR

_MAX_ROUNDS = 20
_MARK = b'"input_required"'


class _Asked(msgspec.Struct):
    method: str
    params: Raw = EMPTY


class _Asking(msgspec.Struct):
    kind: str = msgspec.field(name="resultType", default="complete")
    requests: dict[str, _Asked] = msgspec.field(name="inputRequests", default_factory=dict[str, _Asked])
    state: str | None = msgspec.field(name="requestState", default=None)


_decode = msgspec.json.Decoder(_Asking).decode


def asks_for_input(result: Raw) -> bool:
    """Whether this may be a result that asks the client for something."""
    return _MARK in bytes(result)


async def answered_by(downstream: Downstream, params: Raw, result: Raw, resend: Callable[[Raw], Awaitable[Raw]]) -> Raw:
    """Ask the client what the server wants to know, and send the request again, until its result is complete."""
    for _ in range(_MAX_ROUNDS):
        try:
            asking = _decode(result)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise UpstreamFailure(INTERNAL_ERROR, f"The server asks for input in a wrong form: {error}.") from None
        if asking.kind != "input_required":
            return result
        names = list(asking.requests)
        try:
            answers = await asyncio.gather(
                *(downstream.ask(asking.requests[name].method, asking.requests[name].params) for name in names)
            )
        except ClientRefused as refused:
            raise UpstreamFailure(refused.code, refused.message) from None
        members = decode_members(params)
        members["inputResponses"] = Raw(encode(dict(zip(names, answers, strict=True))))
        if asking.state is not None:
            members["requestState"] = Raw(encode(asking.state))
        result = await resend(Raw(encode(members)))
    raise UpstreamFailure(INTERNAL_ERROR, f"The server asked for input {_MAX_ROUNDS} times and was not satisfied.")
