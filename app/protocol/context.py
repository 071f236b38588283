"""What a running handler may use: who calls, and ways to talk to the client that work the same in both eras."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any, Literal, cast

import msgspec
from msgspec import UNSET, Raw

from app.protocol.calls import Call, Caller, Releasable, TraceContext
from app.protocol.errors import INVALID_PARAMS, MISSING_CLIENT_CAPABILITY, ProtocolError
from app.protocol.params import Meta
from app.protocol.revisions import Revision

LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
_RANK = {level: rank for rank, level in enumerate(LEVELS)}
_NEEDS = {
    "elicitation/create": "elicitation",
    "sampling/createMessage": "sampling",
    "roots/list": "roots",
}
_decode_object = msgspec.json.Decoder(dict[str, Any]).decode


class InputRequest(msgspec.Struct):
    """Something to ask of the client: `elicitation/create`, `sampling/createMessage` or `roots/list`."""

    method: str
    params: dict[str, Any]


class InputRequired(Exception):
    """Raised by `CallContext.ask` where the client must send the request again with answers; let it pass through."""

    def __init__(self, requests: Mapping[str, InputRequest]) -> None:
        super().__init__("the client is asked for input")
        self.requests = requests


class Elicited(msgspec.Struct):
    """What a person answered: `content` is there only when they accepted."""

    action: Literal["accept", "decline", "cancel"]
    content: dict[str, Any] = {}


class CallContext:
    """The surroundings of one running call.

    In the era of 2026-07-28 a handler that asks for input is run again from its beginning once the client has answered:
    `ask` then returns at once. So ask before any side effect, and keep what must not be computed twice in `state`.
    """

    __slots__ = ("_answers", "_capabilities", "_detached", "_meta", "_progress", "call", "state")

    def __init__(self, call: Call, meta: Meta | None) -> None:
        self.call = call
        self.state: Any = None
        """Any JSON value, carried (sealed) to the next round; None in the first."""
        self._meta = meta
        self._answers: dict[str, Any] = {}
        self._capabilities: Mapping[str, Any] | None = None
        self._progress: float | None = None
        self._detached: Callable[[], Awaitable[None]] | None = None

    @property
    def caller(self) -> Caller:
        """Who calls."""
        return self.call.caller

    @property
    def revision(self) -> Revision:
        """The protocol revision that is spoken."""
        return self.call.revision

    @property
    def session_id(self) -> str | None:
        """The session of the older era, if any."""
        return self.call.session.id if self.call.session is not None else None

    @property
    def trace(self) -> TraceContext | None:
        """W3C trace context, to pass on to what the handler calls."""
        return self.call.trace

    @property
    def meta(self) -> Meta | None:
        """What the request's `_meta` carries for the protocol."""
        return self._meta

    @property
    def answers(self) -> dict[str, Any]:
        """What the client has answered so far, by key."""
        return self._answers

    @property
    def client_capabilities(self) -> Mapping[str, Any]:
        """What the client can do, as it declared."""
        if self._capabilities is None:
            session = self.call.session
            if session is not None:
                self._capabilities = session.client_capabilities or {}
            elif self._meta is not None and self._meta.capabilities is not UNSET:
                self._capabilities = _decode_object(self._meta.capabilities)
            else:
                self._capabilities = {}
        return self._capabilities

    def restore(self, answers: dict[str, Any], state: Any) -> None:
        """Put back what earlier rounds gathered; called by the dispatcher."""
        self._answers = answers
        self.state = state

    def can(self, method: str) -> bool:
        """Whether the client supports being asked `method`."""
        return _NEEDS.get(method, method) in self.client_capabilities

    async def detach(self) -> None:
        """Let the call become a task from here on, if the client knows tasks; otherwise nothing happens."""
        if self._detached is not None:
            await self._detached()

    def on_detach(self, detached: Callable[[], Awaitable[None]]) -> None:
        """What `detach` does; set by the dispatcher."""
        self._detached = detached

    async def progress(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        """Report progress, if the client asked for it. `progress` must grow; a value that does not is dropped."""
        token = self._meta.progress_token if self._meta is not None else UNSET
        if token is UNSET or (self._progress is not None and progress <= self._progress):
            return
        self._progress = progress
        params: dict[str, Any] = {"progressToken": token, "progress": progress}
        if total is not None:
            params["total"] = total
        if message is not None and self.call.revision.progress_messages:
            params["message"] = message
        await self.call.channel.notify("notifications/progress", params)

    async def log(self, level: str, data: object, logger: str | None = None) -> None:
        """Send a log message, if its level is one that the client wants."""
        wanted = self.log_level
        if wanted is None or _RANK[level] < _RANK[wanted]:
            return
        params = {"level": level, "data": data}
        if logger is not None:
            params["logger"] = logger
        await self.call.channel.notify("notifications/message", params)

    async def release(self) -> None:
        """Let the client's connection go while the call runs on, where the client can come back for the answer."""
        if isinstance(self.call.channel, Releasable):
            await self.call.channel.release()

    async def ask(self, requests: Mapping[str, InputRequest], *, timeout: float | None = None) -> dict[str, Any]:
        """Ask the client several things at once and return its answers under the same keys.

        Raises `ProtocolError` for what the client cannot be asked, `ClientRefused` for what it declined (older era).
        """
        for request in requests.values():
            self.require(request)
        if self.call.revision.stateless:
            if any(key not in self._answers for key in requests):
                raise InputRequired({key: value for key, value in requests.items() if key not in self._answers})
        else:
            missing = [key for key in requests if key not in self._answers]
            found = await _together(self._request(requests[key], timeout) for key in missing)
            self._answers.update(zip(missing, found, strict=True))
        return {key: self._answers[key] for key in requests}

    async def elicit(
        self, message: str, schema: Mapping[str, Any], *, key: str = "input", timeout: float | None = None
    ) -> Elicited:
        """Ask the person for data that fits `schema` (a flat JSON Schema object)."""
        params: dict[str, Any] = {"message": message, "requestedSchema": schema}
        if self.call.revision.url_elicitation:
            params["mode"] = "form"
        answer = await self.ask({key: InputRequest("elicitation/create", params)}, timeout=timeout)
        return _convert(answer[key], key)

    async def elicit_url(self, message: str, url: str, *, key: str = "url", timeout: float | None = None) -> Elicited:
        """Ask the person to visit an address, for what must not pass through the client: a login, a payment.

        That they accept means that they agreed to go there, and no more.
        """
        params: dict[str, Any] = {"mode": "url", "message": message, "url": url}
        if not self.call.revision.stateless:
            params["elicitationId"] = secrets.token_urlsafe(12)
        answer = await self.ask({key: InputRequest("elicitation/create", params)}, timeout=timeout)
        return _convert(answer[key], key)

    async def sample(
        self,
        messages: list[dict[str, Any]],
        max_tokens: int,
        *,
        key: str = "sample",
        timeout: float | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        """Ask the client's model; `options` are further members of `sampling/createMessage`. Returns its result."""
        params = {"messages": messages, "maxTokens": max_tokens, **options}
        answer = await self.ask({key: InputRequest("sampling/createMessage", params)}, timeout=timeout)
        return answer[key]

    async def roots(self, *, key: str = "roots", timeout: float | None = None) -> list[dict[str, Any]]:
        """The directories that the client lets the server work in."""
        answer = await self.ask({key: InputRequest("roots/list", {})}, timeout=timeout)
        return answer[key].get("roots", [])

    @property
    def log_level(self) -> str | None:
        """The least level of log messages that the client wants, None for none."""
        session = self.call.session
        if session is not None:
            return session.log_level or LEVELS[0]
        if self._meta is not None and self._meta.log_level is not UNSET:
            return self._meta.log_level
        return None

    def require(self, request: InputRequest) -> None:
        """Raise `ProtocolError` if the client cannot be asked this."""
        needed = _needed(request, self.client_capabilities)
        if needed is not None:
            declaration = msgspec.json.encode(needed).decode()
            raise ProtocolError(
                MISSING_CLIENT_CAPABILITY if self.call.revision.stateless else INVALID_PARAMS,
                f"The client cannot be asked '{request.method}': it did not declare {declaration}.",
                {"requiredCapabilities": needed},
            )

    async def _request(self, request: InputRequest, timeout: float | None) -> dict[str, Any]:
        raw: Raw = await self.call.channel.request(request.method, request.params, timeout=timeout)
        return _decode_object(raw)


def _needed(request: InputRequest, declared: Mapping[str, Any]) -> dict[str, Any] | None:
    """The capability that the client would have to declare to be asked this, or None where it did."""
    name = _NEEDS.get(request.method, request.method)
    if name not in declared:
        return {name: {}}
    part = None
    if name == "elicitation":
        part = "url" if request.params.get("mode") == "url" else "form"
    elif name == "sampling" and "tools" in request.params:
        part = "tools"
    details: object = declared[name]
    if part is None or (isinstance(details, dict) and part in details) or (part == "form" and not details):
        return None
    return {name: {part: {}}}


def _convert(answer: Any, key: str) -> Elicited:
    if isinstance(answer, dict) and cast("dict[str, Any]", answer).get("content", ...) is None:
        answer = {member: value for member, value in cast("dict[str, Any]", answer).items() if member != "content"}
    try:
        return msgspec.convert(answer, Elicited)
    except msgspec.ValidationError as error:
        raise ProtocolError(INVALID_PARAMS, f"The answer to '{key}' is not an elicitation result: {error}.") from None


async def _together(asked: Iterable[Coroutine[Any, Any, dict[str, Any]]]) -> list[dict[str, Any]]:
    """All results; the first error ends the others and is raised as it is."""
    tasks = [asyncio.create_task(one) for one in asked]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
