"""The one way in: a call goes in, the whole encoded JSON-RPC response comes out."""

import asyncio
import logging
from collections.abc import Callable, Sequence

import msgspec
from msgspec import UNSET, Raw

from app.protocol.calls import Call, SessionView
from app.protocol.changes import Change, Changes
from app.protocol.content import Implementation
from app.protocol.errors import INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, ProtocolError
from app.protocol.handlers import ListKind, Registry
from app.protocol.headers import MirroredParam
from app.protocol.listings import ListPolicy
from app.protocol.messages import RequestId, encode_error, encode_result
from app.protocol.methods._method import Method
from app.protocol.methods.lifecycle import Lifecycle
from app.protocol.methods.prompts import Prompts
from app.protocol.methods.resources import Resources
from app.protocol.methods.skills import Skills
from app.protocol.methods.subscriptions import Subscriptions
from app.protocol.methods.tasks import Tasks
from app.protocol.methods.tools import Tools
from app.protocol.params import CancelledParams, Params, ParamsDecoder
from app.protocol.revisions import Revision
from app.protocol.sealing import StateSealer
from app.protocol.services import Services, server_meta
from app.protocol.tasks import TaskBoard

logger = logging.getLogger("slipway.protocol")

_decode_unknown = ParamsDecoder(Params)
_decode_cancelled = msgspec.json.Decoder(CancelledParams).decode
_BEFORE_INITIALIZED = frozenset(("initialize", "ping"))
# How long a call waits for the notification that it overtook, and how often it looks.
_OVERTAKEN_SECONDS, _OVERTAKEN_POLLS = 0.5, 20


class Notice(msgspec.Struct, frozen=True):
    """What a client's notification asks of the transport."""

    save_session: bool = False
    cancel: RequestId | None = None
    """The request of the client's to cancel."""


NOTHING = Notice()


class Dispatcher:
    """Answers calls of every transport and every revision."""

    def __init__(
        self,
        registry: Registry,
        server: Implementation,
        *,
        sealer: StateSealer | None = None,
        changes: Changes | None = None,
        policy: ListPolicy | None = None,
    ) -> None:
        services = Services(
            registry=registry,
            server=server,
            sealer=sealer or StateSealer.ephemeral(),
            changes=changes or Changes(),
            policy=policy or ListPolicy(),
            server_meta=server_meta(server),
        )
        self.registry = registry
        self.changes = services.changes
        registry.listen(self._list_changed)
        self.tasks = TaskBoard(services.changes)
        tools = Tools(services, self.tasks)
        self.mirrored: Callable[[str], Sequence[MirroredParam]] = tools.mirrored
        """Which parameters of a tool are mirrored into HTTP headers."""
        groups = (
            Lifecycle(services),
            tools,
            Prompts(services),
            Resources(services),
            Skills(services),
            Subscriptions(services, self.tasks),
            Tasks(services, self.tasks),
        )
        methods = [method for group in groups for method in group.methods()]
        self._with_handshake: dict[str, Method] = {m.name: m for m in methods if m.handshake}
        self._stateless: dict[str, Method] = {m.name: m for m in methods if m.stateless}

    async def answer(self, call: Call) -> bytes:
        """The response to a call. Never raises but when it is cancelled."""
        try:
            return encode_result(call.id, await self._run(call))
        except ProtocolError as error:
            call.failed = error.code
            return encode_error(call.id, error)
        except RecursionError:
            call.failed = INVALID_PARAMS
            return encode_error(call.id, ProtocolError(INVALID_PARAMS, "The parameters are nested too deeply."))
        except Exception:
            logger.exception("%s failed", call.method)
            call.failed = INTERNAL_ERROR
            return encode_error(
                call.id, ProtocolError(INTERNAL_ERROR, "The server failed to answer. Its log says why.")
            )

    def decode(self, method: str, params: Raw | None, revision: Revision) -> Params:
        """The parameters of a method, for transports that must look into them; raises `ProtocolError`."""
        known = (self._stateless if revision.stateless else self._with_handshake).get(method)
        return _decode_unknown(params) if known is None else known.decode(params)

    def notice(self, method: str, params: Raw | None, session: SessionView | None) -> Notice:
        """Take in a notification of the client's; one that makes no sense is ignored, as JSON-RPC asks."""
        if method == "notifications/initialized" and session is not None and not session.initialized:
            session.initialized = True
            return Notice(save_session=True)
        if method == "notifications/cancelled" and params is not None:
            try:
                return Notice(cancel=_decode_cancelled(params).request_id)
            except (msgspec.DecodeError, ValueError, RecursionError):
                return NOTHING
        return NOTHING

    def close_listeners(self) -> None:
        """End listening streams: the server drains."""
        self.changes.close()

    async def close(self) -> None:
        """End listening streams and cancel tasks: the server ends."""
        self.changes.close()
        await self.tasks.close()

    def _list_changed(self, kind: ListKind) -> None:
        self.changes.tell(Change(kind))

    async def _run(self, call: Call) -> object:
        revision = call.revision
        method = (self._stateless if revision.stateless else self._with_handshake).get(call.method)
        if method is None:
            raise ProtocolError(METHOD_NOT_FOUND, f"Method not found: '{call.method[:128]}' in {revision.name}.")
        session = call.session
        early = session is not None and not session.initialized and call.method not in _BEFORE_INITIALIZED
        if session is not None and early and not await _initialized_in_time(session):
            raise ProtocolError(
                INVALID_REQUEST, f"'{call.method}' came before 'notifications/initialized': send that first."
            )
        params = call.decoded
        if params is None:
            params = method.decode(None if call.params is UNSET else call.params)
        return await method.run(call, params)


async def _initialized_in_time(session: SessionView) -> bool:
    """Whether 'notifications/initialized' follows at once: over HTTP, what was sent second may well arrive first."""
    for _ in range(_OVERTAKEN_POLLS):
        await asyncio.sleep(_OVERTAKEN_SECONDS / _OVERTAKEN_POLLS)
        if session.initialized:
            return True
    return False
