"""What an era asks of each request: nothing of the older, metadata of the newer."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from msgspec import Raw

from app.gateway.upstream import Downstream
from app.gateway.upstreams import wire
from app.gateway.upstreams.calls import RunningCall
from app.protocol.params import META_CAPABILITIES, META_CLIENT_INFO, META_LOG_LEVEL, META_VERSION
from app.protocol.revisions import Revision

ASKABLE = ("sampling", "elicitation", "roots")
_NOTHING: Mapping[str, Any] = {}


@cache
def client_info() -> dict[str, str]:
    """Who we are."""
    from app.version import VERSION

    return {"name": "slipway-gateway", "version": VERSION}


class Dialect:
    """Turns the parameters of a client's request into those of ours."""

    def __init__(self, revision: Revision) -> None:
        self.revision = revision
        self.stateless = revision.stateless
        self._fixed = b""
        if revision.stateless:
            self._fixed = b"%b:%b,%b:%b,%b:" % (
                wire.encode(META_VERSION),
                wire.encode(revision.name),
                wire.encode(META_CLIENT_INFO),
                wire.encode(client_info()),
                wire.encode(META_CAPABILITIES),
            )
        self._for_nobody = self._fixed + b"{}"

    def params(self, call: RunningCall, params: bytes) -> bytes:
        """The parameters to send."""
        downstream = call.downstream
        if downstream is None:
            return wire.with_meta(params, self._for_nobody) if self.stateless else params
        token = b"" if downstream.progress_token is None else b'"progressToken":%d' % call.number
        if not self.stateless:
            return wire.with_meta(params, token) if token else params
        return wire.with_meta(params, self._meta(downstream, token))

    def _meta(self, downstream: Downstream, token: bytes) -> bytes:
        able = downstream.capabilities
        declared = {name: able[name] for name in ASKABLE if name in able} if able else _NOTHING
        meta = self._fixed + wire.encode(declared) if declared else self._for_nobody
        level = downstream.log_level
        if level is not None:
            meta += b",%b:%b" % (wire.encode(META_LOG_LEVEL), wire.encode(level))
        return meta + b"," + token if token else meta


def as_bytes(params: Raw | bytes) -> bytes:
    """The parameters as bytes; a client that sent none sends an empty object."""
    return bytes(params) or b"{}"
