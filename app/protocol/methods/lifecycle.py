"""`initialize`, `ping`, `server/discover` and `logging/setLevel`."""

from typing import Any

from app.protocol.calls import Call, Handshake
from app.protocol.context import LEVELS
from app.protocol.envelope import SUPPORTED
from app.protocol.errors import INVALID_PARAMS, INVALID_REQUEST, ProtocolError
from app.protocol.extensions import extensions_of
from app.protocol.methods._method import Method, method
from app.protocol.params import InitializeParams, Params, SetLevelParams
from app.protocol.revisions import Revision, negotiate
from app.protocol.services import Services


class Lifecycle:
    """How a client and the server get to know each other."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def methods(self) -> list[Method]:
        """The methods of this group."""
        return [
            method("initialize", InitializeParams, self._initialize, stateless=False),
            method("ping", Params, self._ping, stateless=False),
            method("logging/setLevel", SetLevelParams, self._set_level, stateless=False),
            method("server/discover", Params, self._discover, handshake=False),
        ]

    async def _initialize(self, call: Call, params: InitializeParams) -> object:
        if call.session is not None:
            raise ProtocolError(
                INVALID_REQUEST, "This session is initialized already: leave out the session to open another."
            )
        revision = negotiate(params.protocol_version)
        call.handshake = Handshake(revision, params.client_info, params.capabilities)
        result: dict[str, Any] = {
            "protocolVersion": revision.name,
            "capabilities": self._capabilities(revision),
            "serverInfo": self._services.server,
        }
        if self._services.registry.instructions:
            result["instructions"] = self._services.registry.instructions
        return result

    async def _discover(self, call: Call, _: Params) -> object:
        services = self._services
        result: dict[str, Any] = {
            "resultType": "complete",
            "supportedVersions": SUPPORTED,
            "capabilities": self._capabilities(call.revision),
            "ttlMs": services.policy.ttl_ms,
            "cacheScope": services.policy.cache_scope,
            "_meta": services.server_meta,
        }
        if services.registry.instructions:
            result["instructions"] = services.registry.instructions
        return result

    async def _ping(self, _call: Call, _params: Params) -> object:
        return {}

    async def _set_level(self, call: Call, params: SetLevelParams) -> object:
        if params.level not in LEVELS:
            raise ProtocolError(INVALID_PARAMS, f"Unknown log level '{params.level[:32]}': use {', '.join(LEVELS)}.")
        if call.session is None:
            raise ProtocolError(INVALID_REQUEST, "A log level belongs to a session: begin with 'initialize'.")
        call.session.log_level = params.level
        call.session_changed = True
        return {}

    def _capabilities(self, revision: Revision) -> dict[str, Any]:
        capabilities: dict[str, Any] = {
            "tools": {"listChanged": True},
            "prompts": {"listChanged": True},
            "resources": {"listChanged": True, "subscribe": True},
            "logging": {},
        }
        if revision.completion_capability:
            capabilities["completions"] = {}
        extensions = extensions_of(self._services.registry, revision)
        if extensions:
            capabilities["extensions"] = extensions
        return capabilities
