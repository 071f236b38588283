"""JSON-RPC messages: strict decoding of what clients send, and encoding of what they get."""

import json
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

from app.protocol.errors import INVALID_REQUEST, PARSE_ERROR, ProtocolError

RequestId = str | int

MAX_ID_LENGTH = 256
MAX_DEPTH = 200
MAX_BATCH = 100


class Message(msgspec.Struct, gc=False):
    """One JSON-RPC message from a client: a request, a notification, or a response to a request of the server's."""

    jsonrpc: Literal["2.0"]
    id: RequestId | UnsetType = UNSET
    method: str | UnsetType = UNSET
    params: Raw | UnsetType = UNSET
    result: Raw | UnsetType = UNSET
    error: Raw | UnsetType = UNSET

    @property
    def is_request(self) -> bool:
        """Whether the client waits for an answer."""
        return self.method is not UNSET and self.id is not UNSET

    @property
    def is_notification(self) -> bool:
        """Whether the message is one-way."""
        return self.method is not UNSET and self.id is UNSET

    @property
    def is_response(self) -> bool:
        """Whether this answers a request of the server's."""
        return self.method is UNSET


class ErrorObject(msgspec.Struct, omit_defaults=True):
    """The `error` member of a response."""

    code: int
    message: str
    data: Any = None


class _Answer(msgspec.Struct, gc=False, tag_field="jsonrpc", tag="2.0"):
    id: RequestId
    result: object


class _Failure(msgspec.Struct, tag_field="jsonrpc", tag="2.0"):
    id: RequestId | None
    error: ErrorObject


class _Outgoing(msgspec.Struct, tag_field="jsonrpc", tag="2.0", omit_defaults=True):
    method: str
    params: object = UNSET
    id: RequestId | UnsetType = UNSET


_encode = msgspec.json.Encoder().encode
_decode_message = msgspec.json.Decoder(Message).decode
_decode_items = msgspec.json.Decoder(list[Raw]).decode


def encode_result(request_id: RequestId, result: object) -> bytes:
    """A successful response; `result` is a struct, a plain object, or already encoded (`msgspec.Raw`)."""
    return _encode(_Answer(request_id, result))


def encode_error(request_id: RequestId | None, error: ProtocolError) -> bytes:
    """A failed response; the id is null where the request's could not be read."""
    return _encode(_Failure(request_id, ErrorObject(error.code, error.message, error.data)))


def encode_notification(method: str, params: object = UNSET) -> bytes:
    """A one-way message to the client."""
    return _encode(_Outgoing(method, params))


def encode_request(request_id: RequestId, method: str, params: object = UNSET) -> bytes:
    """A request to the client (older era only)."""
    return _encode(_Outgoing(method, params, request_id))


class InvalidMessage(ProtocolError):
    """A message that is not a valid JSON-RPC message; carries the id to answer with, where one could be read."""

    def __init__(self, code: int, message: str, request_id: RequestId | None = None) -> None:
        super().__init__(code, message)
        self.request_id = request_id


def decode_message(body: bytes) -> Message:
    """The one message in `body`; raises `InvalidMessage` that says what is wrong with it."""
    try:
        message = _decode_message(body)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise _explain(body, error) from None
    _check_text(body)
    return message


def decode_batch(body: bytes) -> list[Message | InvalidMessage]:
    """The messages of a batch, each decoded alone so that a bad one does not take the others with it."""
    try:
        items = _decode_items(body)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise _explain(body, error) from None
    if not items:
        raise InvalidMessage(INVALID_REQUEST, "The batch is empty: send at least one message in it.")
    if len(items) > MAX_BATCH:
        raise InvalidMessage(
            INVALID_REQUEST, f"The batch has {len(items)} messages, {MAX_BATCH} are allowed: split it."
        )
    return [_decode_item(bytes(item)) for item in items]


def is_batch(body: bytes) -> bool:
    """Whether `body` looks like a JSON array, that is, a batch."""
    return body.lstrip(b" \t\r\n")[:1] == b"["


def _decode_item(item: bytes) -> Message | InvalidMessage:
    try:
        return decode_message(item)
    except InvalidMessage as error:
        return error


def _check_text(body: bytes) -> None:
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise InvalidMessage(PARSE_ERROR, f"The message is not valid UTF-8 at byte {error.start}.") from None


def _explain(body: bytes, error: Exception) -> InvalidMessage:
    try:
        decoded: Any = json.loads(body)
    except (ValueError, RecursionError):
        return InvalidMessage(PARSE_ERROR, f"The message is not valid JSON: {error}.")
    request_id: object = decoded.get("id") if isinstance(decoded, dict) else None  # pyright: ignore
    known = request_id if isinstance(request_id, str | int) and not isinstance(request_id, bool) else None
    return InvalidMessage(INVALID_REQUEST, f"The message is not a JSON-RPC 2.0 message: {error}.", known)
