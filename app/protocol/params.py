"""The parameters of each method, decoded and checked in one pass."""

from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from app.protocol.errors import INVALID_PARAMS, ProtocolError

_PREFIX = "io.modelcontextprotocol/"
META_VERSION = _PREFIX + "protocolVersion"
META_CAPABILITIES = _PREFIX + "clientCapabilities"
META_CLIENT_INFO = _PREFIX + "clientInfo"
META_LOG_LEVEL = _PREFIX + "logLevel"
META_SERVER_INFO = _PREFIX + "serverInfo"
META_SUBSCRIPTION = _PREFIX + "subscriptionId"


class Meta(msgspec.Struct, gc=False):
    """What `params._meta` may carry for the protocol itself."""

    progress_token: str | int | UnsetType = msgspec.field(default=UNSET, name="progressToken")
    version: str | UnsetType = msgspec.field(default=UNSET, name=META_VERSION)
    capabilities: Raw | UnsetType = msgspec.field(default=UNSET, name=META_CAPABILITIES)
    client_info: Raw | UnsetType = msgspec.field(default=UNSET, name=META_CLIENT_INFO)
    log_level: str | UnsetType = msgspec.field(default=UNSET, name=META_LOG_LEVEL)
    traceparent: str = ""
    tracestate: str = ""
    baggage: str = ""


class Params(msgspec.Struct, rename="camel", gc=False):
    """What the parameters of every method may have."""

    meta: Meta | UnsetType = msgspec.field(default=UNSET, name="_meta")


class InteractiveParams(Params, gc=False):
    """Parameters of a method that may ask the client for input and be sent again with the answers."""

    input_responses: Raw | UnsetType = UNSET
    request_state: str | UnsetType = UNSET


class CallToolParams(InteractiveParams, kw_only=True, gc=False):
    """`tools/call`."""

    name: str
    arguments: Raw | UnsetType = UNSET


class GetPromptParams(InteractiveParams, kw_only=True):
    """`prompts/get`."""

    name: str
    arguments: dict[str, str] | UnsetType = UNSET


class ReadResourceParams(InteractiveParams, kw_only=True):
    """`resources/read`."""

    uri: str


class ListParams(Params):
    """Every method that lists."""

    cursor: str | UnsetType = UNSET


class UriParams(Params, kw_only=True):
    """`resources/subscribe` and `resources/unsubscribe`."""

    uri: str


class SetLevelParams(Params, kw_only=True):
    """`logging/setLevel`."""

    level: str


class ArgumentParam(msgspec.Struct):
    """The argument to complete."""

    name: str
    value: str


class CompletionContext(msgspec.Struct, frozen=True):
    """Arguments already known."""

    arguments: dict[str, str] = {}


class CompleteParams(Params, kw_only=True):
    """`completion/complete`."""

    ref: dict[str, str]
    argument: ArgumentParam
    context: CompletionContext = CompletionContext()


class InitializeParams(Params, kw_only=True):
    """`initialize`."""

    protocol_version: str
    capabilities: dict[str, Any]
    client_info: dict[str, Any]


class SubscriptionFilter(msgspec.Struct, rename="camel", omit_defaults=True):
    """Which notifications a `subscriptions/listen` asks for."""

    tools_list_changed: bool | UnsetType = UNSET
    prompts_list_changed: bool | UnsetType = UNSET
    resources_list_changed: bool | UnsetType = UNSET
    resource_subscriptions: list[str] | UnsetType = UNSET
    task_ids: list[str] | UnsetType = UNSET


class ListenParams(Params, kw_only=True):
    """`subscriptions/listen`."""

    notifications: SubscriptionFilter


class TaskParams(Params, kw_only=True):
    """`tasks/get` and `tasks/cancel`."""

    task_id: str


class UpdateTaskParams(TaskParams, kw_only=True):
    """`tasks/update`."""

    input_responses: dict[str, dict[str, Any]]


class DirectoryParams(UriParams, kw_only=True):
    """`resources/directory/read`."""

    cursor: str | UnsetType = UNSET


class CancelledParams(Params, kw_only=True):
    """`notifications/cancelled`."""

    request_id: str | int
    reason: str = ""


class ParamsDecoder:
    """Decodes the parameters of one method."""

    __slots__ = ("_decode", "_kind")

    def __init__(self, kind: type[Params]) -> None:
        self._kind = kind
        self._decode = msgspec.json.Decoder(kind).decode

    def __call__(self, raw: Raw | None) -> Params:
        """The parameters; raises `ProtocolError` that names the member at fault."""
        try:
            return self._decode(raw if raw is not None else b"{}")
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise ProtocolError(INVALID_PARAMS, f"Invalid params: {error}.") from None
