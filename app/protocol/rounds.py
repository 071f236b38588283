"""Requests in several rounds: what the client answered comes back in, what it is asked goes out."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from app.protocol.calls import Call
from app.protocol.content import Result
from app.protocol.context import CallContext, InputRequest
from app.protocol.errors import INVALID_PARAMS, ProtocolError
from app.protocol.params import InteractiveParams
from app.protocol.sealing import StateSealer

_decode_responses = msgspec.json.Decoder(dict[str, dict[str, Any]]).decode


class InputRequiredResult(Result, kw_only=True):
    """The client must answer and send the request again."""

    input_requests: Mapping[str, InputRequest] | UnsetType = UNSET
    request_state: str | UnsetType = UNSET


def resume(sealer: StateSealer, call: Call, params: InteractiveParams, context: CallContext, digest: bytes) -> None:
    """Give the context what earlier rounds and this request's `inputResponses` bring; raises `ProtocolError`."""
    answers: dict[str, Any] = {}
    state: Any = None
    if params.request_state is not UNSET:
        opened = sealer.open(params.request_state, subject=call.caller.subject, method=call.method, digest=digest)
        answers, state = opened.answers, opened.state
    if params.input_responses is not UNSET:
        try:
            answers |= _decode_responses(params.input_responses)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise ProtocolError(INVALID_PARAMS, f"params.inputResponses must map keys to results: {error}.") from None
    context.restore(answers, state)


def input_required(
    sealer: StateSealer, call: Call, requests: Mapping[str, InputRequest], context: CallContext, digest: bytes
) -> InputRequiredResult:
    """The result that asks the client for input, with all answers so far sealed into it."""
    token = sealer.seal(context.answers, context.state, subject=call.caller.subject, method=call.method, digest=digest)
    return InputRequiredResult(result_type="input_required", input_requests=requests or UNSET, request_state=token)
