"""JSON-RPC as it goes to a server and comes from it: bytes are put together, and looked into no further than needed."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, cast

import msgspec
from msgspec import UNSET, Raw, UnsetType

from app.gateway.upstream import UpstreamFailure
from app.protocol.errors import INTERNAL_ERROR, INVALID_PARAMS

Id = int | str
Members = dict[str, Raw]

EMPTY = Raw(b"{}")
_BRACE = ord("{")


class Incoming(msgspec.Struct, gc=False):
    """Any message of a server's."""

    id: int | str | float | bool | UnsetType | None = UNSET
    method: str | UnsetType = UNSET
    params: Raw | UnsetType = UNSET
    result: Raw | UnsetType = UNSET
    error: Raw | UnsetType = UNSET


class _Error(msgspec.Struct):
    code: int
    message: str = ""
    data: Raw | UnsetType = UNSET


class _Names(msgspec.Struct):
    task_id: str = msgspec.field(default="", name="taskId")
    name: str = ""
    uri: str = ""


class Malformed(Exception):
    """A message that cannot be used; `answers` is the id of the request that it answers, if that can be read."""

    def __init__(self, message: str, answers: Id | None = None) -> None:
        super().__init__(message)
        self.answers = answers


_decode = msgspec.json.Decoder(Incoming).decode
_decode_error = msgspec.json.Decoder(_Error).decode
_decode_batch = msgspec.json.Decoder(list[Raw]).decode
_decode_names = msgspec.json.Decoder(_Names).decode
decode_members = msgspec.json.Decoder(Members).decode
encode = msgspec.json.Encoder().encode


def decode(data: bytes) -> Incoming:
    """One message of a server's; raises `Malformed`."""
    try:
        if not data.isascii():
            data.decode()
        return _decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"it is no JSON-RPC message ({_reason(error)})", _id_in(data)) from None


def is_batch(data: bytes) -> bool:
    """Whether this looks like several messages in an array."""
    return data[:1] == b"[" or data.lstrip(b" \t\r\n")[:1] == b"["


def decode_batch(data: bytes) -> list[bytes]:
    """The messages of a batch; raises `Malformed`."""
    try:
        return [bytes(item) for item in _decode_batch(data)]
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Malformed(f"it is no batch of messages ({_reason(error)})") from None


def request(number: int, method: str, params: bytes) -> bytes:
    """A request of ours; `params` is a JSON object."""
    return b'{"jsonrpc":"2.0","id":%d,"method":%b,"params":%b}' % (number, _quoted(method), params)


def notification(method: str, params: bytes) -> bytes:
    """A notification of ours."""
    return b'{"jsonrpc":"2.0","method":%b,"params":%b}' % (_quoted(method), params)


def result(request_id: Id, value: Raw) -> bytes:
    """Our answer to a request of the server's."""
    return b'{"jsonrpc":"2.0","id":%b,"result":%b}' % (encode(request_id), bytes(value))


def refusal(request_id: Id, code: int, message: str) -> bytes:
    """Our refusal of a request of the server's."""
    return encode({"jsonrpc": "2.0", "id": request_id, "error": {"code": code, "message": message}})


def one_line(message: bytes) -> bytes:
    """The message without line breaks, for transports that end it with one; raises `UpstreamFailure`."""
    if b"\n" not in message and b"\r" not in message:
        return message
    try:
        written = msgspec.json.format(message, indent=-1)
    except msgspec.MsgspecError as error:
        raise UpstreamFailure(INVALID_PARAMS, f"The parameters are not valid JSON: {error}.") from None
    if b"\n" in written or b"\r" in written:
        raise UpstreamFailure(INVALID_PARAMS, "The parameters have a line break inside of a string: escape it.")
    return written


def with_meta(params: bytes, meta: bytes) -> bytes:
    """The parameters with these members (`"a":1,"b":2`) in their `_meta`, beside those that are there."""
    if b'"_meta"' not in params:
        body = params.strip()
        if body[:1] != b"{" or body[-1:] != b"}":
            raise UpstreamFailure(INVALID_PARAMS, "The parameters must be an object.")
        inner = body[1:-1].strip()
        return b'{"_meta":{%b}}' % meta if not inner else b'{%b,"_meta":{%b}}' % (inner, meta)
    try:
        members = decode_members(params)
        known = decode_members(members["_meta"]) if "_meta" in members else {}
    except (msgspec.MsgspecError, RecursionError) as error:
        raise UpstreamFailure(INVALID_PARAMS, f"The parameters are not valid: {error}.") from None
    members["_meta"] = Raw(encode(known | decode_members(b"{%b}" % meta)))
    return encode(members)


def is_object(raw: Raw) -> bool:
    """Whether this is a JSON object."""
    return memoryview(raw)[0] == _BRACE


def failure(error: Raw) -> UpstreamFailure:
    """The server's error."""
    try:
        told = _decode_error(error)
    except (msgspec.MsgspecError, RecursionError):
        return UpstreamFailure(INTERNAL_ERROR, "The server answered with an error that is not well-formed.")
    return UpstreamFailure(told.code, told.message, None if told.data is UNSET else told.data)


def task_in(params: Raw | bytes) -> str:
    """The id of the task that a request is about."""
    return named_in(params, "task_id")


def named_in(params: Raw | bytes, member: str) -> str:
    """What a request is about: its `name`, `uri` or `task_id`; empty where it says nothing of the kind."""
    try:
        return getattr(_decode_names(params), member)
    except (msgspec.MsgspecError, RecursionError):
        return ""


def usable_id(value: object) -> Id | None:
    """The id, if it is one that JSON-RPC allows."""
    return value if isinstance(value, int | str) and not isinstance(value, bool) else None


@lru_cache(maxsize=256)
def _quoted(method: str) -> bytes:
    return encode(method)


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)[:200]


def _id_in(data: bytes) -> Id | None:
    """The id of an answer that strict JSON forbids, as one with NaN in it: who waits for it must not wait on."""
    if len(data) > 1024 * 1024 or b'"id"' not in data:
        return None
    try:
        found: Any = json.loads(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or "method" in found:
        return None
    return usable_id(cast("dict[str, Any]", found).get("id"))
