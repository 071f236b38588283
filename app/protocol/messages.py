"""JSON-RPC messages: strict decoding of what clients send, and encoding of what they get."""

import json
from typing import Annotated, Any, Literal, cast

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from app.protocol.errors import INVALID_REQUEST, PARSE_ERROR, ProtocolError

RequestId = str | int

MAX_ID_LENGTH = 256
MAX_BATCH = 100

# Longer ids would cost memory for as long as the request runs; larger integers would not survive other decoders.
_ClientId = Annotated[str, Meta(max_length=MAX_ID_LENGTH)] | Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]


class Message(msgspec.Struct, gc=False):
    """One JSON-RPC message from a client: a request, a notification, or a response to a request of the server's."""

    jsonrpc: Literal["2.0"]
    id: _ClientId | UnsetType = UNSET
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
_decode_anything = msgspec.json.Decoder().decode


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
        # Encoding drops repeated keys, so what comes out as it came in has none: most messages do.
        again = _encode(_decode_anything(body))
        if again != body and not _differs_in_blanks(again, body):
            _refuse_repeated_keys(body)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise _explain(body, error) from None
    if message.method is UNSET:
        if message.id is UNSET or (message.result is UNSET) == (message.error is UNSET):
            raise InvalidMessage(
                INVALID_REQUEST,
                "A message needs a 'method', or else an 'id' and one of 'result' and 'error'.",
                None if message.id is UNSET else message.id,
            )
    elif message.result is not UNSET or message.error is not UNSET:
        raise InvalidMessage(
            INVALID_REQUEST,
            "A message with a 'method' cannot have a 'result' or an 'error'.",
            None if message.id is UNSET else message.id,
        )
    return message


def decode_batch(body: bytes) -> list[Message | InvalidMessage]:
    """The messages of a batch, each decoded alone so that a bad one does not take the others with it."""
    try:
        items = _decode_items(body)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
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


class _RepeatedKey(ValueError):
    pass


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        repeated = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise _RepeatedKey(f"the key '{repeated[:64]}' is there more than once in one object")
    return found


_decode_unique = json.JSONDecoder(object_pairs_hook=_unique).decode


def _differs_in_blanks(again: bytes, body: bytes) -> bool:
    """Whether no key was dropped: each has a colon, and of the others none is hidden behind an escape."""
    return body.isascii() and b"\\" not in body and again.count(b":") == body.count(b":")


def _refuse_repeated_keys(body: bytes) -> None:
    _decode_unique(body.decode())


def _explain(body: bytes, error: Exception) -> InvalidMessage:
    if isinstance(error, RecursionError):
        return InvalidMessage(PARSE_ERROR, "The message is nested too deeply.")
    if isinstance(error, _RepeatedKey):
        return InvalidMessage(INVALID_REQUEST, f"The message is ambiguous: {error}.")
    if isinstance(error, UnicodeDecodeError):
        return InvalidMessage(PARSE_ERROR, "The message is not valid UTF-8.")
    if not body.strip():
        return InvalidMessage(PARSE_ERROR, "There is no message: the body is empty.")
    if isinstance(error, msgspec.ValidationError):
        return InvalidMessage(INVALID_REQUEST, f"The message is not JSON-RPC 2.0: {error}.", _id_in(body))
    return InvalidMessage(PARSE_ERROR, f"The message is not valid JSON: {error}.")


def _id_in(body: bytes) -> RequestId | None:
    """The id to answer a message with that is not valid as a whole."""
    try:
        decoded: object = _decode_anything(body)
        known = cast("dict[str, Any]", decoded).get("id") if isinstance(decoded, dict) else None
        return msgspec.convert(known, _ClientId)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
