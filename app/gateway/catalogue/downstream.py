"""The client of one call, as the server that answers it finds it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from app.protocol.calls import ClientRefused
from app.protocol.context import LEVELS, CallContext, InputRequest
from app.protocol.errors import METHOD_NOT_FOUND, ProtocolError
from app.protocol.passing import Members, decode_members

ASKABLE = {"sampling/createMessage": "sampling", "elicitation/create": "elicitation", "roots/list": "roots"}
_RANK = {level: rank for rank, level in enumerate(LEVELS)}
_decode_object = msgspec.json.Decoder(dict[str, Any]).decode


class _Level(msgspec.Struct):
    level: str = "info"


_decode_level = msgspec.json.Decoder(_Level).decode


class Client:
    """A `Downstream` over the context of a running call."""

    __slots__ = ("context",)

    def __init__(self, context: CallContext) -> None:
        self.context = context

    @property
    def stateless(self) -> bool:
        """See `Downstream`."""
        return self.context.call.revision.stateless

    @property
    def capabilities(self) -> Mapping[str, Any]:
        """See `Downstream`."""
        return self.context.client_capabilities

    @property
    def progress_token(self) -> str | int | None:
        """See `Downstream`."""
        meta = self.context.meta
        return None if meta is None or meta.progress_token is UNSET else meta.progress_token

    @property
    def log_level(self) -> str | None:
        """See `Downstream`."""
        return self.context.log_level

    @property
    def session_id(self) -> str | None:
        """See `Downstream`."""
        return self.context.session_id

    async def notify(self, method: str, params: Raw) -> None:
        """See `Downstream`."""
        if method == "notifications/progress":
            if self.progress_token is None:
                return
            if not self.context.revision.progress_messages:
                params = _without_message(params)
        elif method == "notifications/message" and not _wanted(params, self.log_level):
            return
        await self.context.call.channel.notify(method, params)

    async def ask(self, method: str, params: Raw) -> Raw:
        """See `Downstream`."""
        request = self.check(method, params)
        if request.params.get("mode") == "url" and "elicitationId" not in request.params:
            # The newer era has no ids for visits, the older one asks for them.
            params = Raw(msgspec.json.encode({"elicitationId": secrets.token_urlsafe(12), **request.params}))
        return await self.context.call.channel.request(method, params)

    def check(self, method: str, params: Raw) -> InputRequest:
        """The request, if the client can be asked it; raises `ClientRefused`."""
        if method not in ASKABLE:
            raise ClientRefused(METHOD_NOT_FOUND, f"'{method[:128]}' is nothing that a client can be asked.")
        request = InputRequest(method, _decode_object(params))
        try:
            self.context.require(request)
        except ProtocolError as error:
            raise ClientRefused(error.code, error.message) from None
        return request


def _wanted(params: Raw, level: str | None) -> bool:
    if level is None:
        return False
    try:
        said = _decode_level(params).level
    except (msgspec.DecodeError, ValueError):
        return False
    return _RANK.get(said, len(LEVELS)) >= _RANK.get(level, 0)


def _without_message(params: Raw) -> Raw:
    members: Members = decode_members(params)
    members.pop("message", None)
    return Raw(msgspec.json.encode(members))
